"""``AdvantageStep``: what a run adds to the advantage steps of its host, which is one of verl's trainers.

    read the outcomes of the batch -> the host's own step (KL, rollout correction, advantages through the registered
    estimator) -> write A_tool beside A_acc

A host brings its batches (:class:`HostBatch`), its own step and its data-parallel size; nothing here knows which it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor
from verl.utils.config import omega_conf_to_dataclass

from verl_hdpo.adapters.checkpoint import explained
from verl_hdpo.adapters.estimator import scoring
from verl_hdpo.adapters.host_batch import HostBatch, Rows, is_spoilt
from verl_hdpo.adapters.loss import aggregation, two_channel_loss
from verl_hdpo.adapters.price_guard import PriceGuard, resumed_from, saved_in
from verl_hdpo.adapters.run_settings import RunSettings
from verl_hdpo.adapters.scoring import Rollouts, Scoring
from verl_hdpo.algorithm.decisions import Spans, deciding_tokens, decision_advantages, sign_errors
from verl_hdpo.algorithm.qualifying import mini_batches, qualifying_scale
from verl_hdpo.algorithm.scalars import Advantages
from verl_hdpo.outcomes.batch import Outcomes
from verl_hdpo.outcomes.decision_spans import DECISION_SPANS_KEY
from verl_hdpo.outcomes.metrics import batch_metrics, prefixed
from verl_hdpo.outcomes.outcome import OutcomeError
from verl_hdpo.outcomes.watch import RateWatch


class AdvantageStep:
    """The advantage steps of one run, each :meth:`begin` and then :meth:`finish`.

    Attributes:
        settings: of the run.
        guard: of its price, if it has one.
        scores: whether it trains with an estimator of this package, and is not only observed.
        last: the rollouts that were read last.
        last_scores: of them; None in a run that is only observed.
    """

    def __init__(self, settings: RunSettings, config: DictConfig):
        self.settings, self._config = settings, config
        self.scores = settings.algorithm is not None
        self.guard = PriceGuard.of(settings)
        self._watch = RateWatch(settings.hdpo)
        self.last: Rollouts
        self.last_scores: Scoring | None = None

    def loss(self) -> Callable[..., tuple[Tensor, dict[str, Any]]]:
        """The actor's loss. With one channel it is verl's, but for a mini-batch in which no outcome is known."""
        actor = omega_conf_to_dataclass(self._config.actor_rollout_ref.actor)
        return partial(two_channel_loss, actor, *self.settings.loss_weights)

    def begin(self, batch: HostBatch, prompts: int) -> dict[str, float]:
        """Read the outcomes, and take unknown ones out of the batch before the host computes anything from it.

        Args:
            prompts: that the batch was to hold.

        Returns:
            What it shows of tool use and of lost rollouts, as metrics.

        Raises:
            OutcomeError: a rollout reports no outcome that can be read.
            TooManyUnknown: too many were lost or unknown lately, in a run that learns from the rest.
        """
        self.last = self._read(batch)
        metrics = self._metrics(prompts)
        if self.last.outcomes.known_B.any():  # else verl's rollout correction raises: there is no token left
            self._mask_unknown(batch)
        return prefixed("hdpo/", metrics)

    def finish(self, batch: HostBatch, stock: Callable[[], None], dp_size: Callable[[], int]) -> dict[str, float]:
        """Run the host's own step on the scores of :meth:`begin`'s outcomes, and write what is more.

        Args:
            stock: verl's own step, which calls the registered estimator and leaves its advantages in ``batch``.
            dp_size: the data-parallel ranks of the actor.

        Returns:
            Metrics of the advantages.
        """
        if not self.scores:
            stock()
            return {}
        price_B, prices = self.guard.prices(self.last) if self.guard else (None, {})
        self.last_scores = scores = Scoring(self.last, self.settings, price_B)
        with scoring(scores):
            stock()
        if not self.last.outcomes.known_B.any():
            self._mask_unknown(batch)
        written = self._write(batch, scores.advantages, dp_size)
        return prefixed("hdpo/", prices | scores.metrics | written)

    @contextmanager
    def saving(self, step: int) -> Iterator[None]:
        """Around verl's writing of a checkpoint, which ends with the file that says which checkpoint is whole.

        Raises:
            CheckpointNotSaved: it failed.
        """
        with explained(self._config.trainer.default_local_dir, step):
            if self.guard is not None:
                self.guard.save(saved_in(self._config, step))
            yield

    def resumed(self, step: int) -> None:
        """Go on from the checkpoint of ``step``, which verl has read; 0 if there was none."""
        if self.guard is not None and step:
            self.guard.load(resumed_from(self._config, step))

    def _read(self, batch: HostBatch) -> Rollouts:
        """The batch's rollouts; in a run that scores, one whose reward is not finite is of unknown outcome."""
        rows = batch.rows()
        outcomes = Outcomes.read(rows.extra_fields, rows.num_turns, self.settings.hdpo)
        if self.scores:
            outcomes = outcomes.with_unknown(torch.tensor([*map(is_spoilt, rows.scores)]), "reward_not_finite")
        decisions = _decisions(rows) if self.settings.on_decisions else ()
        return Rollouts(rows.index, outcomes, rows.sources, decisions)

    def _metrics(self, prompts: int) -> dict[str, float]:
        group_size = self._config.actor_rollout_ref.rollout.n
        outcomes, group_B = self.last.outcomes, self.last.index.group_B
        metrics, lost = batch_metrics(outcomes, self.last.sources, group_B, prompts, group_size)
        if self.scores:
            unknown = Counter(
                source
                for source, known, cause in zip(outcomes.sources, outcomes.known_B.tolist(), outcomes.lost, strict=True)
                if not known and not cause
            )
            self._watch.add(max(prompts * group_size, len(outcomes.known_B)), lost, unknown)
        return metrics

    def _mask_unknown(self, batch: HostBatch) -> None:
        unknown_R = self.last.index.spread(~self.last.outcomes.known_B)
        if self.scores and unknown_R.any():
            batch.mask(unknown_R)

    def _write(self, batch: HostBatch, advantages: Advantages | None, dp_size: Callable[[], int]) -> dict[str, float]:
        """The efficiency channel, where it has a loss of its own; metrics of where it acts."""
        if advantages is None or advantages.efficiency_B is None or not self.settings.loss_weights[1]:
            return {}
        index, actor = self.last.index, self._config.actor_rollout_ref.actor
        tool_R = index.spread(advantages.efficiency_B)
        if self.settings.hdpo.tool_loss_norm == "qualifying":
            mini_batch_size = actor.ppo_mini_batch_size * self._config.actor_rollout_ref.rollout.n
            tool_R *= qualifying_scale(
                mini_batches(len(tool_R), mini_batch_size, dp_size()),
                index.spread(self.last.outcomes.correct_B),
                batch.trained_tokens(),
                aggregation(actor),
            )
        if not self.settings.on_decisions:
            batch.put(tool_R)
            return {}
        decisions, masks_R = self.last.decisions, batch.response_masks()
        spans_R = [decisions[rollout] if rollout >= 0 else () for rollout in index.rollout_R.tolist()]
        decides_R = [*map(deciding_tokens, spans_R, masks_R)]
        batch.put(decision_advantages(tool_R, decides_R))
        w_acc, w_tool = self.settings.loss_weights
        accuracy_R = index.spread(advantages.accuracy_B)
        outside_R = torch.stack([((m > 0) & ~d).sum() for m, d in zip(masks_R, decides_R, strict=True)])
        return {"tool/sign_errors": sign_errors(accuracy_R, w_acc * accuracy_R + w_tool * tool_R, outside_R)}


def _decisions(rows: Rows) -> list[Spans]:
    several = (rows.index.rollout_R >= 0).sum() != len(rows.index.final_B)
    if several or any(DECISION_SPANS_KEY not in fields for fields in rows.extra_fields):
        raise OutcomeError(
            "algorithm.hdpo.tool_tokens=decision needs to know where a rollout decides about calls, and its agent "
            "loop did not say, or gave several outputs; set actor_rollout_ref.rollout.agent.default_agent_loop="
            "hdpo_tool_agent (and no other agent_name in the data), or tool_tokens=all"
        )
    return [fields[DECISION_SPANS_KEY] for fields in rows.extra_fields]


def name_channels(metrics: dict[str, Any]) -> None:
    """Rename in place what workers report of both channels: verl prefixes everything of theirs with ``actor/``."""
    for name in [name for name in metrics if name.startswith("actor/hdpo/")]:
        metrics[name.removeprefix("actor/")] = metrics.pop(name)
    for name in ("pg_loss", "pg_clipfrac"):
        if f"hdpo/tool/{name}" in metrics and f"actor/{name}" in metrics:
            metrics[f"hdpo/acc/{name}"] = metrics[f"actor/{name}"]
