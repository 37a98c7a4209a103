"""The guard of ``priced`` in a run: fed with each training batch, kept in verl's checkpoints."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import torch
from omegaconf import DictConfig
from torch import Tensor

from verl_hdpo.adapters.run_settings import RunSettings
from verl_hdpo.adapters.scoring import Rollouts
from verl_hdpo.algorithm.guard import Guard
from verl_hdpo.settings.algorithms import PricedSettings
from verl_hdpo.settings.outcomes import OutcomeSettings

logger = logging.getLogger(__name__)

FILE = "hdpo_guard.json"
"""In the folder of a checkpoint, beside verl's ``data.pt``."""


class PriceGuard:
    """A :class:`Guard` and the price that it is about."""

    def __init__(self, settings: PricedSettings, costs: OutcomeSettings):
        self._price, self._costs = settings.parameters["price"], costs
        self._guard = Guard(settings.guard_margin, settings.guard_window)

    @classmethod
    def of(cls, settings: RunSettings | None) -> PriceGuard | None:
        """That of a run; None where it asks for none."""
        if settings and isinstance(settings.algorithm, PricedSettings) and settings.algorithm.guard:
            return cls(settings.algorithm, settings.hdpo)
        return None

    def prices(self, rollouts: Rollouts) -> tuple[Tensor, dict[str, float]]:
        """Take in a batch, and give the price of each of its rollouts, (B,), and what is to be logged."""
        outcomes = rollouts.outcomes
        prompts: dict[str, dict[int, list[tuple[float, bool]]]] = {}
        rows = zip(
            rollouts.sources,
            rollouts.index.group_B.tolist(),
            outcomes.known_B.tolist(),
            outcomes.cost(self._costs).tolist(),
            outcomes.correct_B.tolist(),
            strict=True,
        )
        for source, group, known, cost, correct in rows:
            answers = prompts.setdefault(str(source), {}).setdefault(group, [])
            if known:
                answers.append((cost, correct))
        self._guard.observe({source: list(groups.values()) for source, groups in prompts.items()})
        price = {source: self._guard.price(source, self._price) for source in prompts}
        metrics = {f"{source}/price": value for source, value in price.items()}
        for source in prompts:
            if (level := self._guard.level(source)) is not None:
                metrics[f"{source}/guard_level"] = level
        return torch.tensor([price[str(source)] for source in rollouts.sources], dtype=torch.float64), metrics

    def save(self, folder: Path) -> None:
        """Write the state into a checkpoint's folder."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).write_text(json.dumps(self._guard.state()))

    def load(self, folder: Path) -> None:
        """Go on from a checkpoint; one of a run without a guard starts it anew."""
        if (folder / FILE).is_file():
            self._guard.restore(json.loads((folder / FILE).read_text()))
        else:
            logger.warning("%s has no %s: the guard of priced measures accuracy anew, at price 0", folder, FILE)


def saved_in(config: DictConfig, step: int) -> Path:
    """The folder that ``PPOTrainer._save_checkpoint`` writes at a step."""
    return Path(config.trainer.default_local_dir) / f"global_step_{step}"


def resumed_from(config: DictConfig, step: int) -> Path:
    """The folder that ``PPOTrainer._load_checkpoint`` has read."""
    given = config.trainer.resume_from_path if config.trainer.resume_mode == "resume_path" else None
    return Path(given) if given else saved_in(config, step)
