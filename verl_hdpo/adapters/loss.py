"""The two-channel policy loss, on top of verl's own: L = w_acc L_pg(A_acc) + w_tool L_pg(A_tool) + entropy + KL.

verl's ``ppo_loss`` computes the accuracy channel with everything the user configured (policy loss, aggregation,
rollout-correction weights, entropy, KL). The efficiency channel is the same registered policy loss on the same
log-probabilities, with the same denominators over the whole mini-batch: a partial sum, so gradients do not depend on
how the mini-batch is cut into micro-batches or spread over ranks.
"""

from __future__ import annotations

from typing import Any

import verl
from omegaconf import DictConfig
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from tensordict import TensorDict
from torch import Tensor
from verl.trainer.ppo.core_algos import get_policy_loss_fn
from verl.utils import tensordict_utils as tu
from verl.utils.metric import AggregationType, Metric
from verl.workers.config import ActorConfig
from verl.workers.utils.losses import ppo_loss
from verl.workers.utils.padding import no_padding_2_padding

TOOL_ADVANTAGES = "tool_advantages"
"""The batch field with A_tool: one float per row, broadcast over the row's response tokens in the loss, or with
``tool_tokens=decision`` one per token."""

BY_SEQUENCE = {"sapo": SpecifierSet(">=0.9.0"), "gspo": SpecifierSet("<0.9.1")}
"""verl's policy losses that average over sequences whatever ``loss_agg_mode`` says, and the releases in which they do
(verl/trainer/ppo/core_algos.py, their calls of ``agg_loss``)."""


def two_channel_loss(
    config: ActorConfig,
    w_acc: float,
    w_tool: float,
    model_output: dict,
    data: TensorDict,
    dp_group: Any = None,
) -> tuple[Tensor, dict[str, Any]]:
    """verl's loss-function contract (``verl/workers/utils/losses.py``) with two clipped surrogates.

    Args:
        config: the actor's config, as verl gives it to ``ppo_loss``.
        w_acc, w_tool: the channels' weights; w_tool = 0 and w_acc = 1 is ``ppo_loss``, exactly.
        model_output, data, dp_group: as verl passes them; ``data`` has ``tool_advantages`` if w_tool is not 0.

    Returns:
        The micro-batch's share of the loss, attached to the graph, and metrics; those of the efficiency channel are
        named ``hdpo/tool/*``.
    """
    if data["batch_num_tokens"] == 0:
        # Every outcome of the mini-batch is unknown: nothing to learn from, and 0/0 in verl's token mean.
        tu.assign_non_tensor(data, batch_num_tokens=1)
    loss, metrics = ppo_loss(config=config, model_output=model_output, data=data, dp_group=dp_group)
    if w_acc != 1:
        loss = loss + (w_acc - 1) * _surrogate(config, model_output, data, "advantages")[0]
    if w_tool:
        tool_loss, tool_metrics = _surrogate(config, model_output, data, TOOL_ADVANTAGES)
        loss = loss + w_tool * tool_loss
        metrics["hdpo/tool/pg_loss"] = Metric(value=tool_loss, aggregation=metrics["actor/pg_loss"].aggregation)
        for name, value in tool_metrics.items():
            metrics[f"hdpo/tool/{name.rpartition('/')[2]}"] = Metric(value=value, aggregation=AggregationType.MEAN)
    return loss, metrics


def _surrogate(config: ActorConfig, model_output: dict, data: TensorDict, advantages: str) -> tuple[Tensor, dict]:
    """The user's policy loss on one channel's advantages, as ``ppo_loss`` calls it.

    Needs ``ppo_loss`` to have run on the same micro-batch: it puts the global counts into ``config``.
    """
    fields = ["response_mask", "old_log_probs", advantages]
    if "rollout_is_weights" in data:
        fields.append("rollout_is_weights")
    padded = data.select(*fields).to_padded_tensor()
    advantages_BT = padded[advantages]
    if advantages == TOOL_ADVANTAGES:
        if advantages_BT.dim() == 1:
            advantages_BT = advantages_BT.unsqueeze(-1).expand_as(padded["old_log_probs"])
        elif advantages_BT.shape != padded["old_log_probs"].shape:
            raise ValueError(
                f"{TOOL_ADVANTAGES} must hold one float per row or per token, found shape {tuple(advantages_BT.shape)}"
            )
    return get_policy_loss_fn(config.policy_loss.get("loss_mode", "vanilla"))(
        old_log_prob=padded["old_log_probs"],
        log_prob=no_padding_2_padding(model_output["log_probs"], data),
        advantages=advantages_BT,
        response_mask=padded["response_mask"].bool(),
        loss_agg_mode=config.loss_agg_mode,
        config=config,
        rollout_is_weights=padded.get("rollout_is_weights", None),
    )


def aggregation(actor: ActorConfig | DictConfig) -> str:
    """The ``loss_agg_mode`` that the user's policy loss goes by."""
    since = BY_SEQUENCE.get(actor.policy_loss.get("loss_mode", "vanilla"))
    fixed = since is not None and Version(Version(verl.__version__).base_version) in since
    return "seq-mean-token-mean" if fixed else actor.loss_agg_mode
