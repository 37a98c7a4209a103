"""verl's dumps, ``trainer.rollout_data_dir`` and ``trainer.validation_data_dir``, with what this package adds to them.

verl writes a line per output of an agent loop. Of a rollout with several outputs only the last is read: it alone
carries the verdict. Padding rows are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from verl_hdpo.evaluation.dumps.call_count import call_count
from verl_hdpo.evaluation.dumps.dialogue import assistant_turn, message_turns, prompt_turns, response_turns, tool_turns
from verl_hdpo.evaluation.dumps.finite import finite
from verl_hdpo.evaluation.dumps.lines import json_lines
from verl_hdpo.evaluation.dumps.rollout import Call, Counted, Outcome, Rollout, Turn
from verl_hdpo.outcomes.ledger import ToolLedger
from verl_hdpo.outcomes.sidecar import CallNote, sidecar_path
from verl_hdpo.runs.json_files import Line

OWN = {"input", "output", "gts", "score", "step", "uid"}
"""Keys of verl's own in each line."""
_READ = (
    "acc",
    "outcome_known",
    "outcome_source",
    "accuracy_reward",
    "tool_reward",
    "tool_calls",
    "answer_seen",
    "hdpo_signal",
    "reward",
)


def matches(path: Path, first: Mapping[str, Any]) -> bool:
    """Whether ``first`` is a line of verl's."""
    return {"input", "output", "score"} <= first.keys()


def read(path: Path, name: str) -> Iterator[Rollout]:
    """The rollouts of a dump.

    Args:
        name: of the file, with which ids and groups begin.
    """
    notes = _notes(path)
    lines = [line for line in json_lines(path) if not _is_padding(line.row)]
    last: dict[Any, tuple[int, list[Line]]] = {}
    for line in lines:
        key, _, index = _parts(line)
        if key not in last or index > last[key][0]:
            last[key] = index, [line]
        elif index == last[key][0]:
            last[key][1].append(line)  # a row written twice: both are read
    seen: set[Any] = set()
    for line in (line for _, same in last.values() for line in same):
        one = _rollout(path, name, line, notes)
        yield replace(one, id=f"{one.id}~{line.number}") if one.id in seen else one
        seen.add(one.id)


def _rollout(path: Path, name: str, line: Line, notes: Mapping[str, Mapping[str, Any]]) -> Rollout:
    row = line.row
    (uid, number), _, _ = _parts(line)
    note = notes.get(str(row.get("uid"))) or notes.get(uid) or {}
    told = {**{key: value for key, value in row.items() if key not in OWN}, **(note.get("reported") or {})}
    turns = _turns(row, note)
    ledger = ToolLedger.from_dict(note["ledger"]) if note.get("ledger") else None
    calls, counted = _calls(turns, note, told, f"{path}, line {line.number}, tool_calls")
    outcome, verdict = _outcome(row, note, told)
    is_validation = "reward" in row
    return Rollout(
        id=f"{name}:{row.get('uid') or line.number}",
        phase="validation" if is_validation else "train",
        source=str(note.get("data_source") or ""),
        step=_whole(row.get("step")),
        group=f"{name}:{uid}",
        number=number,
        prompt=message_turns(note["prompt"]) if note.get("prompt") else prompt_turns(str(row["input"])),
        turns=turns,
        reference="" if row.get("gts") is None else str(row["gts"]),
        outcome=outcome,
        accuracy=_number(told.get("acc")),
        reward=_number(row["score"]),
        verdict=verdict,
        answer=told.get("answer_seen"),
        lost=str(note.get("lost") or ""),
        calls=calls,
        counted=counted,
        ledger=ledger,
        r_acc=_number(told.get("accuracy_reward")),
        r_tool=_number(told.get("tool_reward")),
        advantage=_number(note.get("advantage")),
        tool_advantage=_number(note.get("tool_advantage")),
        estimator=str(note.get("estimator") or ""),
        file=str(path),
        extras={key: value for key, value in told.items() if key not in _READ},
    )


def _parts(line: Line) -> tuple[tuple[str, int], str, int]:
    """((group, rollout), key, output) by verl's key; a dump without keys is grouped by its prompts."""
    key = str(line.row.get("uid") or "")
    parts = key.rsplit("_", 2)
    if len(parts) == 3 and parts[1].isdigit() and parts[2].isdigit():
        return (parts[0], int(parts[1])), key, int(parts[2])
    return (key or str(line.row["input"]), line.number), key, 0


def _is_padding(row: Mapping[str, Any]) -> bool:
    """verl makes up rows to fill a batch (``padding_utils.upsample_batch_to_divisible_size``)."""
    uid = str(row.get("uid") or "")
    return uid.startswith("pad") and len(uid.partition("_")[0]) == len("pad") + 32


def _notes(path: Path) -> dict[str, Mapping[str, Any]]:
    sidecar = sidecar_path(path)
    return {str(line.row.get("uid")): line.row for line in json_lines(sidecar)} if sidecar.is_file() else {}


def _turns(row: Mapping[str, Any], note: Mapping[str, Any]) -> tuple[Turn, ...]:
    log: list[CallNote] | None = note.get("call_log")
    if note.get("lost"):  # verl is given one token in place of what was said
        made = sorted({call["turn"] for call in log or ()})
        return tuple(Turn("assistant", "", calls=_logged(log or [], turn)) for turn in made)
    if "segments" not in note:
        return response_turns(str(row["output"]))
    turns: list[Turn] = []
    images: Iterator[list[str]] = iter(())
    number = -1
    for who, text in note["segments"]:
        if who == "model":
            number += 1
            turn = assistant_turn(text)
            turns.append(turn if log is None else replace(turn, calls=_logged(log, number)))
            images = (call.get("images", []) for call in log or () if call["turn"] == number)
        else:
            turns += [replace(turn, images=tuple(next(images, []))) for turn in tool_turns(text)]
    return tuple(turns)


def _logged(log: Sequence[CallNote], turn: int) -> tuple[Call, ...]:
    """The calls of a turn as the loop's own parser read them."""
    own = (call for call in log if call["turn"] == turn)
    return tuple(Call(call["name"], call["arguments"], call["status"], call.get("seconds")) for call in own)


def _calls(
    turns: tuple[Turn, ...], note: Mapping[str, Any], told: Mapping[str, Any], where: str
) -> tuple[int | None, Counted | None]:
    if note.get("calls") is not None:
        return int(note["calls"]), "ledger" if note.get("ledger") else "report"
    if (reported := call_count(told.get("tool_calls"), where)) is not None:
        return reported, "report"
    return sum(len(turn.calls) for turn in turns), "text"


def _outcome(row: Mapping[str, Any], note: Mapping[str, Any], told: Mapping[str, Any]) -> tuple[Outcome | None, str]:
    """What the trainer took it for; else what was reported; else the score, right above 0.5."""
    verdict = str(note.get("verdict") or told.get("outcome_source") or "")
    if note.get("lost") or verdict == "lost":
        return "lost", verdict
    if "known" in note:
        return ("correct" if note["correct"] else "wrong") if note["known"] else "unknown", verdict
    if told.get("outcome_known") is not None and not told["outcome_known"]:
        return "unknown", verdict
    if "acc" in told:
        accuracy = _number(told["acc"])
        return ("unknown" if accuracy is None else "correct" if accuracy > 0.5 else "wrong"), verdict
    score = _number(row["score"])
    return (None if score is None else "correct" if score > 0.5 else "wrong"), verdict or "score"


def _number(value: Any) -> float | None:
    """``value`` as a finite or infinite float; None for NaN and what is not a number."""
    if isinstance(value, bool | int | float) and value == value:
        return float(value)
    return None


def _whole(value: Any) -> int | None:
    number = finite(value)
    return None if number is None else int(number)
