"""verl's V1 trainers with HDPO and its rivals: the same classes, their advantage step and actor update extended.

    read the outcomes of the batch -> verl's own ``_compute_advantage`` (KL, rollout correction, advantages through the
    registered estimator) -> write what is more -> verl's own ``_update_actor``

HDPO adds A_tool beside A_acc in TransferQueue, and the two-channel loss. A run that asks for nothing of this package
goes through verl's own methods alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial

import torch
import transfer_queue as tq
from omegaconf import DictConfig
from tensordict import TensorDict
from torch import Tensor
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.v1.trainer_base import PPOTrainer
from verl.utils.config import omega_conf_to_dataclass

from verl_hdpo.adapters.check import check_run
from verl_hdpo.adapters.estimator import scoring
from verl_hdpo.adapters.loss import TOOL_ADVANTAGES, aggregation, two_channel_loss
from verl_hdpo.adapters.run_settings import RunSettings
from verl_hdpo.adapters.scoring import Rollouts, Scoring
from verl_hdpo.adapters.validation import validation_metrics
from verl_hdpo.algorithm.qualifying import mini_batches, qualifying_scale
from verl_hdpo.outcomes.batch import Outcomes
from verl_hdpo.outcomes.metrics import (
    cause_metrics,
    combined,
    completeness_metrics,
    ledger_metrics,
    per_source,
    prefixed,
    tool_use_metrics,
)
from verl_hdpo.outcomes.rollout_index import RolloutIndex
from verl_hdpo.outcomes.watch import RateWatch

MISSING = "missing"
"""Cause of a rollout that never arrived: verl dropped it because its agent loop or its reward raised."""


def hdpo_trainer(stock: type[PPOTrainer]) -> type[PPOTrainer]:
    """The HDPO-aware subclass of one of verl's V1 trainers; idempotent."""
    if issubclass(stock, _HDPOTrainer):
        return stock
    return type(f"HDPO{stock.__name__}", (_HDPOTrainer, stock), {"__module__": __name__})


class _HDPOTrainer:
    """What the estimators of this package add to a V1 trainer; mixed in before verl's class.

    ``settings`` is None in a run that asks for none of it; every method then is verl's own.
    """

    def __init__(self, config: DictConfig):
        self.settings: RunSettings | None = check_run(config)
        self._watch = RateWatch(self.settings.hdpo) if self.settings else None
        super().__init__(config)

    def _setup(self) -> None:
        super()._setup()
        if self._scores:
            # With one channel this is verl's loss, but for a mini-batch in which no outcome is known.
            actor = omega_conf_to_dataclass(self.config.actor_rollout_ref.actor)
            self.actor_rollout_wg.set_loss_fn(partial(two_channel_loss, actor, *self.settings.loss_weights))

    @property
    def _scores(self) -> bool:
        """Whether the run trains with an estimator of this package, and is not only observed."""
        return self.settings is not None and self.settings.algorithm is not None

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
            metrics.update(prefixed("hdpo/", _tool_metrics(outcomes, sources)))
        return batch

    def _step_once(self, metrics: dict, timing_raw: dict, sample_batch_size: int) -> KVBatchMeta:
        batch = super()._step_once(metrics, timing_raw, sample_batch_size)
        if self.settings is not None:
            own = {name: value for name, value in metrics.items() if name.startswith("hdpo/")}
            self._updates.append((self._rollouts, own))
        return batch

    def _compute_advantage(self, batch: KVBatchMeta, metrics: dict) -> KVBatchMeta:
        if self.settings is None:
            return super()._compute_advantage(batch, metrics)
        self._rollouts = rollouts = self._read(batch)
        metrics.update(prefixed("hdpo/", self._batch_metrics(rollouts)))
        if not self._scores:
            return super()._compute_advantage(batch, metrics)
        scores = Scoring(rollouts, self.settings)
        if self.settings.hdpo.tool_costs:
            metrics["hdpo/tool_cost/mean"] = scores.cost_B.mean().item()
        none_known = not rollouts.outcomes.known_B.any()
        if not none_known:
            self._mask_unknown(batch, rollouts)
        with scoring(scores):
            batch = super()._compute_advantage(batch, metrics)
        if none_known:  # verl's rollout correction raises on a batch without a token (rollout_corr_helper.py)
            self._mask_unknown(batch, rollouts)
        metrics.update(prefixed("hdpo/", scores.metrics))
        return self._write(batch, rollouts, scores)

    def _update_actor(self, batch: KVBatchMeta, metrics: dict) -> KVBatchMeta:
        batch = super()._update_actor(batch, metrics)
        # verl prefixes whatever workers report with "actor/".
        for name in [name for name in metrics if name.startswith("actor/hdpo/")]:
            metrics[name.removeprefix("actor/")] = metrics.pop(name)
        for name in ("pg_loss", "pg_clipfrac"):
            if f"hdpo/tool/{name}" in metrics and f"actor/{name}" in metrics:
                metrics[f"hdpo/acc/{name}"] = metrics[f"actor/{name}"]
        return batch

    def _val_metrics_update(self, data_sources, sample_uids, reward_extra_infos_dict, sample_turns, **kwargs):
        """verl's validation metrics, and the ``hdpo/`` quantities per data source under ``val-hdpo/``."""
        stock = partial(super()._val_metrics_update, **kwargs)
        if self.settings is None:
            return stock(data_sources, sample_uids, reward_extra_infos_dict, sample_turns)
        reported = data_sources, sample_uids, reward_extra_infos_dict, sample_turns
        return validation_metrics(stock, self.config, self.settings, *reported, kwargs.get("expected_acc_counts"))

    def _read(self, batch: KVBatchMeta) -> Rollouts:
        """The outcomes of the batch's rollouts; one whose reward is not finite is of unknown outcome."""
        index = RolloutIndex.from_keys(batch.keys, [bool(tag.get("is_padding", False)) for tag in batch.tags])
        data = tq.kv_batch_get(
            keys=[batch.keys[row] for row in index.final_B.tolist()],
            partition_id=batch.partition_id,
            select_fields=["extra_fields", "num_turns", "data_source", "rm_scores"],
        )
        extra_fields, num_turns = data.pop("extra_fields").tolist(), data.pop("num_turns").tolist()
        outcomes = Outcomes.read(extra_fields, num_turns, self.settings.hdpo)
        spoilt_B = torch.tensor([not score.isfinite().all() for score in data.pop("rm_scores").unbind()])
        if self._scores:
            outcomes = outcomes.with_unknown(spoilt_B, "reward_not_finite")
        return Rollouts(index, outcomes, data.pop("data_source").tolist())

    def _batch_metrics(self, rollouts: Rollouts) -> dict[str, float]:
        """What the batch shows of tool use and of lost rollouts.

        Raises:
            TooManyUnknown: too many of them lately, in a run that learns from the rest.
        """
        outcomes, group_size = rollouts.outcomes, self.config.actor_rollout_ref.rollout.n
        groups = self.config.data.train_batch_size // self.parameter_sync_step
        completeness = completeness_metrics(rollouts.index.group_B, groups, group_size)
        lost = Counter(filter(None, outcomes.lost))
        lost[MISSING] = completeness["rollouts_missing"]
        unknown = Counter(
            source
            for source, known, cause in zip(outcomes.sources, outcomes.known_B.tolist(), outcomes.lost, strict=True)
            if not known and not cause
        )
        if self._scores:
            self._watch.add(len(outcomes.known_B) + lost[MISSING], +lost, unknown)
        return _tool_metrics(outcomes, rollouts.sources) | completeness | cause_metrics(outcomes, +lost)

    def _mask_unknown(self, batch: KVBatchMeta, rollouts: Rollouts) -> None:
        """Take the rows of unknown outcome out of the loss, its denominators, the entropy and KL terms.

        Their scores leave with them where they are not finite: verl's own metrics average over all.
        """
        unknown_R = rollouts.index.spread(~rollouts.outcomes.known_B)
        keys = [batch.keys[row] for row in unknown_R.nonzero().squeeze(1).tolist()]
        if not keys:
            return
        fields = ["response_mask", "loss_mask", "rm_scores"]
        data = tq.kv_batch_get(keys=keys, partition_id=batch.partition_id, select_fields=fields)
        written = {
            name: torch.nested.as_nested_tensor([m * 0 for m in data[name].unbind()], layout=torch.jagged)
            for name in fields[:2]
        }
        scores = [score if score.isfinite().all() else torch.zeros_like(score) for score in data["rm_scores"].unbind()]
        written["rm_scores"] = torch.nested.as_nested_tensor(scores, layout=torch.jagged)
        tq.kv_batch_put(keys=keys, partition_id=batch.partition_id, fields=TensorDict(written, batch_size=len(keys)))

    def _write(self, batch: KVBatchMeta, rollouts: Rollouts, scores: Scoring) -> KVBatchMeta:
        """Put the efficiency channel beside verl's advantages, where it has a loss of its own."""
        if scores.advantages.efficiency_B is None or not self.settings.loss_weights[1]:
            return batch
        tool_R = rollouts.index.spread(scores.advantages.efficiency_B)
        if self.settings.hdpo.tool_loss_norm == "qualifying":
            tool_R *= self._qualifying_scale(batch, rollouts)
        # Workers fetch the fields that the last meta names, so this one goes on with all of them.
        return tq.kv_batch_put(
            keys=batch.keys,
            partition_id=batch.partition_id,
            fields=TensorDict({TOOL_ADVANTAGES: tool_R.float()}, batch_size=len(batch)),
        )

    def _qualifying_scale(self, batch: KVBatchMeta, rollouts: Rollouts) -> Tensor:
        actor = self.config.actor_rollout_ref.actor
        mini_batch_size = actor.ppo_mini_batch_size * self.config.actor_rollout_ref.rollout.n
        dp_size = max(self.actor_rollout_wg._dispatch_info["actor"]) + 1  # as PPOTrainer._balance_batch reads it
        loss_mask = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=["loss_mask"])
        return qualifying_scale(
            mini_batches(len(batch), mini_batch_size, dp_size),
            rollouts.index.spread(rollouts.outcomes.correct_B),
            torch.stack([mask.sum() for mask in loss_mask["loss_mask"].unbind()]),
            aggregation(actor),
        )


def _tool_metrics(outcomes: Outcomes, sources: Sequence[str]) -> dict[str, float]:
    metrics = tool_use_metrics(outcomes) | ledger_metrics(outcomes)
    for source, values in per_source(outcomes, sources).items():
        metrics.update(prefixed(f"{source}/", values))
    return metrics
