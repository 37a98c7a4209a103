"""``defects_of``: what is wrong with a dump's rollouts, kind by kind.

Every check takes the rollouts of one data source, and names those that it found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from verl_hdpo.compare.audit.length import follows_length
from verl_hdpo.compare.audit.trained import scored
from verl_hdpo.compare.audit.truncation import truncated
from verl_hdpo.evaluation.dumps.exchanges import exchanges
from verl_hdpo.evaluation.dumps.finite import finite
from verl_hdpo.evaluation.dumps.rollout import Rollout
from verl_hdpo.evaluation.dumps.siblings import by_group

EXAMPLES = 3
LONG_ENOUGH = 200
"""Characters from which two equal texts are no coincidence; short answers are often the same."""
FEWEST = 8
"""Rollouts below which a constant says nothing."""


@dataclass(frozen=True)
class Defect:
    """One kind of defect in one data source.

    Attributes:
        kind: its name.
        source: data source.
        count: rollouts that have it.
        advice: what is wrong, and what to do.
        examples: ids of some of them, which ``verl-hdpo look`` opens with ``#r=<id>``.
    """

    kind: str
    source: str
    count: int
    advice: str
    examples: tuple[str, ...]


def defects_of(source: str, rollouts: Sequence[Rollout]) -> list[Defect]:
    """All defects of a source, in the order of ``CHECKS``."""
    made = []
    for kind, (check, advice) in CHECKS.items():
        if found := list(check(rollouts)):
            made.append(Defect(kind, source, len(found), advice, tuple(one.id for one in found[:EXAMPLES])))
    return made


def failed(rollouts: Sequence[Rollout]) -> Iterable[Rollout]:
    """Those that something ended, trained on with a reward."""
    return (one for one in rollouts if one.outcome == "lost" and scored(one))


def unknown(rollouts: Sequence[Rollout]) -> Iterable[Rollout]:
    """Those that no check could decide, trained on with a reward."""
    return (one for one in rollouts if one.outcome in ("unknown", None) and scored(one))


def never_ran(rollouts: Sequence[Rollout]) -> Iterable[Rollout]:
    """Those with more calls counted, by text or by the reward, than a tool answered to."""
    for one in rollouts:
        if one.counted == "ledger" or not one.calls:
            continue
        answers = [answer for exchange in exchanges(one.turns) for _, answer in exchange.answers]
        if None in answers and one.calls > sum(answer is not None for answer in answers):
            yield one


def duplicated(rollouts: Sequence[Rollout]) -> Iterable[Rollout]:
    """Those whose key, or long text, an earlier rollout of the same prompt and step has too."""
    keys, texts = set(), set()
    for one in rollouts:
        key, text = (one.file, one.group, one.number), (one.phase, one.step, one.prompt, one.turns)
        if key in keys or (one.written >= LONG_ENOUGH and text in texts):
            yield one
        keys.add(key)
        texts.add(text)


def alone(rollouts: Sequence[Rollout]) -> Iterable[Rollout]:
    """Those that no sibling can be compared with."""
    return (group[0] for group in by_group(rollouts) if len(group) == 1 and scored(group[0]))


def constant_format(rollouts: Sequence[Rollout]) -> Iterable[Rollout]:
    """Those with a format reward that is the same in all."""
    ours = [one for one in rollouts if scored(one) and one.known]
    if any(one.accuracy is not None for one in ours) and all(one.r_acc == one.accuracy for one in ours):
        return []  # format carries no weight
    for name in sorted({key for one in ours for key in one.extras if "format" in key.lower()}):
        having = [(one, value) for one in ours if (value := finite(one.extras.get(name))) is not None]
        if len(having) >= FEWEST and len({value for _, value in having}) == 1:
            return [one for one, _ in having]
    return []


def cut_off(rollouts: Sequence[Rollout]) -> Iterable[Rollout]:
    """Those that were cut off and trained on all the same."""
    return (one for one in rollouts if scored(one) and one.outcome != "lost" and truncated(one))


def by_length(rollouts: Sequence[Rollout]) -> Iterable[Rollout]:
    """All, where reward follows length; those first that are longest."""
    return follows_length([one for one in rollouts if scored(one) and one.known])


Check = Callable[[Sequence[Rollout]], Iterable[Rollout]]

CHECKS: dict[str, tuple[Check, str]] = {
    "failure trained": (
        failed,
        "an exception or a tool that was down was given a reward, as a wrong answer is; leave it out of the loss",
    ),
    "unknown outcome scored": (
        unknown,
        "no check could decide, and a reward was trained on; return outcome_known=0 and leave it out of the loss",
    ),
    "calls that never ran": (
        never_ran,
        "calls were counted that no tool answered; have the agent loop count them",
    ),
    "duplicated rollouts": (
        duplicated,
        "a key, or a long text, more than once for a prompt: rows were written twice, or sampling has no temperature",
    ),
    "groups of one": (
        alone,
        "no sibling to compare with, so no advantage; sample several rollouts per prompt, and key them by prompt",
    ),
    "constant format reward": (
        constant_format,
        "the same for every rollout, so it teaches nothing; drop it, or check its pattern",
    ),
    "truncated answers": (
        cut_off,
        "cut off at the length limit and scored like finished answers; raise the limit or mask them",
    ),
    "reward follows length": (
        by_length,
        "among rollouts of one prompt with as many calls, the reward goes with the length; look for a reward for words",
    ),
}
"""Kind -> its check, and the advice."""
