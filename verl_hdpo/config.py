"""The settings under ``algorithm.hdpo``: one frozen dataclass, unknown keys refused."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from verl_hdpo.tool_ledger import COUNT_POLICIES, CountPolicy

Combine = Literal["loss", "advantage"]
ToolLossNorm = Literal["all", "qualifying"]


class HDPOConfigError(ValueError):
    """A setting that HDPO cannot run with; the message says what was found and what to do."""


@dataclass(frozen=True)
class HDPOConfig:
    """Settings of HDPO; defaults are the paper's (arXiv 2604.08545).

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
        max_tool_calls: most calls that run per trajectory in ``hdpo_tool_agent``; None for no cap.
        tool_timeout: seconds one call may take in ``hdpo_tool_agent``; None for no limit.
        observe: log the ``hdpo/`` metrics in a run that trains with another estimator, and change nothing else.
    """

    w_acc: float = 1.0
    w_tool: float = 0.15
    combine: Combine = "loss"
    tool_loss_norm: ToolLossNorm = "all"
    norm_by_std: bool | None = None
    correct_key: str = "acc"
    correct_threshold: float = 0.5
    known_key: str = "outcome_known"
    count_calls: CountPolicy = "attempted"
    max_tool_calls: int | None = None
    tool_timeout: float | None = 400.0
    observe: bool = False

    def __post_init__(self) -> None:
        for name in ("w_acc", "w_tool"):
            _require(is_number(value := getattr(self, name)) and value >= 0, name, value, "a finite number >= 0")
        _require(self.w_acc > 0 or self.w_tool > 0, "w_acc", self.w_acc, "greater than 0 when w_tool is 0")
        for name, choices in (
            ("combine", get_args(Combine)),
            ("tool_loss_norm", get_args(ToolLossNorm)),
            ("count_calls", COUNT_POLICIES),
        ):
            _require((value := getattr(self, name)) in choices, name, value, f"one of {', '.join(choices)}")
        for name in ("correct_key", "known_key"):
            value = getattr(self, name)
            _require(isinstance(value, str) and value != "", name, value, "a key of reward_extra_info")
        _require(is_number(self.correct_threshold), "correct_threshold", self.correct_threshold, "a finite number")
        _require(self.norm_by_std in (None, True, False), "norm_by_std", self.norm_by_std, "true, false or null")
        _require(self.observe in (True, False), "observe", self.observe, "true or false")
        cap = self.max_tool_calls
        _require(
            cap is None or (isinstance(cap, int) and not isinstance(cap, bool) and cap >= 0),
            "max_tool_calls",
            cap,
            "null or an integer >= 0",
        )
        timeout = self.tool_timeout
        _require(
            timeout is None or (is_number(timeout) and timeout > 0),
            "tool_timeout",
            timeout,
            "null or a number of seconds > 0",
        )

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any] | None) -> HDPOConfig:
        """Build from ``config.algorithm.get("hdpo")``; None gives the defaults.

        Raises:
            HDPOConfigError: an unknown key or a value outside its range.
        """
        settings = {} if settings is None else settings
        if not isinstance(settings, Mapping):
            raise HDPOConfigError(
                f"algorithm.hdpo must be a group of settings, found {settings!r}; "
                f"write for example +algorithm.hdpo.w_tool=0.15"
            )
        known = [f.name for f in fields(cls)]
        for key in settings:
            if key not in known:
                close = difflib.get_close_matches(str(key), known, n=1)
                hint = f"did you mean algorithm.hdpo.{close[0]}?" if close else f"known: {', '.join(known)}"
                raise HDPOConfigError(f"unknown setting algorithm.hdpo.{key}; {hint}")
        return cls(**settings)


def _require(ok: bool, name: str, found: Any, wanted: str) -> None:
    if not ok:
        raise HDPOConfigError(f"algorithm.hdpo.{name} must be {wanted}, found {found!r}")


def is_number(value: Any) -> bool:
    """A finite int or float; a bool is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
