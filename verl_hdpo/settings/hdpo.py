"""The settings under ``algorithm.hdpo``: HDPO's own, and how outcomes are read whatever the estimator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

from verl_hdpo.outcomes.ledger import COUNT_POLICIES, CountPolicy
from verl_hdpo.settings.group import AlgorithmSettings, HDPOConfigError, is_number

__all__ = ["HDPOConfig", "HDPOConfigError", "is_number"]

Combine = Literal["loss", "advantage"]
ToolLossNorm = Literal["all", "qualifying"]


@dataclass(frozen=True)
class HDPOConfig(AlgorithmSettings):
    """Settings of HDPO; defaults are the paper's (arXiv 2604.08545).

    The first four are HDPO's own. The others hold for every estimator of this package, so that one word,
    ``algorithm.adv_estimator``, is all that differs between two runs of a comparison.

    Attributes:
        w_acc: weight of the accuracy channel's loss, >= 0.
        w_tool: weight of the efficiency channel's loss, >= 0; 0 is stock GRPO.
        combine: ``loss`` adds two clipped surrogates, L = w_acc L(A_acc) + w_tool L(A_tool); ``advantage`` is one
            surrogate on w_acc A_acc + w_tool A_tool (the same gradient until a token clips).
        tool_loss_norm: what the efficiency loss is averaged over: ``all`` response tokens, as in the paper, or
            those of the ``qualifying`` (correct) rollouts of the mini-batch.
        norm_by_std: divide advantages by the group's standard deviation; None follows
            ``algorithm.norm_adv_by_std_in_grpo``.
        correct_key: key of ``reward_extra_info`` that says whether an answer is right.
        correct_threshold: a rollout is correct when that value is greater.
        known_key: key of ``reward_extra_info`` that is 0 when the outcome is unknown (judge down, checker timed
            out); absent means known.
        count_calls: what T counts: ``attempted`` (every call the model issued), ``executed`` or ``rounds``.
        tool_costs: cost >= 0 of one call, by tool; 1 for a tool that is not named. With costs, C = sum of cost times
            calls stands wherever T would, as in r_tool = 1/(C + 1).
        max_tool_calls: most calls that run per trajectory in ``hdpo_tool_agent``; None for no cap.
        tool_timeout: seconds one call may take in ``hdpo_tool_agent``; None for no limit.
        observe: log the ``hdpo/`` metrics in a run that trains with verl's own estimators, and change nothing else.
    """

    GROUP: ClassVar[str] = "hdpo"
    EXAMPLE: ClassVar[str] = "w_tool=0.15"

    w_acc: float = 1.0
    w_tool: float = 0.15
    combine: Combine = "loss"
    tool_loss_norm: ToolLossNorm = "all"
    norm_by_std: bool | None = None
    correct_key: str = "acc"
    correct_threshold: float = 0.5
    known_key: str = "outcome_known"
    count_calls: CountPolicy = "attempted"
    tool_costs: Mapping[str, float] = field(default_factory=dict)
    max_tool_calls: int | None = None
    tool_timeout: float | None = 400.0
    observe: bool = False

    def __post_init__(self) -> None:
        self._require_at_least_0("w_acc", "w_tool")
        self._require(self.w_acc > 0 or self.w_tool > 0, "w_acc", "greater than 0 when w_tool is 0")
        self._require_one_of("combine", get_args(Combine))
        self._require_one_of("tool_loss_norm", get_args(ToolLossNorm))
        self._require_one_of("count_calls", COUNT_POLICIES)
        for name in ("correct_key", "known_key"):
            value = getattr(self, name)
            self._require(isinstance(value, str) and value != "", name, "a key of reward_extra_info")
        self._require(is_number(self.correct_threshold), "correct_threshold", "a finite number")
        self._require(self.norm_by_std in (None, True, False), "norm_by_std", "true, false or null")
        self._require(self.observe in (True, False), "observe", "true or false")
        cap, timeout, costs = self.max_tool_calls, self.tool_timeout, self.tool_costs
        is_count = isinstance(cap, int) and not isinstance(cap, bool) and cap >= 0
        self._require(cap is None or is_count, "max_tool_calls", "null or an integer >= 0")
        is_limit = is_number(timeout) and timeout > 0
        self._require(timeout is None or is_limit, "tool_timeout", "null or a number of seconds > 0")
        self._require(
            isinstance(costs, Mapping) and all(is_number(cost) and cost >= 0 for cost in costs.values()),
            "tool_costs",
            "a cost >= 0 by tool, such as {python: 1, text_search: 3}",
        )
        self._require(
            not costs or self.count_calls != "rounds",
            "tool_costs",
            "empty where count_calls is rounds: a round may hold calls of several tools",
        )
