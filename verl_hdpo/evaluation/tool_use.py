"""What the records of one model say of its tool use.

Of question q and its rollouts i in the arm ``free``: u_i = 1 if a tool was called, c_i = 1 if the answer is right;
p0_q and p1_q: the share of right answers in the arms ``without`` and ``forced``.

    needless   mean over q of mean_i(u_i) p0_q                  called, where the model answers right without
    missed     mean over q of mean_i((1 - u_i)(1 - c_i)) p1_q   not called and wrong, where it answers right with a call

Rollouts of unknown outcome play no part in what needs the outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from verl_hdpo.evaluation.estimate import Estimate, mean, share
from verl_hdpo.evaluation.record import Record, by_question

ALL = "all"

TITLES = {
    "tool_use_rate": "answers with a tool call",
    "calls": "calls per answer",
    "accuracy": "accuracy",
    "accuracy_given_tool": "  of those with a call",
    "accuracy_given_no_tool": "  of those without one",
    "accuracy_without": "accuracy without tools",
    "accuracy_forced": "accuracy with a forced call",
    "gain_from_tools": "gain from having tools",
    "needless": "needless: called, right without",
    "needless_share": "  of the answers with a call",
    "missed": "missed: not called, wrong, right with",
    "missed_share": "  of those without one and wrong",
    "unknown": "outcome unknown",
}
"""Figure -> what tables and plots call it, in their order."""

NO_RATES = ("calls", "gain_from_tools")
"""Figures that are no shares: a mean count, and a difference."""

_Questions = dict[int, list[Record]]


def figures(records: Sequence[Record], seed: int = 0) -> dict[str, Estimate]:
    """Every figure of ``TITLES`` that the arms in ``records`` allow."""
    free, without, forced = (by_question(records, arm) for arm in ("free", "without", "forced"))
    right_without, right_forced = _right(without), _right(forced)
    found = {
        "tool_use_rate": _share(free, lambda r: True, _used),
        "calls": mean([sum(r.calls for r in rows) / len(rows) for rows in free.values()], seed),
        "accuracy": _share(free, is_known, _correct),
        "accuracy_given_tool": _share(free, lambda r: is_known(r) and _used(r), _correct),
        "accuracy_given_no_tool": _share(free, lambda r: is_known(r) and not _used(r), _correct),
        "accuracy_without": _share(without, is_known, _correct),
        "accuracy_forced": _share(forced, is_known, _correct),
        "gain_from_tools": mean([*differences(free, without, _correct, is_known).values()], seed),
        "needless": _joint(free, right_without, lambda r: True, _used, each=True),
        "needless_share": _joint(free, right_without, _used, _used),
        "missed": _joint(free, right_forced, is_known, _direct_and_wrong, each=True),
        "missed_share": _joint(free, right_forced, _direct_and_wrong, _direct_and_wrong),
        "unknown": _share(free, lambda r: True, lambda r: not is_known(r)),
    }
    return {name: estimate for name, estimate in found.items() if estimate.questions}


def per_source(records: Sequence[Record], seed: int = 0) -> dict[str, dict[str, Estimate]]:
    """:func:`figures` of each data source, and of all of them if there are several."""
    sources = sorted({record.source for record in records})
    found = {source: figures([r for r in records if r.source == source], seed) for source in sources}
    return {ALL: figures(records, seed), **found} if len(sources) > 1 else found


def differences(
    one: _Questions, other: _Questions, of: Callable[[Record], float], where: Callable[[Record], bool] = lambda r: True
) -> dict[int, float]:
    """Mean of ``of`` over a question's rollouts ``where`` in ``one``, less that in ``other``; questions of both."""
    found = {}
    for question in one.keys() & other.keys():
        means = [[float(of(r)) for r in rows[question] if where(r)] for rows in (one, other)]
        if all(means):
            first, second = (sum(values) / len(values) for values in means)
            found[question] = first - second
    return dict(sorted(found.items()))


def _share(questions: _Questions, where: Callable[[Record], bool], hit: Callable[[Record], bool]) -> Estimate:
    counted = [[r for r in rows if where(r)] for rows in questions.values()]
    return share([sum(map(hit, rows)) for rows in counted], [len(rows) for rows in counted])


def _joint(
    questions: _Questions,
    right: Mapping[int, float],
    where: Callable[[Record], bool],
    hit: Callable[[Record], bool],
    each: bool = False,
) -> Estimate:
    """Share of ``hit`` times p_q among the rollouts ``where``; ``each`` question with the same weight, or each rollout.

    Only questions whose p_q is known take part.
    """
    hits, weights = [], []
    for question, rows in questions.items():
        if question in right:
            counted = [r for r in rows if where(r)]
            unit = len(counted) or 1 if each else 1
            hits.append(sum(map(hit, counted)) * right[question] / unit)
            weights.append(len(counted) / unit)
    return share(hits, weights)


def _right(questions: _Questions) -> dict[int, float]:
    """Share of right answers among the known ones of each question that has any."""
    known = {question: [r for r in rows if is_known(r)] for question, rows in questions.items()}
    return {question: sum(map(_correct, rows)) / len(rows) for question, rows in known.items() if rows}


def _used(record: Record) -> bool:
    return record.calls > 0


def is_known(record: Record) -> bool:
    return record.correct is not None


def _correct(record: Record) -> bool:
    return bool(record.correct)


def _direct_and_wrong(record: Record) -> bool:
    return record.calls == 0 and record.correct is False
