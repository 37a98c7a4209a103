"""The settings of one run, read from verl's config once per process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from verl_hdpo.adapters.names import REWARD_MANAGER
from verl_hdpo.settings.algorithms import ALGORITHMS, AlgorithmSettings, HDPOSettings, PricedSettings
from verl_hdpo.settings.reward import RewardSettings

HDPO = HDPOSettings.NAME


@dataclass(frozen=True)
class RunSettings:
    """What a run with an estimator of this package, or one only to be observed, has set.

    Attributes:
        name: ``algorithm.adv_estimator``.
        hdpo: ``algorithm.hdpo``, which says for every estimator how outcomes are read.
        algorithm: ``algorithm.<name>``; None for a run that is only observed.
        norm_by_std: whether advantages are divided by the group's standard deviation.
    """

    name: str
    hdpo: HDPOSettings
    algorithm: AlgorithmSettings | None
    norm_by_std: bool

    @property
    def loss_weights(self) -> tuple[float, float]:
        """The weights of verl's own loss and of a second one on the efficiency advantages."""
        return self.hdpo.loss_weights if self.name == HDPO else (1.0, 0.0)

    @property
    def advantage_weights(self) -> tuple[float, float]:
        """The weights of both channels in the advantage that verl's own loss is given."""
        return self.hdpo.advantage_weights if self.name == HDPO else (1.0, 0.0)

    @property
    def on_decisions(self) -> bool:
        """Whether the efficiency advantage is on the tokens that decide, and on no others."""
        return self.name == HDPO and self.hdpo.tool_tokens == "decision"


def run_settings(config: DictConfig) -> RunSettings | None:
    """The settings of a run; None where it asks for nothing of this package.

    Raises:
        SettingsError: an unknown setting or a bad value.
    """
    name = str(config.algorithm.adv_estimator)
    hdpo = hdpo_settings(config)
    if name not in ALGORITHMS and not hdpo.observe:
        return None
    norm_by_std = hdpo.norm_by_std
    if norm_by_std is None:
        norm_by_std = bool(config.algorithm.get("norm_adv_by_std_in_grpo", True))
    algorithm = group_settings(config, name) if name in ALGORITHMS else None
    if isinstance(algorithm, PricedSettings) and algorithm.answer_weight is None:
        algorithm = algorithm.model_copy(update={"answer_weight": answer_weight(config, algorithm)})
    return RunSettings(name, hdpo, algorithm, norm_by_std)


def hdpo_settings(config: DictConfig) -> HDPOSettings:
    """``algorithm.hdpo`` of any run."""
    return HDPOSettings.from_mapping(_plain(config.algorithm.get(HDPO)))


def group_settings(config: DictConfig, name: str) -> AlgorithmSettings:
    """``algorithm.<name>`` of any run."""
    return ALGORITHMS[name].from_mapping(_plain(config.algorithm.get(name)))


def reward_settings(config: DictConfig) -> RewardSettings:
    """``reward.reward_kwargs`` of a run whose reward manager is ``hdpo``."""
    return RewardSettings.read(_plain(config.reward.get("reward_kwargs")), "reward.reward_kwargs")


def answer_weight(config: DictConfig, algorithm: AlgorithmSettings) -> float:
    """What a right answer adds to the reward: as the ``hdpo`` reward manager has it; with any other as ``priced`` is
    told, or else 1."""
    if config.reward.reward_manager.name == REWARD_MANAGER:
        return reward_settings(config).answer_weight
    told = algorithm.answer_weight if isinstance(algorithm, PricedSettings) else None
    return 1.0 if told is None else told


def _plain(group: Any) -> Any:
    return OmegaConf.to_container(group, resolve=True) if OmegaConf.is_config(group) else group
