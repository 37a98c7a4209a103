"""``exchanges``: the model's turns, each with its calls and what tools answered to them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from verl_hdpo.evaluation.dumps.rollout import Call, Turn


@dataclass
class Exchange:
    """A turn of the model and what came back.

    Attributes:
        said: the model's turn.
        answers: to its calls, in their order; None for a call without an answer, one that never ran.
        others: what came in between and answers no call.
    """

    said: Turn
    answers: list[tuple[Call, Turn | None]] = field(default_factory=list)
    others: list[Turn] = field(default_factory=list)


def exchanges(turns: Iterable[Turn]) -> list[Exchange]:
    """The turns of a rollout, those of tools with the calls that they answer.

    Tools answer in the order of the calls. Calls beyond what runs at a time come last, and have no answer.
    """
    found: list[Exchange] = []
    for turn in turns:
        if turn.role == "assistant":
            found.append(Exchange(turn, [(call, None) for call in turn.calls]))
            continue
        last = found[-1] if found else None
        if last is None:
            last = Exchange(Turn("assistant", ""))
            found.append(last)
        waiting = [at for at, (_, answer) in enumerate(last.answers) if answer is None]
        if turn.role == "tool" and waiting:
            last.answers[waiting[0]] = last.answers[waiting[0]][0], turn
        else:
            last.others.append(turn)
    return found
