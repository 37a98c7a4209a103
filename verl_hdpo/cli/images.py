"""``verl-hdpo images``: the precomputed results of the image search tool."""

from __future__ import annotations

from pathlib import Path

import click

from verl_hdpo.cli.numbers import Whole
from verl_hdpo.runs.verl_command import needs_extra


@click.group()
def images() -> None:
    """Make the precomputed results of the image_search tool."""


@images.command(short_help="Pack results and their pictures into one file.")
@click.argument("results", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="File to write; must not exist.")
@click.option("--max-side", type=Whole(1), default=448, show_default=True, help="Longer side of a picture, in pixels.")
def build(results: Path, out: Path, max_side: int) -> None:
    """Pack RESULTS, a jsonl file, and the pictures that it names into one file.

    \b
        {"key": "sample-17", "results": [{"title": "...", "url": "...", "image": "pictures/1.jpg"}, ...]}
        {"query_image": "queries/18.jpg", "results": []}
    """
    with needs_extra("tools"):
        from verl_hdpo.tools.images.build import build as build_results
    from verl_hdpo.runs.terminal import progress, say

    with progress("reading", results.stat().st_size) as advance:
        report = build_results(results, out, max_side, advance)
    say(f"{report.samples} samples, {report.images} pictures, {out.stat().st_size / 2**20:.1f} MiB in {out}")
    if report.left_out:
        say(f"{report.left_out} pictures could not be read or are too thin; their titles are kept")
