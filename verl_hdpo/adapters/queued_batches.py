"""The training batches of verl's V1 trainer in TransferQueue: what is read of them, and what is written beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import transfer_queue as tq
from omegaconf import DictConfig
from tensordict import TensorDict
from torch import Tensor
from transfer_queue import KVBatchMeta

from verl_hdpo.adapters.loss import TOOL_ADVANTAGES, aggregation
from verl_hdpo.adapters.run_settings import RunSettings
from verl_hdpo.adapters.scoring import Rollouts
from verl_hdpo.algorithm.decisions import Spans, decision_advantages
from verl_hdpo.algorithm.qualifying import mini_batches, qualifying_scale
from verl_hdpo.algorithm.scalars import Advantages
from verl_hdpo.outcomes.batch import Outcomes
from verl_hdpo.outcomes.decision_spans import DECISION_SPANS_KEY
from verl_hdpo.outcomes.metrics import batch_metrics
from verl_hdpo.outcomes.outcome import OutcomeError
from verl_hdpo.outcomes.rollout_index import RolloutIndex
from verl_hdpo.outcomes.watch import RateWatch

MAX_REWARD = 1e30
"""Beyond it float32 cannot hold the sums of a group."""


class QueuedBatches:
    """One run's batches.

    Attributes:
        settings: of the run.
        scores: whether it trains with an estimator of this package, and is not only observed.
        last: the rollouts that were read last.
    """

    def __init__(self, settings: RunSettings, config: DictConfig):
        self.settings, self._config = settings, config
        self.scores = settings.algorithm is not None
        self._watch = RateWatch(settings.hdpo)
        self.last: Rollouts

    def read(self, batch: KVBatchMeta) -> Rollouts:
        """The batch's rollouts; in a run that scores, one whose reward is not finite is of unknown outcome.

        Raises:
            OutcomeError: a rollout reports no outcome that can be read.
        """
        index = RolloutIndex.from_keys(batch.keys, [bool(tag.get("is_padding", False)) for tag in batch.tags])
        data = tq.kv_batch_get(
            keys=[batch.keys[row] for row in index.final_B.tolist()],
            partition_id=batch.partition_id,
            select_fields=["extra_fields", "num_turns", "data_source", "rm_scores"],
        )
        extra_fields, num_turns = data.pop("extra_fields").tolist(), data.pop("num_turns").tolist()
        outcomes = Outcomes.read(extra_fields, num_turns, self.settings.hdpo)
        if self.scores:
            spoilt_B = torch.tensor([_is_spoilt(score) for score in data.pop("rm_scores").unbind()])
            outcomes = outcomes.with_unknown(spoilt_B, "reward_not_finite")
        decisions = self._decisions(extra_fields, index) if self.settings.on_decisions else ()
        self.last = Rollouts(index, outcomes, data.pop("data_source").tolist(), decisions)
        return self.last

    def metrics(self, rollouts: Rollouts, prompts: int) -> dict[str, float]:
        """What a batch of ``prompts`` shows of tool use and of lost rollouts.

        Raises:
            TooManyUnknown: too many of them lately, in a run that learns from the rest.
        """
        group_size = self._config.actor_rollout_ref.rollout.n
        outcomes, group_B = rollouts.outcomes, rollouts.index.group_B
        metrics, lost = batch_metrics(outcomes, rollouts.sources, group_B, prompts, group_size)
        if self.scores:
            unknown = Counter(
                source
                for source, known, cause in zip(outcomes.sources, outcomes.known_B.tolist(), outcomes.lost, strict=True)
                if not known and not cause
            )
            self._watch.add(max(prompts * group_size, len(outcomes.known_B)), lost, unknown)
        return metrics

    def mask_unknown(self, batch: KVBatchMeta, rollouts: Rollouts) -> None:
        """Take the rows of unknown outcome out of the loss, its denominators, the entropy and KL terms.

        Their scores leave with them where they are not finite: verl's own metrics average over all.
        """
        unknown_R = rollouts.index.spread(~rollouts.outcomes.known_B)
        keys = [batch.keys[row] for row in unknown_R.nonzero().squeeze(1).tolist()]
        if not keys:
            return
        masks = ["response_mask", "loss_mask"]
        data = tq.kv_batch_get(keys=keys, partition_id=batch.partition_id, select_fields=[*masks, "rm_scores"])
        rows = {name: [torch.zeros_like(mask) for mask in data[name].unbind()] for name in masks}
        rows["rm_scores"] = [
            torch.zeros_like(score) if _is_spoilt(score) else score for score in data["rm_scores"].unbind()
        ]
        fields = {name: torch.nested.as_nested_tensor(row, layout=torch.jagged) for name, row in rows.items()}
        tq.kv_batch_put(keys=keys, partition_id=batch.partition_id, fields=TensorDict(fields, batch_size=len(keys)))

    def write(
        self, batch: KVBatchMeta, rollouts: Rollouts, advantages: Advantages | None, dp_size: int | None
    ) -> KVBatchMeta:
        """Put the efficiency channel beside verl's advantages, where it has a loss of its own.

        Args:
            dp_size: data-parallel ranks of the actor; needed where ``tool_loss_norm`` is ``qualifying``.
        """
        if advantages is None or advantages.efficiency_B is None or not self.settings.loss_weights[1]:
            return batch
        tool_R = rollouts.index.spread(advantages.efficiency_B)
        if dp_size is not None:
            tool_R *= self._qualifying_scale(batch, rollouts, dp_size)
        field = self._on_decisions(batch, rollouts, tool_R) if self.settings.on_decisions else tool_R
        # Workers fetch the fields that the last meta names, so this one goes on with all of them.
        return tq.kv_batch_put(
            keys=batch.keys,
            partition_id=batch.partition_id,
            fields=TensorDict({TOOL_ADVANTAGES: field}, batch_size=len(batch)),
        )

    def _decisions(self, extra_fields: Sequence[Mapping[str, Any]], index: RolloutIndex) -> list[Spans]:
        if (index.rollout_R >= 0).sum() != len(index.final_B) or any(DECISION_SPANS_KEY not in x for x in extra_fields):
            raise OutcomeError(
                "algorithm.hdpo.tool_tokens=decision needs to know where a rollout decides about calls, and its agent "
                "loop did not say, or gave several outputs; set actor_rollout_ref.rollout.agent.default_agent_loop="
                "hdpo_tool_agent (and no other agent_name in the data), or tool_tokens=all"
            )
        return [fields[DECISION_SPANS_KEY] for fields in extra_fields]

    def _on_decisions(self, batch: KVBatchMeta, rollouts: Rollouts, tool_R: Tensor) -> Tensor:
        data = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=["response_mask"])
        spans_R = [rollouts.decisions[rollout] if rollout >= 0 else () for rollout in rollouts.index.rollout_R.tolist()]
        rows = decision_advantages(tool_R, spans_R, data["response_mask"].unbind())
        return torch.nested.as_nested_tensor(rows, layout=torch.jagged)

    def _qualifying_scale(self, batch: KVBatchMeta, rollouts: Rollouts, dp_size: int) -> Tensor:
        actor, group_size = self._config.actor_rollout_ref.actor, self._config.actor_rollout_ref.rollout.n
        loss_mask = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=["loss_mask"])
        return qualifying_scale(
            mini_batches(len(batch), actor.ppo_mini_batch_size * group_size, dp_size),
            rollouts.index.spread(rollouts.outcomes.correct_B),
            torch.stack([mask.sum() for mask in loss_mask["loss_mask"].unbind()]),
            aggregation(actor),
        )


def _is_spoilt(scores_T: Tensor) -> bool:
    """Whether a rollout's reward is NaN, infinite or beyond all measure."""
    return not scores_T.abs().sum() < MAX_REWARD
