"""``HostTrainer``: what the two hosts of :class:`AdvantageStep` add to their trainers of verl in the same way."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from verl_hdpo.adapters.advantage_step import AdvantageStep
from verl_hdpo.adapters.check import check_run
from verl_hdpo.adapters.rollout_notes import RolloutNotes
from verl_hdpo.outcomes.sidecar import Note, sidecar_path, write_notes

_Stock: Any = object
"""Stands for the verl trainer that the class below is mixed into."""


class HostTrainer(_Stock):
    """Mixed in before ``PPOTrainer`` or ``RayPPOTrainer``, which both have the methods that are overridden here.

    ``hdpo`` is None in a run that asks for nothing of this package; every method then is verl's own.
    """

    def __init__(self, config: DictConfig, *args: Any, **kwargs: Any):
        settings = check_run(config)
        self.hdpo = AdvantageStep(settings, config) if settings else None
        self.notes = RolloutNotes(config)
        super().__init__(config, *args, **kwargs)

    def _load_checkpoint(self) -> None:
        super()._load_checkpoint()
        if self.hdpo is not None:
            self.hdpo.resumed(self.global_steps)

    def _save_checkpoint(self) -> None:
        with self.hdpo.saving(self.global_steps) if self.hdpo else nullcontext():
            super()._save_checkpoint()

    # Not verl's:

    def _set_loss(self) -> None:
        """Once there are workers."""
        if self.hdpo is not None and self.hdpo.scores:
            self.actor_rollout_wg.set_loss_fn(self.hdpo.loss())

    def _dump_notes(self, notes: list[Note], folder: str) -> None:
        """In verl's own thread for dumps, which ``_dump_generations`` watches for errors and the end waits for."""
        path = sidecar_path(Path(folder) / f"{self.global_steps}.jsonl")
        self._dump_futures.append(self._dump_executor.submit(write_notes, notes, path))
