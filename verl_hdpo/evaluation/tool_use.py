"""What the records of one model say of its tool use.

Of question q and its rollouts i in the arm ``free``: u_i = 1 if a tool was called, c_i = 1 if the answer is right;
p0_q and p1_q: the share of right answers in the arms ``without`` and ``forced``.

    needless   mean over q of mean_i(u_i) p0_q                  called, where the model answers right without
    missed     mean over q of mean_i((1 - u_i)(1 - c_i)) p1_q   not called and wrong, where it answers right with a call

Where the data have labels (``extra_info.should_call``), they are a second definition, beside these:

    over_calling   share of calls where none should be made
    call_recall    share of calls where one should be made

Of the rollouts whose last tool answers were exchanged for others (the arm ``counterfactual``):

    without_looking   share in which the model then says what it said before, and calls no more than before

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
    "accuracy_given_no_tool": "  of those without a call",
    "accuracy_without": "accuracy without tools",
    "accuracy_forced": "accuracy with a forced call",
    "gain_from_tools": "gain from having tools",
    "needless": "needless: called, right without",
    "needless_share": "  of the answers with a call",
    "missed": "missed: not called, wrong, right with",
    "missed_share": "  of those without a call and wrong",
    "over_calling": "over-calling: called, label says no",
    "call_recall": "recall: called, label says yes",
    "without_looking": "calls without looking",
    "exchangeable": "  of the answers with a call, those tried",
    "unknown": "outcome unknown",
}
"""Figure -> what tables and plots call it, in their order."""

NO_RATES = ("calls", "gain_from_tools")
"""Figures that are no shares: a mean count, and a difference."""

_Questions = dict[int, list[Record]]


def is_called(record: Record) -> bool:
    """Whether a tool was called, or a call was announced where a benchmark asks for that."""
    return record.decision == "call" if record.decision else record.calls > 0


LABELLED: dict[str, tuple[Callable[[Record], bool], Callable[[Record], bool]]] = {
    "over_calling": (is_called, lambda r: r.should_call is False),
    "call_recall": (is_called, lambda r: r.should_call is True),
}
"""Figure -> what of a rollout, and which rollouts have it. Both are given wherever one is: silence wins one of them."""


def figures(records: Sequence[Record], seed: int = 0) -> dict[str, Estimate]:
    """Every figure of ``TITLES`` that the arms in ``records`` allow."""
    free, without, forced = (by_question(records, arm) for arm in ("free", "without", "forced"))
    other = by_question(records, "counterfactual")
    read = {record.key[1:]: record for rows in free.values() for record in rows}
    tried = {record.key[1:] for rows in other.values() for record in rows if record.exchanged}
    right_without, right_forced = _right(without), _right(forced)
    found = {
        "tool_use_rate": share_of(free, lambda r: True, _used),
        "calls": mean([sum(r.calls for r in rows) / len(rows) for rows in free.values()], seed),
        "accuracy": share_of(free, is_known, _correct),
        "accuracy_given_tool": share_of(free, lambda r: is_known(r) and _used(r), _correct),
        "accuracy_given_no_tool": share_of(free, lambda r: is_known(r) and not _used(r), _correct),
        "accuracy_without": share_of(without, is_known, _correct),
        "accuracy_forced": share_of(forced, is_known, _correct),
        "gain_from_tools": mean([*differences(free, without, _correct, is_known).values()], seed),
        "needless": _joint(free, right_without, lambda r: True, _used, each=True),
        "needless_share": _joint(free, right_without, _used, _used),
        "missed": _joint(free, right_forced, is_known, _direct_and_wrong, each=True),
        "missed_share": _joint(free, right_forced, _direct_and_wrong, _direct_and_wrong),
        **{name: share_of(free, where, hit) for name, (hit, where) in LABELLED.items()},
        "without_looking": share_of(other, lambda r: bool(r.exchanged), lambda r: _unchanged(r, read)),
        "exchangeable": share_of(other and free, _used, lambda r: r.key[1:] in tried),
        "unknown": share_of(free, lambda r: True, lambda r: not is_known(r)),
    }
    measured = {name for name, estimate in found.items() if estimate.questions}
    if measured & LABELLED.keys():
        measured |= LABELLED.keys()
    return {name: estimate for name, estimate in found.items() if name in measured}


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


def share_of(questions: _Questions, where: Callable[[Record], bool], hit: Callable[[Record], bool]) -> Estimate:
    """Share of ``hit`` among the rollouts ``where``."""
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


def _unchanged(record: Record, read: Mapping[tuple[int, int], Record]) -> bool:
    """Whether a counterfactual rollout ends as the one that read the tool's own answers."""
    before = read.get(record.key[1:])
    return before is not None and record.calls <= before.calls and _said(record) == _said(before)


def _said(record: Record) -> str:
    return " ".join((record.answer or record.last_turn).casefold().split())


def _used(record: Record) -> bool:
    return record.calls > 0


def is_known(record: Record) -> bool:
    return record.correct is not None


def _correct(record: Record) -> bool:
    return bool(record.correct)


def _direct_and_wrong(record: Record) -> bool:
    return record.calls == 0 and record.correct is False
