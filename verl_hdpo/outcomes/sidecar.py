"""What the trainer writes beside verl's dump: ``DIR/hdpo_notes/{step}.jsonl`` beside ``DIR/{step}.jsonl``.

In a folder of its own because verl's viewer takes the name of every file in ``DIR`` for a step.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypedDict

FOLDER = "hdpo_notes"


class CallNote(TypedDict, total=False):
    """A tool call as the agent loop saw it.

    Attributes:
        turn: number of the model's turn that made it, from 0.
        name, arguments: as verl's parser read them.
        status: of the ledger.
        seconds: that it took.
        images: that the tool answered with, as ``data:`` URIs.
    """

    turn: int
    name: str
    arguments: str
    status: str
    seconds: float
    images: list[str]


class Note(TypedDict, total=False):
    """One line. Of a validation, which verl's own dump says more of, only the first two are written.

    Attributes:
        uid: verl's key, ``{uid}_{session}_{index}``; of a validation, the ``{uid}`` of the prompt.
        data_source: of the row.
        prompt: its messages; images as ``data:`` URIs.
        segments: [who, text] of each stretch of the response, ``model`` or ``tools``, with special tokens.
        call_log: of the agent loop ``hdpo_tool_agent``.
        known, correct: the outcome that the trainer took.
        verdict: which check decided.
        lost: what ended the rollout.
        calls, cost: T and C.
        ledger: ``ToolLedger.to_dict()``.
        reported: ``reward_extra_info``.
        advantage, tool_advantage: A_acc and A_tool, one number per rollout.
        estimator: ``algorithm.adv_estimator``.
    """

    uid: str
    data_source: str
    prompt: list[dict[str, Any]]
    segments: list[tuple[str, str]]
    call_log: list[CallNote]
    known: bool
    correct: bool
    verdict: str
    lost: str
    calls: int
    cost: float
    ledger: dict[str, Any] | None
    reported: dict[str, Any]
    advantage: float | None
    tool_advantage: float | None
    estimator: str


def sidecar_path(dump: Path) -> Path:
    """Of verl's file ``dump``."""
    return dump.parent / FOLDER / dump.name


def write_notes(notes: Iterable[Note], path: Path) -> None:
    """Write the whole file, complete or absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8", errors="replace") as file:
        file.writelines(json.dumps(note, ensure_ascii=False, default=str) + "\n" for note in notes)
    part.replace(path)
