"""Losses with the mistakes that the comparison must notice, and that real code has made."""

from __future__ import annotations

from typing import Any

import torch
from loss_settings import SETTINGS
from tensordict import TensorDict
from torch import Tensor
from verl.utils import tensordict_utils as tu
from verl.workers.config import ActorConfig

from verl_hdpo.adapters.loss import TOOL_ADVANTAGES, two_channel_loss

W_ACC, W_TOOL = SETTINGS["qualifying"].w_acc, SETTINGS["qualifying"].w_tool
Result = tuple[Tensor, dict[str, Any]]


def micro_batch_mean(config: ActorConfig, model_output: dict, data: TensorDict, dp_group: Any = None) -> Result:
    """An average over the tokens of the micro-batch, as in the authors' released code."""
    tokens = int(data["response_mask"].values().sum())
    return two_channel_loss(config, W_ACC, W_TOOL, model_output, _with(data, batch_num_tokens=max(tokens, 1)), dp_group)


def times_number_of_micro_batches(
    config: ActorConfig, model_output: dict, data: TensorDict, dp_group: Any = None
) -> Result:
    """Megatron divides by their number and verl's engine has already multiplied by it; FSDP does neither."""
    loss, metrics = two_channel_loss(config, W_ACC, W_TOOL, model_output, data, dp_group)
    return loss * tu.get_non_tensor_data(data, "num_micro_batch", 1), metrics


def no_tool_term(config: ActorConfig, model_output: dict, data: TensorDict, dp_group: Any = None) -> Result:
    """The released code's loss on Megatron."""
    return two_channel_loss(config, W_ACC, 0.0, model_output, data, dp_group)


def summed_before_clipping(config: ActorConfig, model_output: dict, data: TensorDict, dp_group: Any = None) -> Result:
    """combine=advantage where combine=loss was asked for."""
    summed = [
        (W_ACC * acc + W_TOOL * tool) * (mask > 0)
        for acc, tool, mask in zip(
            data["advantages"].unbind(), data[TOOL_ADVANTAGES], data["response_mask"].unbind(), strict=True
        )
    ]
    data = _with(data, advantages=torch.nested.as_nested_tensor(summed, layout=torch.jagged))
    return two_channel_loss(config, 1.0, 0.0, model_output, data, dp_group)


def qualifying_by_micro_batch(
    config: ActorConfig, model_output: dict, data: TensorDict, dp_group: Any = None
) -> Result:
    """The efficiency loss divided by the qualifying tokens of the micro-batch."""
    loss, metrics = two_channel_loss(config, W_ACC, 0.0, model_output, data, dp_group)
    tokens = sum(
        int(mask.sum())
        for mask, tool in zip(data["response_mask"].unbind(), data[TOOL_ADVANTAGES], strict=True)
        if tool != 0
    )
    data = _with(data, batch_num_tokens=max(tokens, 1))
    return loss + two_channel_loss(config, 0.0, W_TOOL, model_output, data, dp_group)[0], metrics


def _with(data: TensorDict, **values: Any) -> TensorDict:
    """A copy of ``data`` with other values; its tensors are shared."""
    data = data.clone(recurse=False)
    for name, value in values.items():
        if isinstance(value, Tensor):
            data[name] = value
        else:
            tu.assign_non_tensor(data, **{name: value})
    return data
