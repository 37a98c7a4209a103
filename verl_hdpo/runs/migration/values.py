"""Values of a setting that verl 0.9.1 still has, and that it does not take any more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Gone(NamedTuple):
    """What became of a value.

    Attributes:
        why: one sentence.
        now: the value that does the same; empty where only the owner can tell.
        advice: what to do then.
    """

    why: str
    now: str = ""
    advice: str = ""


class Values(NamedTuple):
    """The values of one setting.

    Attributes:
        what: it names.
        known: all that verl, or this package, takes; empty where other code knows.
        gone: value that an older verl, or another project, took -> what became of it.
    """

    what: str
    known: Sequence[str]
    gone: dict[str, Gone]


_SERVER = "every rollout engine is a server now"
_WEIGHTS = "the format of an older rollout engine; the trainer sends it the weights before the first rollout"
_ONE_ANSWER = (
    "let your function take data_source, solution_str, ground_truth and extra_info of one answer, and set "
    "reward.reward_manager.name=naive"
)

VALUES: dict[str, Values] = {
    "actor_rollout_ref.rollout.name": Values(
        "rollout engine",
        ("vllm", "sglang", "trtllm"),
        {
            "hf": Gone(f"verl removed it: {_SERVER}", "vllm"),
            "sglang_async": Gone(f"verl renamed it: {_SERVER}", "sglang"),
        },
    ),
    "actor_rollout_ref.rollout.mode": Values(
        "rollout mode", ("async",), {"sync": Gone(f"verl removed it: {_SERVER}", "async")}
    ),
    "actor_rollout_ref.rollout.load_format": Values(
        "load format",
        (),
        {
            **{f"dummy_{name}": Gone(_WEIGHTS, "dummy") for name in ("dtensor", "hf", "megatron")},
            **{name: Gone(_WEIGHTS, "auto") for name in ("dtensor", "megatron")},
        },
    ),
    "reward.reward_manager.name": Values(
        "reward manager",
        ("naive", "dapo", "gdpo", "rate_limited", "remote", "hdpo"),
        {
            "prime": Gone("verl removed it: every reward manager judges many answers at a time now", "naive"),
            "batch": Gone("verl removed it: a reward function judges one answer now", advice=_ONE_ANSWER),
            "thread": Gone("a reward manager of another project", advice=_ONE_ANSWER),
        },
    ),
}
"""Of ``algorithm.adv_estimator``, see :mod:`verl_hdpo.runs.migration.estimators`."""


def gone(key: str, value: str) -> Gone | None:
    """What became of a value; None of one that is taken, or of which nothing is known."""
    values = VALUES.get(key)
    if values is None or value in values.known:
        return None
    if found := values.gone.get(value):
        return found
    if not values.known:
        return None
    return Gone(f"verl has no {values.what} {value}", advice=f"use one of {', '.join(values.known)}")
