"""verl's classic trainer (``trainer.use_v1=false``) with HDPO and its rivals: a second host of :class:`AdvantageStep`.

``RayPPOTrainer.fit`` is one long method (verl/trainer/ppo/ray_trainer.py). Of its steps, those that are methods are
extended here. Its advantages come from a function of its module, ``compute_advantage``, which plugin.py wraps with
:func:`through_host`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import numpy as np
from verl import DataProto
from verl.trainer.ppo.ray_trainer import RayPPOTrainer
from verl.utils.debug import marked_timer

from verl_hdpo.adapters.advantage_step import name_channels
from verl_hdpo.adapters.host_trainer import HostTrainer
from verl_hdpo.adapters.padded_batch import PaddedBatch
from verl_hdpo.adapters.validation import validation_metrics

_host: ContextVar[ClassicTrainer | None] = ContextVar("hdpo_classic_trainer", default=None)
"""The trainer that is in ``fit``."""


def through_host(stock: Callable[..., DataProto]) -> Callable[..., DataProto]:
    """verl's ``compute_advantage``, with whatever the trainer that is in ``fit`` adds to it."""

    @functools.wraps(stock)
    def compute_advantage(data: DataProto, *args: Any, **kwargs: Any) -> DataProto:
        host = _host.get()
        if host is None or host.hdpo is None:
            return stock(data, *args, **kwargs)
        host.begin_advantages(data)
        return host.finish_advantages(data, functools.partial(stock, data, *args, **kwargs))

    vars(compute_advantage)["_hdpo"] = True
    return compute_advantage


class ClassicTrainer(HostTrainer, RayPPOTrainer):
    """What the estimators of this package add to it."""

    def __init__(self, *args: Any, **kwargs: Any):
        self._begun: dict[str, float] | None = None
        """Metrics of the batch whose outcomes were read, and whose advantages are not computed yet."""
        self._metrics: dict[str, float] = {}
        super().__init__(*args, **kwargs)

    def init_workers(self) -> None:
        super().init_workers()
        self._set_loss()

    def fit(self) -> None:
        token = _host.set(self)
        try:
            super().fit()
        finally:
            _host.reset(token)

    # What verl computes from a batch before its advantages takes one of these two (KL in the reward, rollout
    # correction): unknown outcomes have to be out of it by then, as in trainer V1.

    def _compute_old_log_prob(self, batch: DataProto) -> Any:
        self.begin_advantages(batch)
        return super()._compute_old_log_prob(batch)

    def _compute_ref_log_prob(self, batch: DataProto) -> DataProto:
        self.begin_advantages(batch)
        return super()._compute_ref_log_prob(batch)

    def begin_advantages(self, data: DataProto) -> None:
        """Read the outcomes of a batch, unless that is done."""
        if self.hdpo is not None and self._begun is None:
            prompts = self.config.data.get("gen_batch_size") or self.config.data.train_batch_size
            self._begun = self.hdpo.begin(PaddedBatch(data), prompts)

    def finish_advantages(self, data: DataProto, stock: Callable[[], DataProto]) -> DataProto:
        """``stock``, which is verl's ``compute_advantage`` of ``data``, with what this package adds."""
        assert self.hdpo is not None and self._begun is not None
        found = self.hdpo.finish(
            PaddedBatch(data),
            lambda: _in_place(data, stock()),
            lambda: self._get_dp_size(self.actor_rollout_wg, "actor"),
        )
        self._metrics, self._begun = self._begun | found, None
        self.notes.add(PaddedBatch(data).keys(), self.hdpo.last, self.hdpo.last_scores)
        return data

    def _update_actor(self, batch: DataProto) -> DataProto:
        """verl's own; ``fit`` logs the metrics that it returns, and no others that a subclass could add to."""
        output = super()._update_actor(batch)
        if self.hdpo is not None:
            metrics = output.meta_info["metrics"]
            name_channels(metrics)
            metrics.update(self._metrics)
        return output

    def _log_rollout_data(
        self, batch: DataProto, reward_extra_infos_dict: dict, timing_raw: dict, rollout_data_dir: str
    ) -> None:
        """verl's dump with a key in each line, and beside it what ``verl-hdpo look`` shows by that key."""
        if self.hdpo is None:
            super()._log_rollout_data(batch, reward_extra_infos_dict, timing_raw, rollout_data_dir)
            return
        padded = PaddedBatch(batch)
        columns = {**reward_extra_infos_dict, "uid": padded.keys()}
        super()._log_rollout_data(batch, columns, timing_raw, rollout_data_dir)
        with marked_timer("dump_rollout_notes", timing_raw, color="green"):
            self._dump_notes(self.notes.read(padded.texts, self.tokenizer), rollout_data_dir)

    def _val_metrics_update(
        self, data_sources: Any, sample_uids: Any, reward_extra_infos_dict: Any, sample_turns: Any
    ) -> dict[str, Any]:
        """verl's validation metrics, and the ``hdpo/`` quantities per data source under ``val-hdpo/``."""
        stock = super()._val_metrics_update
        if self.hdpo is None:
            return stock(data_sources, sample_uids, reward_extra_infos_dict, sample_turns)
        return validation_metrics(
            lambda sources, uids, columns, _: stock(sources, uids, columns, sample_turns),
            self.config,
            self.hdpo.settings,
            data_sources,
            sample_uids,
            reward_extra_infos_dict,
            np.concatenate(sample_turns),  # of each validation batch
            {},
        )


def _in_place(data: DataProto, computed: DataProto) -> None:
    assert computed is data, "verl's compute_advantage no longer fills in the batch that it is given"
