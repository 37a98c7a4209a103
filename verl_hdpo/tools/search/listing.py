"""``show``: what a query finds in a local index, for a person."""

from __future__ import annotations

from pathlib import Path

from verl_hdpo.runs.terminal import say, show_json
from verl_hdpo.tools.search.local_index import OpenIndex
from verl_hdpo.tools.search.passage import NOTHING_FOUND


def show(query: str, folder: Path, topk: int, as_json: bool) -> None:
    """Print the best ``topk`` passages.

    Raises:
        ToolConfigError: no index in ``folder``.
    """
    found = OpenIndex(folder).scored(query, topk)
    if as_json:
        show_json([{"score": score, **passage._asdict()} for score, passage in found])
        return
    for number, (score, passage) in enumerate(found, 1):
        say(f"[{number}] {passage.title or passage.source}", "bold")
        say(f"score {score:.2f}, source {passage.source}", "dim")
        say(f"{passage.text}\n")
    if not found:
        say(NOTHING_FOUND)
