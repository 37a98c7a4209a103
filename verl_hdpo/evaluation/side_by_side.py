"""Two models on the same questions, sample by sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from verl_hdpo.evaluation.estimate import Estimate, mean
from verl_hdpo.evaluation.record import Record, RecordError, by_question
from verl_hdpo.evaluation.tool_use import ALL, differences, is_known

Compared: TypeAlias = tuple[Callable[[Record], float], Callable[[Record], bool]]
"""What of a rollout, and which rollouts have it."""

COMPARED: dict[str, Compared] = {
    "tool_use_rate": (lambda r: r.calls > 0, lambda r: True),
    "calls": (lambda r: r.calls, lambda r: True),
    "accuracy": (lambda r: bool(r.correct), is_known),
}
"""What is compared of two models, where nothing else is said."""


@dataclass(frozen=True)
class Difference(Estimate):
    """The second model less the first, over the questions where both have it: mean and paired bootstrap's interval.

    Attributes:
        more, fewer: questions on which the second has more, or less, of it.
    """

    more: int
    fewer: int


def side_by_side(
    first: Sequence[Record], second: Sequence[Record], seed: int = 0, compared: Mapping[str, Compared] = COMPARED
) -> dict[str, dict[str, Difference]]:
    """What changed from ``first`` to ``second``, by data source (and ``all``) and figure.

    Args:
        compared: the figures.

    Raises:
        RecordError: the two were asked something else under the same number.
    """
    asked = {record.question: record.asked for record in first}
    if other := next((r for r in second if asked.get(r.question, r.asked) != r.asked), None):
        raise RecordError(
            f"question {other.question} is not the same for both models: verl left out prompts that are too long for "
            f"one of them; set data.filter_overlong_prompts=False, or a data.max_prompt_length that holds all"
        )
    sources = sorted({record.source for record in first} & {record.source for record in second})
    found: dict[str, dict[str, Difference]] = {}
    for source in [ALL, *sources] if len(sources) > 1 else sources:
        chosen = [by_question([r for r in records if source in (ALL, r.source)], "free") for records in (first, second)]
        found[source] = {}
        for name, (of, where) in compared.items():
            paired = list(differences(chosen[1], chosen[0], of, where).values())
            more, fewer = sum(d > 0 for d in paired), sum(d < 0 for d in paired)
            found[source][name] = Difference(**asdict(mean(paired, seed)), more=more, fewer=fewer)
    return found


def joined(first: Sequence[Record], second: Sequence[Record]) -> Iterator[dict[str, Any]]:
    """One row per rollout that both models have in the arm ``free``."""
    others = {record.key: record for record in second}
    for record in sorted(first, key=lambda r: r.key):
        other = others.get(record.key)
        if record.arm == "free" and other is not None:
            yield {
                "question": record.question,
                "rollout": record.rollout,
                "source": record.source,
                "first_calls": record.calls,
                "second_calls": other.calls,
                "first_correct": record.correct,
                "second_correct": other.correct,
                "first_response": record.response,
                "second_response": other.response,
            }
