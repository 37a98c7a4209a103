"""BFCL's single-turn rows on whether to call at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from verl_hdpo.evaluation.benchmarks.question import SILENT, Question, json_rows, tool_of

SHOULD_CALL = {"irrelevance": False, "live_irrelevance": False, "live_relevance": True, "chatable": False}
"""Part -> whether its rows should call a tool. The rows of ``chatable`` come with none."""


def read(files: Mapping[str, Path], seed: int) -> list[Question]:
    """The rows of all parts."""
    found: list[Question] = []
    for part, should_call in SHOULD_CALL.items():
        for row in json_rows(files[part]):
            asked = row["question"]
            found.append(
                Question(
                    number=len(found),
                    source=part,
                    messages=[{"role": "user", "content": asked}] if isinstance(asked, str) else asked[0],
                    tools=[tool_of(function) for function in row["function"] or ()],
                    should_call=should_call,
                    wanted=("call",) if should_call else SILENT,
                )
            )
    return found
