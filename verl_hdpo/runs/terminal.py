"""What commands show: lines, tables, JSON and progress, by rich. What is piped is plain and uncut."""

from __future__ import annotations

import json
import os
import sys
import textwrap
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from rich.box import MARKDOWN, SIMPLE_HEAD
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

MARKS = {"ok": "green", "warn": "yellow", "FAIL": "red"}
"""Colour of a finding's mark."""
PIPED = 10_000
"""Columns where nobody looks on, so that each row and path stays in one line; COLUMNS says otherwise."""


def console(err: bool = False) -> Console:
    """Of stdout or stderr as they are now. NO_COLOR, FORCE_COLOR, COLUMNS and TERM count."""
    made = Console(stderr=err, highlight=False, markup=False, emoji=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = PIPED
    return made


def say(text: str, style: str = "", *, head: int | None = None, hang: int = 0, err: bool = False) -> None:
    """Print ``text`` with nothing in it that a terminal obeys.

    Args:
        head: only so many characters have the ``style``; None: all.
        hang: margin of the lines after the first, where a terminal is too narrow for one; 0: they are not broken.
    """
    on = console(err)
    lines = harmless(text).split("\n")
    if hang and on.is_terminal:
        indent = " " * hang
        lines = [part for line in lines for part in textwrap.wrap(line, on.width, subsequent_indent=indent) or [line]]
    shown = Text("\n".join(lines))
    shown.stylize(style, 0, head)
    on.print(shown, soft_wrap=True)


def show_table(
    heads: Sequence[str],
    rows: Sequence[Sequence[str | Text]],
    *,
    title: str = "",
    left: Collection[str] = (),
    on: Console | None = None,
) -> None:
    """Print a table: with lines in a terminal, folded to its width; in a pipe as Markdown.

    Args:
        left: heads of further columns of words; the first column is one, the others are numbers.
    """
    on = on or console()
    table = Table(box=SIMPLE_HEAD if on.is_terminal else MARKDOWN, header_style="bold", pad_edge=not on.is_terminal)
    for number, head in enumerate(heads):
        table.add_column(harmless(head), justify="left" if not number or head in left else "right", overflow="fold")
    for row in rows:
        shown = (cell if isinstance(cell, Text) else Text(harmless(cell)) for cell in row)
        table.add_row(*(cell if on.is_terminal else Text(cell.plain.replace("|", r"\|")) for cell in shown))
    if title:
        on.print(Text(harmless(title), "bold"), soft_wrap=True)
    with on.capture() as printed:
        on.print(table)
    on.file.write("\n".join(line.rstrip() for line in printed.get().split("\n") if line.strip()) + "\n")


def json_text(value: Any) -> str:
    """``value`` as JSON, dataclasses as objects; what is not finite is null."""
    text = json.dumps(value, default=lambda one: asdict(one) if hasattr(one, "__dataclass_fields__") else str(one))
    return json.dumps(json.loads(text, parse_constant=lambda constant: None), indent=2) + "\n"  # NaN is not valid JSON


def show_code(lines: Iterable[str], language: str) -> None:
    """Print a script or a file; in a pipe nothing of it is changed."""
    on, text = console(), "\n".join(lines)
    if on.is_terminal:
        on.print(Syntax(harmless(text), language, theme="ansi_dark", background_color="default"), soft_wrap=True)
    else:
        on.file.write(f"{text}\n")


def show_json(value: Any) -> None:
    """Print :func:`json_text`, in one piece whatever the width."""
    console().out(json_text(value), end="", highlight=False)


def progress_bars(*columns: ProgressColumn) -> Progress:
    """Bars, or other ``columns``, on stderr, gone when they end; nothing where that is no terminal."""
    on = console(err=True)
    bar = (BarColumn(24), MofNCompleteColumn(), TimeRemainingColumn(compact=True))
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        *(columns or bar),
        console=on,
        transient=True,
        disable=not on.is_terminal,
        redirect_stdout=sys.stdout.isatty(),  # else what goes into a pipe would come to the terminal
    )


@contextmanager
def progress(label: str, total: float, tenths: bool = False) -> Iterator[Callable[[float], None]]:
    """A bar; gives what tells it how much more is done.

    Args:
        tenths: what takes long says where it is even where no terminal is, at each tenth.
    """
    bars = progress_bars()
    done = 0.0

    def advance(more: float = 1) -> None:
        nonlocal done
        before, done = int(10 * done / total) if total else 0, done + more
        bars.advance(task, more)
        if tenths and bars.disable and total and int(10 * done / total) > before:
            say(f"{label}: {done:g} of {total:g}", err=True)

    with bars:
        task = bars.add_task(harmless(label), total=total)
        yield advance


@contextmanager
def doing(what: str) -> Iterator[Callable[[str], None]]:
    """Show on stderr, on a terminal, what is being done and for how long; gives what changes the words."""
    with progress_bars(TimeElapsedColumn()) as bars:
        task = bars.add_task(harmless(what), total=None)
        yield lambda words: bars.update(task, description=harmless(words))


def say_each(what: str, lines: Iterable[str]) -> None:
    """Print the lines as they come, and meanwhile what is being done."""
    with doing(what):
        for line in lines:
            say(line)


def harmless(text: str) -> str:
    """``text`` with its control, format and direction characters made visible."""
    if text.isprintable():
        return text
    return "".join(sign if sign in "\n\t" or sign.isprintable() else _shown(sign) for sign in text)


def _shown(sign: str) -> str:
    if ord(sign) < 0x20:
        return chr(0x2400 + ord(sign))
    return sign if unicodedata.category(sign) == "Zs" else f"<U+{ord(sign):04X}>"
