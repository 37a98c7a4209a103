"""The algorithms' own settings, under ``algorithm.<name>``; defaults are their papers'."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from verl_hdpo.settings.agent_loop import AgentLoopSettings
from verl_hdpo.settings.group import Flag, NonNegative, Positive, Share, StrictSettings, Wanted
from verl_hdpo.settings.outcomes import OutcomeSettings


class AlgorithmSettings(StrictSettings):
    """The knobs of one algorithm."""

    NAME: ClassVar[str]
    """The word in ``algorithm.adv_estimator``, and the group's name."""
    uses_reward: ClassVar[bool] = True
    """Whether r_acc counts; if not, correctness (and format) make a reward of its own."""

    @classmethod
    def from_mapping(cls, found: Any) -> Self:
        """Build from ``config.algorithm.get(NAME)``; None gives the defaults.

        Raises:
            SettingsError: an unknown setting or a value outside its range.
        """
        return cls.read(found, f"algorithm.{cls.NAME}")

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Keyword arguments of the function ``verl_hdpo.algorithm.estimators.ESTIMATORS[NAME]``."""
        return self.model_dump()


class ChannelSettings(AlgorithmSettings):
    """The two channels of HDPO (arXiv 2604.08545)."""

    NAME: ClassVar[str] = "hdpo"
    EXAMPLE: ClassVar[str] = "w_tool=0.15"

    w_acc: NonNegative = 1.0
    """Weight of the accuracy channel's loss."""
    w_tool: NonNegative = 0.15
    """Weight of the efficiency channel's loss; 0 is stock GRPO, exactly."""
    combine: Literal["loss", "advantage"] = "loss"
    """`loss`: L = w_acc L(A_acc) + w_tool L(A_tool), two clipped surrogates. `advantage`: one surrogate on
    w_acc A_acc + w_tool A_tool, the same gradient until tokens clip."""
    tool_loss_norm: Literal["all", "qualifying"] = "all"
    """The efficiency loss is an average over `all` response tokens (the paper), or over those of the `qualifying`
    (correct) rollouts of the mini-batch; both the same for every micro-batch split and data-parallel size."""
    tool_tokens: Literal["all", "decision"] = "all"
    """Tokens that the efficiency advantage is on: `all` of a rollout's, or only those that decide about a call, from
    each turn's first to the opening of a call or of the answer. Needs `hdpo_tool_agent` and `combine=loss`."""
    norm_by_std: Annotated[bool | None, Wanted("true, false or null")] = None
    """Divide advantages by the group's standard deviation; null follows `algorithm.norm_adv_by_std_in_grpo`. Holds for
    every algorithm of this package."""

    @model_validator(mode="after")
    def _a_channel_has_weight(self) -> Self:
        _one_weight(self.w_acc, self.w_tool)
        return self

    @property
    def loss_weights(self) -> tuple[float, float]:
        """The weights of the two losses: w_acc and w_tool, or one loss on the combined advantage."""
        return (self.w_acc, self.w_tool) if self.combine == "loss" else (1.0, 0.0)

    @property
    def advantage_weights(self) -> tuple[float, float]:
        """The weights of both channels in the advantage that verl is given."""
        return (1.0, 0.0) if self.combine == "loss" else (self.w_acc, self.w_tool)

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {}


# Fields are listed from the last base to the first, then the class's own.
class HDPOSettings(AgentLoopSettings, OutcomeSettings, ChannelSettings):
    """All of ``algorithm.hdpo``: HDPO's channels, and what holds whatever the estimator.

    One word, ``algorithm.adv_estimator``, is then all that differs between two runs of a comparison.
    """

    observe: Flag = False
    """Log the `hdpo/` metrics of a run with one of verl's own estimators, and change nothing else. Its rewards must
    tell outcomes, as HDPO's."""


class PricedSettings(AlgorithmSettings):
    """``priced``: a call must gain its price."""

    NAME: ClassVar[str] = "priced"
    EXAMPLE: ClassVar[str] = "price=0.1"

    price: NonNegative = 0.1
    """Accuracy that one unit of cost must gain to be taught: 0.1 is 10 points for a call of cost 1, and 30 for one that
    `algorithm.hdpo.tool_costs` gives the cost 3. 0: accuracy alone."""
    accuracy_per_unit: Positive = 1.0
    """Exchange rate for a `price` in another unit, such as dollars or seconds: the accuracy that one of it is worth. A
    call then must gain `price * accuracy_per_unit` per unit of cost."""
    gated: Flag = False
    """Charge correct rollouts only, so that tool use plays no part among wrong answers. Where all rollouts with a call
    cost the same, the price is then at most the one asked for, and lower where few answers are right."""
    answer_weight: Annotated[float | None, Field(gt=0), Wanted("null or a finite number > 0")] = None
    """What a right answer adds to the reward. null: `reward.reward_kwargs.answer_weight` where the reward manager is
    `hdpo`, else 1."""

    guard: Flag = False
    """Per data source, hold the price below what calls are seen to gain, and lower it where accuracy falls below its
    own recent level, until it recovers."""
    guard_margin: Share = 0.02
    """Accuracy that may be lost before the guard acts: by giving up all calls, as far as they are seen to gain, or
    beyond what chance explains."""
    guard_window: Annotated[int, Field(ge=1), Wanted("an integer >= 1")] = 4
    """Training batches, the first ones, in which the level is measured and no price is asked; four times as many are
    what it then follows accuracy over."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        weight = 1.0 if self.answer_weight is None else self.answer_weight
        return {"price": self.price * self.accuracy_per_unit, "gated": self.gated, "answer_weight": weight}


class GRPOPenaltySettings(AlgorithmSettings):
    """``grpo_penalty``: one mixed reward."""

    NAME: ClassVar[str] = "grpo_penalty"
    EXAMPLE: ClassVar[str] = "a=0.15"

    a: NonNegative = 0.15
    """Strength of the tool term; 0 is GRPO."""
    form: Literal["inverse", "linear"] = "inverse"
    """`inverse`: + a/(C + 1); `linear`: - a C."""
    gated: Flag = False
    """Give the term to correct rollouts only."""


class ToolGDPOSettings(AlgorithmSettings):
    """``tool_gdpo``: two advantages, their sum whitened."""

    NAME: ClassVar[str] = "tool_gdpo"
    EXAMPLE: ClassVar[str] = "w_tool=0.15"

    w_acc: NonNegative = 1.0
    """Weight of the accuracy advantage. The sum is whitened, so that only the ratio of both weights matters."""
    w_tool: NonNegative = 1.0
    """Weight of the tool advantage."""

    @model_validator(mode="after")
    def _a_reward_has_weight(self) -> Self:
        _one_weight(self.w_acc, self.w_tool)
        return self


class GDPOConditionedSettings(ToolGDPOSettings):
    """``gdpo_conditioned``: the same, the tool reward for correct rollouts only."""

    NAME: ClassVar[str] = "gdpo_conditioned"


class OTCSettings(AlgorithmSettings):
    """``otc``: the correctness reward times a factor of tool efficiency."""

    NAME: ClassVar[str] = "otc"
    EXAMPLE: ClassVar[str] = "smoothing=1"

    smoothing: Positive = 1.0
    """c of the cosine: the larger, the milder the decay where no tool is needed."""


class IKEASettings(AlgorithmSettings):
    """``ikea``; defaults are those of the authors' code (https://github.com/hzy312/knowledge-r1)."""

    NAME: ClassVar[str] = "ikea"
    EXAMPLE: ClassVar[str] = "bonus=0.6"
    uses_reward: ClassVar[bool] = False

    bonus: NonNegative = 0.6
    """Extra reward of a correct answer without a call; it falls to 0 at `max_calls`."""
    max_calls: Positive = 3
    """Calls (or cost) at which nothing of the bonus is left."""
    search_reward: NonNegative = 0.05
    """Reward of a wrong answer that came with a call."""
    format_reward: Annotated[float | None, Wanted("null or a finite number")] = -1.0
    """Reward of a rollout whose format is wrong, read from `reward_extra_info["format"]`; null: format does not
    count."""


class SlimSearcherSettings(AlgorithmSettings):
    """``slimsearcher_style``: correctness times a gate on relative cost."""

    NAME: ClassVar[str] = "slimsearcher_style"
    EXAMPLE: ClassVar[str] = "floor=1"
    uses_reward: ClassVar[bool] = False

    floor: Positive = 1.0
    """Least denominator of the relative cost. The published eps, 1e-6, gives a correct rollout that called a tool the
    reward of a wrong one as soon as another got by without; 1 counts calls there instead."""


class AdaTIRSettings(AlgorithmSettings):
    """``adatir_style``: a penalty for calls on easy prompts."""

    NAME: ClassVar[str] = "adatir_style"
    EXAMPLE: ClassVar[str] = "penalty=0.15"

    penalty: NonNegative = 0.15
    """lambda, taken from a correct rollout's reward at `max_calls` calls."""
    easy_below: Share = 0.5
    """phi_low: a prompt is easy where the share of wrong answers is below this."""
    max_calls: Positive = 5
    """N_max, calls (or cost) at which the penalty is full."""


class DVAOSettings(AlgorithmSettings):
    """``dvao``: two advantages, weighted by the deviation of their rewards in the group."""

    NAME: ClassVar[str] = "dvao"
    EXAMPLE: ClassVar[str] = "w_tool=0.15"

    w_acc: NonNegative = 1.0
    """Weight of r_acc before its deviation; only the ratio of both weights matters."""
    w_tool: NonNegative = 1.0
    """Weight of r_tool before its deviation."""

    @model_validator(mode="after")
    def _a_channel_has_weight(self) -> Self:
        _one_weight(self.w_acc, self.w_tool)
        return self


class SAMRPOSettings(ToolGDPOSettings):
    """``sa_mrpo``: GDPO with weights that fall as a reward nears its ceiling."""

    NAME: ClassVar[str] = "sa_mrpo"
    EXAMPLE: ClassVar[str] = "gamma=0.5"

    gamma: NonNegative = 0.25
    """Exponent of what a reward has left to gain; 0 is `tool_gdpo`."""


class EAPOSettings(AlgorithmSettings):
    """``eapo_style``: the reward falls with needless calls, the more the easier the prompt."""

    NAME: ClassVar[str] = "eapo_style"
    EXAMPLE: ClassVar[str] = "beta=1"

    beta: NonNegative = 1.0
    """Decay of the reward per unit of cost beyond the cheapest correct rollout."""


class TurnPenaltySettings(AlgorithmSettings):
    """``turn_penalty``: prime-rl's linear penalty on turns."""

    NAME: ClassVar[str] = "turn_penalty"
    EXAMPLE: ClassVar[str] = "weight=0.1"

    weight: NonNegative = 0.1
    """Share of the group's mean reward that the rollout with the most turns loses."""


ALGORITHMS: dict[str, type[AlgorithmSettings]] = {
    settings.NAME: settings
    for settings in (
        HDPOSettings,
        PricedSettings,
        GRPOPenaltySettings,
        ToolGDPOSettings,
        GDPOConditionedSettings,
        OTCSettings,
        IKEASettings,
        SlimSearcherSettings,
        AdaTIRSettings,
        DVAOSettings,
        SAMRPOSettings,
        EAPOSettings,
        TurnPenaltySettings,
    )
}
"""The names that ``algorithm.adv_estimator`` takes from this package -> the settings under ``algorithm.<name>``."""


def _one_weight(w_acc: float, w_tool: float) -> None:
    if not (w_acc > 0 or w_tool > 0):
        raise ValueError(f"w_acc must be greater than 0 when w_tool is 0, found {w_acc:g}")
