"""What verl's FSDP engines need on a CPU beside the platform of ``verl_hdpo.cpu``. Test code: no run depends on it."""

from __future__ import annotations

import torch.distributed.fsdp._init_utils as fsdp_init
import verl.models.transformers.monkey_patch as ulysses
from packed_attention import packed_attention
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.flash_attention import flash_attention_forward


def activate() -> None:
    # FSDP1 refuses to broadcast CPU parameters from rank 0, although gloo can.
    fsdp_init._check_module_states_for_sync_module_states = lambda module_states: None
    # Ulysses works around flash attention alone (verl/models/transformers/monkey_patch.py): Hugging Face's call of
    # the kernel, verl's all-to-all before and after it, and here the arithmetic instead of the kernel.
    AttentionInterface.register("varlen_on_cpu", flash_attention_forward)
    AttentionMaskInterface.register("varlen_on_cpu", lambda *args, **kwargs: None)
    ulysses._flash_attention_forward = _flash_attention


def _flash_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, *args, position_ids: Tensor, **kwargs
) -> Tensor:
    """One packed sequence, (1, tokens, heads, width); rows begin where positions do."""
    bounds = [*(position_ids[0] == 0).nonzero()[:, 0].tolist(), position_ids.shape[1]]
    return packed_attention(query[0], key[0], value[0], bounds, kwargs.get("softmax_scale"))[None]
