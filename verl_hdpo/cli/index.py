"""``verl-hdpo index``: the local index of the text search tool."""

from __future__ import annotations

from pathlib import Path

import click

from verl_hdpo.cli.numbers import Whole
from verl_hdpo.runs.verl_command import needs_extra


@click.group()
def index() -> None:
    """Make and try the local index of the text_search tool."""


@index.command(short_help="Index the passages of jsonl and parquet files.")
@click.argument("corpus", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to write; must not exist.")
@click.option(
    "--language", default="english", show_default=True, help="Whose word endings to cut off; 'none' for none."
)
@click.option("--text", default="text", show_default=True, help="Column of the passage's text.")
@click.option("--title", default="title", show_default=True, help="Column of its title.")
@click.option("--source", default="id", show_default=True, help="Column of its id or URL.")
@click.option("--threads", type=Whole(0), default=0, help="Threads of the indexer; 0: one per core, at most 8.")
def build(corpus: tuple[Path, ...], out: Path, language: str, text: str, title: str, source: str, threads: int) -> None:
    """Index the passages of CORPUS: .jsonl, .jsonl.gz or .parquet files, one passage per row.

    A row without a text column may have "contents" instead, title and text in one, as in Search-R1's corpora.
    """
    with needs_extra("tools"):
        from verl_hdpo.tools.search.corpus import Columns, passages
        from verl_hdpo.tools.search.index_build import build as build_index
    from verl_hdpo.runs.outputs import check_apart
    from verl_hdpo.runs.terminal import progress, say

    check_apart(out, corpus)
    with progress("reading", sum(file.stat().st_size for file in corpus)) as advance:
        rows = passages(corpus, Columns(text, title, source), advance)
        manifest, mended = build_index(rows, out, None if language == "none" else language, threads)
    stored = sum(file.stat().st_size for file in out.iterdir())
    say(f"{manifest.passages} passages, {stored / 2**20:.1f} MiB in {out}")
    if mended:
        say(f"{mended} passages held characters that are not valid Unicode; they were replaced", err=True)


@index.command(short_help="Print the passages that a query finds, best first.")
@click.argument("query")
@click.option("--index", "folder", required=True, type=click.Path(path_type=Path), help="Folder that build wrote.")
@click.option("--topk", type=Whole(1, 1000), default=3, show_default=True, help="Passages to show.")
@click.option("--json", "as_json", is_flag=True, help="Print score, title, text and source of each as JSON.")
def search(query: str, folder: Path, topk: int, as_json: bool) -> None:
    """Print the passages that QUERY finds, best first, with their BM25 scores.

    \b
        verl-hdpo index search 'capital of Peru' --index wiki.index
    """
    with needs_extra("tools"):
        from verl_hdpo.tools.search.listing import show
    show(query, folder, topk, as_json)
