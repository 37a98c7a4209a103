"""``Record``: what became of one rollout, and the file that holds those of one model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

Arm = Literal["free", "without", "forced", "counterfactual"]
ARMS: tuple[Arm, ...] = get_args(Arm)
"""``free``: with tools, as in training. ``without``: none can be called. ``forced``: it begins with a call.
``counterfactual``: as ``free`` up to the last answers of its tools, in whose place others stand."""
DEFAULT_ARMS: tuple[Arm, ...] = ("free", "without", "forced")


class RecordError(ValueError):
    """A file of records that cannot be gone on with; the message says what to do."""


@dataclass(frozen=True)
class Record:
    """One rollout.

    Attributes:
        arm: what the model could do.
        question: row of the data set.
        rollout: number among those of the same question and arm.
        source: ``data_source``.
        calls: T, the number of tool calls.
        correct: whether the answer is right; None where that is not known.
        response: all that was written, by the model and by its tools.
        asked: fingerprint of the question's prompt and ground truth.
        messages: of the prompt; this and what follows is for ``verl-hdpo look``.
        reference: the ground truth.
        verdict: which check decided.
        answer: what it saw.
        ledger: ``ToolLedger.to_dict()``; None where the loop kept none.
        turns: the tokens of each turn of the model; only where it called a tool and a counterfactual is asked for.
        answers: with them, the name of each tool that answered, and what it answered.
        last_turn: text of the last of the turns.
        exchanged: of a counterfactual rollout, each tool's name, its answer, and what stands in its place.
        should_call: whether a label says that a tool is to be called; None where there is no label.
        decision: of an answer to a benchmark: call, ask, refuse, answer, undecided.
        unoffered: it calls a tool that is not in its prompt.
        cut_off: it was ended at its limit of tokens.
    """

    arm: Arm
    question: int
    rollout: int
    source: str
    calls: int
    correct: bool | None
    response: str = ""
    asked: str = ""
    messages: list[dict[str, Any]] = field(default_factory=list)
    reference: str = ""
    verdict: str = ""
    answer: str = ""
    ledger: dict[str, Any] | None = None
    turns: list[list[int]] = field(default_factory=list)
    answers: list[list[str]] = field(default_factory=list)
    last_turn: str = ""
    exchanged: list[list[str]] = field(default_factory=list)
    should_call: bool | None = None
    decision: str = ""
    unoffered: bool = False
    cut_off: bool = False

    @property
    def key(self) -> tuple[str, int, int]:
        return self.arm, self.question, self.rollout


class RecordFile:
    """Records as lines of JSON below a first line that says what they are of; a killed evaluation goes on from it.

    Nothing is written before the first record.

    Args:
        path: of the file.
        made_of: all that the records depend on, in plain containers.

    Raises:
        RecordError: the file is of something else, or is none of this kind.
    """

    def __init__(self, path: Path, made_of: dict[str, Any]):
        self.path = path
        digest = hashlib.sha256(json.dumps(made_of, sort_keys=True, default=str).encode()).hexdigest()[:16]
        self._head = {"key": digest, **made_of}
        self.records: dict[tuple[str, int, int], Record] = {}
        if path.exists():
            self._read()

    def add(self, record: Record) -> None:
        """Keep ``record``, on disk as well."""
        first = [] if self.records else [self._head]
        self.records[record.key] = record
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "w" if first else "a") as out:
            out.writelines(json.dumps(line, default=str) + "\n" for line in [*first, asdict(record)])

    def _read(self) -> None:
        text = self.path.read_text()
        whole = text[: text.rfind("\n") + 1]
        if whole != text:  # the line at which a killed evaluation stopped
            self.path.write_text(whole)
        head, *lines = whole.splitlines() or [""]
        try:
            found = json.loads(head)
            known = {one.name for one in fields(Record)}
            records = [Record(**{k: v for k, v in json.loads(line).items() if k in known}) for line in lines]
            same = found["key"] == self._head["key"]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise RecordError(f"{self.path} holds no records ({error}); remove it or give another --out") from None
        if records and not same:
            now = json.loads(json.dumps(self._head, default=str))
            changed = sorted(key for key in {*found, *now} - {"key"} if found.get(key) != now.get(key))
            raise RecordError(
                f"{self.path} holds an evaluation with other settings ({', '.join(changed)}); remove it or give "
                f"another --out"
            )
        self.records = {record.key: record for record in records}


def by_question(records: Iterable[Record], arm: Arm) -> dict[int, list[Record]]:
    """The records of one arm, by question."""
    found: dict[int, list[Record]] = {}
    for record in sorted(records, key=lambda r: r.key):
        if record.arm == arm:
            found.setdefault(record.question, []).append(record)
    return found


def pending(
    arms: Sequence[Arm], questions: int, rollouts: int, done: Mapping[Any, Record]
) -> Iterator[tuple[Arm, int, int]]:
    """(arm, question, rollout) of every rollout still to make, those of unknown outcome once more.

    Counterfactual rollouts come after the free ones that they change; of those with a call the turns must be known.
    """
    for arm in arms:
        if arm == "counterfactual":
            continue
        for question in range(questions):
            for rollout in range(rollouts):
                found = done.get((arm, question, rollout))
                unplayable = arm == "free" and "counterfactual" in arms and found and found.calls and not found.turns
                if found is None or found.correct is None or unplayable:
                    yield arm, question, rollout
