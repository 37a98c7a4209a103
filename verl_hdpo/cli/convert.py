"""``verl-hdpo convert``: data sets as they come, made verl's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from verl_hdpo.runs.verl_command import needs_extra

PATH = click.Path(exists=True, path_type=Path)


@click.group()
def convert() -> None:
    """Make rows for RL or for a cold start from data sets."""


def _common(command: Callable) -> Callable:
    for decorate in (
        click.option("--mend", is_flag=True, help="Write images again that are turned by EXIF, in CMYK, of 16 bits or "
                     "animated, as a person sees them."),
        click.option("--bad-rows", type=click.Choice(["refuse", "skip"]), default="refuse", show_default=True,
                     help="Write no parquet if a row is bad, or leave it out."),
        click.option("--split", default="train", show_default=True, help="Of data sets saved by Hugging Face."),
        click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="parquet to write."),
        click.argument("sources", nargs=-1, required=True, type=PATH),
    ):  # fmt: skip
        command = decorate(command)
    return command


@convert.command(short_help="Make rows for RL from questions and answers.")
@_common
@click.option("--question", default="", help="Column of the question.  [default: the usual ones]")
@click.option("--answer", default="", help="Column of the right answer, or of several.  [default: the usual ones]")
@click.option("--image", default="", help="Column of the image, or of several.  [default: the usual ones]")
@click.option("--data-source", default="", help="Name of the set.  [default: the row's, else the file's]")
@click.option("--system", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Text file: a system prompt for all rows that have none.")  # fmt: skip
def rl(sources: tuple[Path, ...], out: Path, split: str, bad_rows: Any, system: Path | None, **form: Any) -> None:
    """Make rows for RL from SOURCES: parquet or JSON files, folders of them, saved Hugging Face data sets.

    \b
        verl-hdpo convert rl metis_rl/ --out train.parquet --bad-rows skip
        verl-hdpo convert rl vstar/metadata.jsonl --question text --answer label --out vstar.parquet

    Rows may be verl's, or question, image and answer. Images: bytes, base64, paths from the file's folder, PIL.
    """
    with needs_extra("tools"):
        from verl_hdpo.evaluation.datasets.convert import convert
        from verl_hdpo.evaluation.datasets.rl_rows import RlForm
        from verl_hdpo.runs.terminal import say_each
        from verl_hdpo.runs.user_text import read_text
    made = RlForm(system=read_text(system).strip() if system else "", **form)
    say_each(f"converting to {out}", convert(sources, out, made, bad_rows, split))


@convert.command(short_help="Make rows for verl's SFT trainer from trajectories.")
@_common
@click.option("--messages", default="", help="Column of the chat.  [default: messages, conversations]")
@click.option("--image", default="", help="Column of the images.  [default: images]")
def sft(sources: tuple[Path, ...], out: Path, split: str, bad_rows: Any, **form: Any) -> None:
    """Make rows for verl's SFT trainer from SOURCES: trajectories with messages, or their JSON, and images.

    \b
        verl-hdpo convert sft metis_cold_start/ --out cold_start.parquet --bad-rows skip --mend
    """
    with needs_extra("tools"):
        from verl_hdpo.evaluation.datasets.convert import convert
        from verl_hdpo.evaluation.datasets.sft_rows import SftForm
        from verl_hdpo.runs.terminal import say_each
    say_each(f"converting to {out}", convert(sources, out, SftForm(**form), bad_rows, split))
