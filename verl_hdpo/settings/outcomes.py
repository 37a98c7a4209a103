"""How outcomes are read and tool calls counted, whatever the estimator; under ``algorithm.hdpo``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from verl_hdpo.settings.group import Share, StrictSettings, Wanted

CountPolicy = Literal["attempted", "executed", "rounds"]
Key = Annotated[str, Field(min_length=1), Wanted("a key of reward_extra_info")]
Costs = Annotated[
    Mapping[str, Annotated[float, Field(ge=0)]],
    Wanted("a cost >= 0 by tool, such as {python: 1, text_search: 3}"),
]


class OutcomeSettings(StrictSettings):
    """How the trainer and the reward manager read what a rollout did and how it ended."""

    correct_key: Key = "acc"
    """Key of `reward_extra_info` that says whether an answer is right."""
    correct_threshold: Annotated[float, Wanted("a finite number")] = 0.5
    """A rollout is correct when the value under `correct_key` is greater."""
    known_key: Key = "outcome_known"
    """Key of `reward_extra_info` that is 0 when the outcome is unknown (judge down, check timed out). Absent means
    known. NaN under `correct_key` is unknown too, and so is what verl's `rate_limited` manager reports with `timeout`
    or `error`."""
    count_calls: CountPolicy = "attempted"
    """What T counts: `attempted` (every call the model issued), `executed` or `rounds`."""
    tool_costs: Costs = Field(default_factory=dict)
    """Cost >= 0 of one call by tool, 1 for those not named: `+algorithm.hdpo.tool_costs="{python: 1, text_search: 3}"`.
    C = sum of cost times calls then stands wherever T would, as in r_tool = 1/(C + 1). Needs a ledger of calls."""
    max_lost_rate: Share = 0.2
    """The run stops when more than this share of rollouts was lost over `rate_window` training batches; 1 never stops
    it."""
    max_unknown_rate: Share = 0.2
    """The same for rollouts of unknown outcome, those lost included."""
    rate_window: Annotated[int, Field(ge=1), Wanted("an integer >= 1")] = 5
    """Training batches that both rates are taken over; batches that are still to come count as without loss."""

    @model_validator(mode="after")
    def _costs_need_tools(self) -> Self:
        if self.tool_costs and self.count_calls == "rounds":
            raise ValueError(
                "tool_costs must be empty where count_calls is rounds: a round may hold calls of several tools"
            )
        return self
