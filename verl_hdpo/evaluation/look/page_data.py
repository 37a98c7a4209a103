"""What the page is given: an index of all rollouts, small, and the dialogues in blocks that it unpacks when needed."""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from verl_hdpo.evaluation.dumps.rollout import Rollout, Turn
from verl_hdpo.evaluation.dumps.siblings import by_group, call_needs

BLOCK = 250
"""Rollouts whose dialogues are unpacked together."""
SNIPPET = 120
"""Characters of the question in the list."""


def rows_of(rollouts: Sequence[Rollout]) -> list[dict[str, Any]]:
    """A row per rollout: what is filtered, sorted and listed, and what its siblings are compared by; None: not told."""
    needs = {one.id: need for group in by_group(rollouts) for one, need in zip(group, call_needs(group), strict=True)}
    groups = {name: number for number, name in enumerate(dict.fromkeys(one.group for one in rollouts))}
    return [
        {
            "id": one.id.encode(errors="replace").decode(),  # an address cannot hold half a character
            "phase": one.phase,
            "source": one.source or None,
            "step": one.step,
            "group": groups[one.group],
            "number": one.number,
            "outcome": one.outcome,
            "need": needs[one.id] or None,
            "calls": one.calls,
            "tools": one.tools,
            "written": one.written,
            "reward": one.reward,
            "r_acc": one.r_acc,
            "r_tool": one.r_tool,
            "a_acc": one.advantage,
            "a_tool": one.tool_advantage,
            "verdict": one.verdict or None,
            "lost": one.lost or None,
            "question": _question(one.prompt),
        }
        for one in rollouts
    ]


def index_of(rollouts: Sequence[Rollout]) -> list[dict[str, Any]]:
    """The rows for the page, without what is empty in them."""
    return [_without_empty(row) for row in rows_of(rollouts)]


def details_of(rollout: Rollout) -> dict[str, Any]:
    """The rest, shown of the one rollout that is looked at."""
    return _without_empty(
        {
            "prompt": [_turn(turn) for turn in rollout.prompt],
            "turns": [_turn(turn) for turn in rollout.turns],
            "reference": rollout.reference,
            "answer": rollout.answer,
            "accuracy": rollout.accuracy,
            "counted": rollout.counted,
            "ledger": rollout.ledger and rollout.ledger.to_dict(),
            "estimator": rollout.estimator,
            "file": rollout.file,
            "extras": dict(rollout.extras),
        }
    )


def blocks_of(rollouts: Sequence[Rollout]) -> Iterator[str]:
    """The details of ``BLOCK`` rollouts each, packed."""
    for start in range(0, len(rollouts), BLOCK):
        yield packed([details_of(one) for one in rollouts[start : start + BLOCK]])


def packed(value: Any) -> str:
    """JSON, gzip, base64: letters that no text of a model can break out of."""
    dumps = partial(json.dumps, separators=(",", ":"), default=str, allow_nan=False)
    try:
        text = dumps(value)
    except ValueError:
        text = dumps(_finite(value))
    return base64.b64encode(gzip.compress(text.encode(), compresslevel=6, mtime=0)).decode()


def _turn(turn: Turn) -> dict[str, Any]:
    return _without_empty({**vars(turn), "calls": [_without_empty(vars(call)) for call in turn.calls]})


def _question(prompt: Sequence[Turn]) -> str:
    asked = next((turn.text for turn in reversed(prompt) if turn.role == "user"), "")
    return " ".join(asked[: 4 * SNIPPET].split())[:SNIPPET]


def _without_empty(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if value is not None and value != "" and value not in ([], (), {})}


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {str(key): _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple) else value
