"""``several_numbers``: a command whose option may be given once with several numbers, ``--use 0.1 0.5 0.9``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click


def several_numbers(option: str) -> type[click.Command]:
    """The class of a command that reads numbers behind one of ``option`` as further ones."""

    class Command(click.Command):
        def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
            return super().parse_args(ctx, list(_spelt_out(args, option)))

    return Command


def _spelt_out(words: Sequence[str], option: str) -> Iterator[str]:
    value = taking = False  # whether the word before is the option, and whether numbers are taken
    for word in words:
        more = taking and not value and _is_number(word)
        if more:
            yield option
        taking = value or more or word == option or word.startswith(f"{option}=")
        value = word == option
        yield word


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
