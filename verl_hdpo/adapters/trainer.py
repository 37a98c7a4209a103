"""verl's V1 trainers with HDPO and its rivals: the same classes, their advantage step and actor update extended.

    outcomes of the batch -> verl's own ``_compute_advantage`` (KL, rollout correction, advantages through the
    registered estimator) -> verl's own ``_update_actor``

HDPO adds A_tool beside A_acc in TransferQueue, and the two-channel loss. A run that asks for no estimator of this
package gets an instance of verl's class itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
import transfer_queue as tq
from omegaconf import DictConfig
from tensordict import TensorDict
from torch import Tensor
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.v1.trainer_base import PPOTrainer
from verl.utils.config import omega_conf_to_dataclass

from verl_hdpo.adapters.check import HDPO, REWARD_MANAGER, check_run, estimator_settings, hdpo_settings
from verl_hdpo.adapters.estimator import scoring
from verl_hdpo.adapters.loss import TOOL_ADVANTAGES, aggregation, two_channel_loss
from verl_hdpo.algorithm.estimators import ESTIMATORS
from verl_hdpo.algorithm.qualifying import mini_batches, qualifying_scale
from verl_hdpo.algorithm.scalars import RolloutScalars
from verl_hdpo.outcomes.metrics import (
    advantage_metrics,
    combined,
    completeness_metrics,
    ledger_metrics,
    means_per_source,
    per_source,
    tool_use_metrics,
)
from verl_hdpo.outcomes.rewards import RewardReport
from verl_hdpo.outcomes.rollouts import Outcomes, RolloutIndex
from verl_hdpo.settings.hdpo import HDPOConfig

REPORTED_MEANS = tuple(name for name in RewardReport._fields if name != "acc")


@dataclass(frozen=True)
class _Batch:
    """The rollouts of one training batch and their outcomes."""

    index: RolloutIndex
    outcomes: Outcomes
    sources: Sequence[str]


def hdpo_trainer(stock: type[PPOTrainer]) -> type[PPOTrainer]:
    """The HDPO-aware subclass of one of verl's V1 trainers; idempotent."""
    if issubclass(stock, _HDPOTrainer):
        return stock

    def __new__(cls, config: DictConfig):
        """An instance of verl's own class unless the run asks for ours (Python then skips our ``__init__``)."""
        if cls is ours and hdpo_settings(config) is None:
            return stock(config=config)
        return stock.__new__(cls)

    ours = type(f"HDPO{stock.__name__}", (_HDPOTrainer, stock), {"__module__": __name__, "__new__": __new__})
    return ours


class _HDPOTrainer:
    """What the estimators of this package add to a V1 trainer; mixed in before verl's class.

    ``hdpo`` is None in a subclass of a user's, for a run that asks for none of it.
    """

    def __init__(self, config: DictConfig):
        check_run(config)
        self.hdpo: HDPOConfig | None = hdpo_settings(config)
        super().__init__(config)

    @property
    def hdpo_trains(self) -> bool:
        return self.config.algorithm.adv_estimator == HDPO

    def _setup(self) -> None:
        super()._setup()
        if self.config.algorithm.adv_estimator in ESTIMATORS:
            # With one channel this is verl's loss, but for a mini-batch in which no outcome is known.
            two_losses = self.hdpo_trains and self.hdpo.combine == "loss"
            self.actor_rollout_wg.set_loss_fn(
                partial(
                    two_channel_loss,
                    omega_conf_to_dataclass(self.config.actor_rollout_ref.actor),
                    self.hdpo.w_acc if two_losses else 1.0,
                    self.hdpo.w_tool if two_losses else 0.0,
                )
            )

    def step(self, metrics: dict, timing_raw: dict) -> KVBatchMeta:
        # With parameter_sync_step > 1, verl's MetricsAggregator (trainer/ppo/v1/utils.py) would take a metric's minimum
        # or sum for a "min" or "sum" anywhere in its name, which a tool or a data source may have; and a mean of rates
        # is not the rate of all.
        self._updates: list[tuple[_Batch, dict[str, float]]] = []
        batch = super().step(metrics, timing_raw)
        if len(self._updates) > 1:
            metrics.update(combined([(len(rollouts.sources), own) for rollouts, own in self._updates]))
            outcomes = Outcomes.joined([rollouts.outcomes for rollouts, _ in self._updates])
            sources = [source for rollouts, _ in self._updates for source in rollouts.sources]
            metrics.update(_prefixed("hdpo/", _tool_metrics(outcomes, sources)))
        return batch

    def _step_once(self, metrics: dict, timing_raw: dict, sample_batch_size: int) -> KVBatchMeta:
        batch = super()._step_once(metrics, timing_raw, sample_batch_size)
        if self.hdpo is not None:
            own = {name: value for name, value in metrics.items() if name.startswith("hdpo/")}
            self._updates.append((self._rollouts, own))
        return batch

    def _compute_advantage(self, batch: KVBatchMeta, metrics: dict) -> KVBatchMeta:
        if self.hdpo is None:
            return super()._compute_advantage(batch, metrics)
        self._rollouts = rollouts = self._read_outcomes(batch)
        tool_use = _tool_metrics(rollouts.outcomes, rollouts.sources)
        metrics.update(_prefixed("hdpo/", tool_use | self._completeness(rollouts)))
        estimator = ESTIMATORS.get(self.config.algorithm.adv_estimator)
        if estimator is None:
            return super()._compute_advantage(batch, metrics)

        index, outcomes, settings = rollouts.index, rollouts.outcomes, estimator_settings(self.config)
        cost_B = outcomes.cost(self.hdpo)
        if self.hdpo.tool_costs:
            metrics["hdpo/tool_cost/mean"] = cost_B.mean().item()
        none_known = not outcomes.known_B.any()
        if not none_known:
            self._mask_unknown(batch, rollouts)
        tool_R = torch.zeros(len(batch))

        def score(rewards_R: Tensor) -> Tensor:
            """Advantages from verl's final rewards (after KL); HDPO's efficiency channel is kept for the loss."""
            scalars = RolloutScalars(
                rewards_R[index.final_B],
                index.group_B,
                outcomes.known_B,
                outcomes.correct_B,
                cost_B,
                outcomes.format_ok_B,
            )
            advantages = estimator.advantages(scalars, settings, self._norm_by_std())
            if not self.hdpo_trains:
                return index.spread(advantages)
            acc_B, tool_B = advantages
            channels = advantage_metrics(scalars.rewards_B, acc_B, tool_B, index.group_B, outcomes)
            metrics.update(_prefixed("hdpo/", channels))
            tool_R.copy_(index.spread(tool_B))
            if self.hdpo.combine == "advantage":
                acc_B = self.hdpo.w_acc * acc_B + self.hdpo.w_tool * tool_B
            return index.spread(acc_B)

        with scoring(score):
            batch = super()._compute_advantage(batch, metrics)
        if none_known:  # verl's rollout correction raises on a batch without a token (rollout_corr_helper.py)
            self._mask_unknown(batch, rollouts)
        if not self.hdpo_trains or self.hdpo.combine == "advantage" or not self.hdpo.w_tool:
            return batch
        if self.hdpo.tool_loss_norm == "qualifying":
            tool_R *= self._qualifying_scale(batch, rollouts)
        # Workers fetch the fields that the last meta names, so this one goes on with all of them.
        return tq.kv_batch_put(
            keys=batch.keys,
            partition_id=batch.partition_id,
            fields=TensorDict({TOOL_ADVANTAGES: tool_R}, batch_size=len(batch)),
        )

    def _update_actor(self, batch: KVBatchMeta, metrics: dict) -> KVBatchMeta:
        batch = super()._update_actor(batch, metrics)
        # verl prefixes whatever workers report with "actor/".
        for name in [name for name in metrics if name.startswith("actor/hdpo/")]:
            metrics[name.removeprefix("actor/")] = metrics.pop(name)
        for name in ("pg_loss", "pg_clipfrac"):
            if self.hdpo_trains and self.hdpo.combine == "loss" and f"actor/{name}" in metrics:
                metrics[f"hdpo/acc/{name}"] = metrics[f"actor/{name}"]
        return batch

    def _val_metrics_update(self, data_sources, sample_uids, reward_extra_infos_dict, sample_turns, **kwargs):
        """verl's validation metrics, and the ``hdpo/`` quantities per data source under ``val-hdpo/``.

        verl hands on what the reward manager reported and no ledger: T is what that reports, else rounds.
        """
        stock = super()._val_metrics_update
        if self.hdpo is None:
            return stock(data_sources, sample_uids, reward_extra_infos_dict, sample_turns, **kwargs)
        # verl fills in None where a rollout's reward had no such key.
        infos = [
            {key: values[i] for key, values in reward_extra_infos_dict.items() if values[i] is not None}
            for i in range(len(data_sources))
        ]
        # Where a source's reward tells no outcome its scores stay, and there is nothing to add.
        told = [
            i
            for i, info in enumerate(infos)
            if info.get(self.hdpo.correct_key) is not None or info.get(self.hdpo.known_key) == 0
        ]
        outcomes = Outcomes.read(
            [{"reward_extra_info": infos[i]} for i in told], [sample_turns[i] for i in told], self.hdpo
        )
        unknown = {i for i, known in zip(told, outcomes.known_B.tolist(), strict=True) if not known}
        if self.config.algorithm.adv_estimator not in ESTIMATORS:
            unknown = set()  # a run that is observed is judged as verl judges it
        known = [i for i in range(len(data_sources)) if i not in unknown]
        expected = kwargs.get("expected_acc_counts")  # 0.9.1: verl scores what is missing of these as wrong
        for i in unknown if expected else ():
            expected[str(data_sources[i]), str(sample_uids[i])] -= 1
        sources = [data_sources[i] for i in known]
        columns = {key: [values[i] for i in known] for key, values in reward_extra_infos_dict.items()}
        # verl draws 1000 bootstrap samples per prompt and column, which are minutes, and a mean is all these are for.
        own = REPORTED_MEANS if self.config.reward.reward_manager.name == REWARD_MANAGER else ()
        reported = {key: columns.pop(key) for key in own if key in columns}
        metrics = stock(sources, [sample_uids[i] for i in known], columns, sample_turns, **kwargs)
        mean = f"/mean@{self.config.actor_rollout_ref.rollout.val_kwargs.n}"
        metrics.update({f"val-aux/{name}{mean}": value for name, value in means_per_source(reported, sources).items()})
        for source, values in per_source(outcomes, [data_sources[i] for i in told]).items():
            del values["ledger_rate"]
            metrics.update(_prefixed(f"val-hdpo/{source}/", values))
        return metrics

    def _read_outcomes(self, batch: KVBatchMeta) -> _Batch:
        index = RolloutIndex.from_keys(batch.keys, [bool(tag.get("is_padding", False)) for tag in batch.tags])
        data = tq.kv_batch_get(
            keys=[batch.keys[row] for row in index.final_B.tolist()],
            partition_id=batch.partition_id,
            select_fields=["extra_fields", "num_turns", "data_source"],
        )
        extra_fields, num_turns = data.pop("extra_fields").tolist(), data.pop("num_turns").tolist()
        return _Batch(index, Outcomes.read(extra_fields, num_turns, self.hdpo), data.pop("data_source").tolist())

    def _mask_unknown(self, batch: KVBatchMeta, rollouts: _Batch) -> None:
        """Take the rows of unknown outcome out of the loss, its denominators, the entropy and KL terms."""
        unknown_R = rollouts.index.spread(~rollouts.outcomes.known_B)
        keys = [batch.keys[row] for row in unknown_R.nonzero().squeeze(1).tolist()]
        if not keys:
            return
        masks = ["response_mask", "loss_mask"]
        data = tq.kv_batch_get(keys=keys, partition_id=batch.partition_id, select_fields=masks)
        zeros = {
            name: torch.nested.as_nested_tensor([m * 0 for m in data[name].unbind()], layout=torch.jagged)
            for name in masks
        }
        tq.kv_batch_put(keys=keys, partition_id=batch.partition_id, fields=TensorDict(zeros, batch_size=len(keys)))

    def _completeness(self, rollouts: _Batch) -> dict[str, float]:
        groups = self.config.data.train_batch_size // self.parameter_sync_step
        return completeness_metrics(rollouts.index.group_B, groups, self.config.actor_rollout_ref.rollout.n)

    def _norm_by_std(self) -> bool:
        if self.hdpo.norm_by_std is not None:
            return self.hdpo.norm_by_std
        return bool(self.config.algorithm.get("norm_adv_by_std_in_grpo", True))

    def _qualifying_scale(self, batch: KVBatchMeta, rollouts: _Batch) -> Tensor:
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
        metrics.update(_prefixed(f"{source}/", values))
    return metrics


def _prefixed(prefix: str, metrics: dict[str, float]) -> dict[str, float]:
    return {prefix + name: value for name, value in metrics.items()}
