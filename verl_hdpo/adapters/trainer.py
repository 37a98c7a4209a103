"""verl's V1 trainers with HDPO and its rivals: the same classes, their advantage step and actor update extended.

One of two hosts of :class:`AdvantageStep`; the other is ``classic_trainer``. A run that asks for nothing of this
package goes through verl's own methods alone.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from transfer_queue import KVBatchMeta
from verl.trainer.ppo.v1.trainer_base import PPOTrainer
from verl.utils.debug import marked_timer

from verl_hdpo.adapters import colocated_judge
from verl_hdpo.adapters.advantage_step import name_channels
from verl_hdpo.adapters.host_trainer import HostTrainer
from verl_hdpo.adapters.names import REWARD_MANAGER
from verl_hdpo.adapters.queued_batch import QueuedBatch, queued_texts
from verl_hdpo.adapters.rollout_notes import source_notes
from verl_hdpo.adapters.scoring import Rollouts
from verl_hdpo.adapters.validation import validation_metrics
from verl_hdpo.outcomes.batch import Outcomes
from verl_hdpo.outcomes.metrics import combined, prefixed, tool_metrics


def hdpo_trainer(stock: type[PPOTrainer]) -> type[PPOTrainer]:
    """The HDPO-aware subclass of one of verl's V1 trainers; idempotent."""
    if issubclass(stock, _HDPOTrainer):
        return stock
    return type(f"HDPO{stock.__name__}", (_HDPOTrainer, stock), {"__module__": __name__})


class _HDPOTrainer(HostTrainer):
    """What the estimators of this package add to a V1 trainer; mixed in before verl's class."""

    def _setup(self) -> None:
        super()._setup()
        self._set_loss()

    def step(self, metrics: dict, timing_raw: dict) -> KVBatchMeta:
        # With parameter_sync_step > 1, verl's MetricsAggregator (trainer/ppo/v1/utils.py) would take a metric's minimum
        # or sum for a "min" or "sum" anywhere in its name, which a tool or a data source may have; and a mean of rates
        # is not the rate of all.
        self._updates: list[tuple[Rollouts, dict[str, float]]] = []
        batch = super().step(metrics, timing_raw)
        if len(self._updates) > 1:
            metrics.update(combined([(len(rollouts.sources), own) for rollouts, own in self._updates]))
            outcomes = Outcomes.joined([rollouts.outcomes for rollouts, _ in self._updates])
            sources = [source for rollouts, _ in self._updates for source in rollouts.sources]
            metrics.update(prefixed("hdpo/", tool_metrics(outcomes, sources)))
        return batch

    def _step_once(self, metrics: dict, timing_raw: dict, sample_batch_size: int) -> KVBatchMeta:
        batch = super()._step_once(metrics, timing_raw, sample_batch_size)
        if self.hdpo is not None:
            own = {name: value for name, value in metrics.items() if name.startswith("hdpo/")}
            self._updates.append((self.hdpo.last, own))
        return batch

    def _compute_reward_colocate(self, batch: KVBatchMeta, metrics: dict | None = None) -> KVBatchMeta:
        """verl's own, but that the reward manager ``hdpo`` decides, with the colocated reward model as its judge."""
        if self.config.reward.reward_manager.name != REWARD_MANAGER:
            return super()._compute_reward_colocate(batch, metrics=metrics)
        colocated_judge.reward(self.reward_loop_manager, batch)
        return batch

    def _compute_advantage(self, batch: KVBatchMeta, metrics: dict) -> KVBatchMeta:
        stock = super()._compute_advantage
        if self.hdpo is None:
            return stock(batch, metrics)
        queued = QueuedBatch(batch)

        def verls_step() -> None:
            queued.meta = stock(queued.meta, metrics)

        prompts = self.config.data.train_batch_size // self.parameter_sync_step
        metrics.update(self.hdpo.begin(queued, prompts))
        metrics.update(self.hdpo.finish(queued, verls_step, self._dp_size))
        self.notes.add(batch.keys, self.hdpo.last, self.hdpo.last_scores)
        return queued.meta

    def _dp_size(self) -> int:
        return max(self.actor_rollout_wg._dispatch_info["actor"]) + 1  # as PPOTrainer._balance_batch reads it

    def _update_actor(self, batch: KVBatchMeta, metrics: dict) -> KVBatchMeta:
        batch = super()._update_actor(batch, metrics)
        name_channels(metrics)
        return batch

    def _log_rollout_data(self, batch: KVBatchMeta, timing_raw: dict, rollout_data_dir: str) -> None:
        """verl's dump, and beside it what ``verl-hdpo look`` shows of a rollout and verl does not write."""
        super()._log_rollout_data(batch, timing_raw, rollout_data_dir)
        if self.hdpo is not None:
            with marked_timer("dump_rollout_notes", timing_raw, color="green"):
                notes = self.notes.read(partial(queued_texts, batch.partition_id), self.tokenizer)
                self._dump_notes(notes, rollout_data_dir)

    def _val_metrics_update(
        self, data_sources: Any, sample_uids: Any, reward_extra_infos_dict: Any, sample_turns: Any, **kwargs: Any
    ) -> dict[str, Any]:
        """verl's validation metrics, and the ``hdpo/`` quantities per data source under ``val-hdpo/``."""
        stock = partial(super()._val_metrics_update, **kwargs)
        reported = data_sources, sample_uids, reward_extra_infos_dict, sample_turns
        if self.hdpo is not None and (folder := self.config.trainer.get("validation_data_dir")):
            self._dump_notes(source_notes(sample_uids, data_sources), folder)
        if self.hdpo is None:
            return stock(*reported)
        expected = kwargs.get("expected_acc_counts")  # 0.9.1
        return validation_metrics(stock, self.config, self.hdpo.settings, *reported, expected or {})
