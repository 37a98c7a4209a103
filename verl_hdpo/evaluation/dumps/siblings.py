"""What a rollout's siblings say of its calls: needless, or missed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from verl_hdpo.evaluation.dumps.rollout import Rollout

CallNeed = Literal["needless", "missed", ""]
"""``needless``: it called, is right, and a sibling is right without a call. ``missed``: it did not call, is wrong, and
a sibling that called is right. A sibling answers the same prompt."""


def by_group(rollouts: Iterable[Rollout]) -> list[list[Rollout]]:
    """The rollouts of each prompt; those of a group need not stand together."""
    found: dict[str, list[Rollout]] = {}
    for rollout in rollouts:
        found.setdefault(rollout.group, []).append(rollout)
    return list(found.values())


def call_needs(group: Sequence[Rollout]) -> list[CallNeed]:
    """Of each rollout of one group. One whose calls or outcome are not known is neither, and shows nothing."""
    seen = {(bool(one.calls), one.outcome) for one in group if one.calls is not None}
    right_without, right_with = (False, "correct") in seen, (True, "correct") in seen
    needs: list[CallNeed] = []
    for one in group:
        if one.calls and one.outcome == "correct" and right_without:
            needs.append("needless")
        elif one.calls == 0 and one.outcome == "wrong" and right_with:
            needs.append("missed")
        else:
            needs.append("")
    return needs
