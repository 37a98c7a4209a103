"""megatron-core's attention without Transformer Engine, which alone packs rows and shares them out to CP ranks."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from megatron.core import parallel_state
from megatron.core.transformer.module import MegatronModule
from packed_attention import causal_attention, packed_attention
from torch import Tensor


class CpuCoreAttention(MegatronModule):
    """Packed: (tokens, heads, width) with the rows' bounds; padded: (tokens, batch, heads, width)."""

    def __init__(self, config: Any, softmax_scale: float | None = None, **kwargs: Any):
        super().__init__(config=config)
        self.softmax_scale = softmax_scale

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Any,
        packed_seq_params: Any = None,
        **kwargs: Any,
    ) -> Tensor:
        """(tokens, heads * width), or (tokens, batch, heads * width)"""
        ranks = parallel_state.get_context_parallel_world_size()
        if ranks == 1:
            return self._attend(query, key, value, packed_seq_params)
        # Each rank holds two slices of every row: gather all, attend, and keep one's own.
        padded = packed_seq_params is None
        bounds = [0, len(query) * ranks] if padded else packed_seq_params.cu_seqlens_q_padded.tolist()
        held = [_tokens_of(rank, ranks, bounds) for rank in range(ranks)]
        order = torch.argsort(torch.cat(held))
        group = parallel_state.get_context_parallel_group()
        whole = [_Gather.apply(x.contiguous(), group)[order] for x in (query, key, value)]
        return self._attend(*whole, packed_seq_params)[held[parallel_state.get_context_parallel_rank()]]

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, packed_seq_params: Any) -> Tensor:
        if packed_seq_params is not None:
            bounds = packed_seq_params.cu_seqlens_q.tolist()
            return packed_attention(query, key, value, bounds, self.softmax_scale).flatten(1)
        query, key, value = (x.permute(1, 2, 0, 3) for x in (query, key, value))
        return causal_attention(query, key, value, self.softmax_scale).permute(2, 0, 1, 3).flatten(2)


def _tokens_of(rank: int, ranks: int, bounds: list[int]) -> Tensor:
    """The tokens of a rank: rows are cut into 2 * ranks slices, and it holds its own from either end."""
    tokens = []
    for start, end in itertools.pairwise(bounds):
        slices = torch.arange(start, end).chunk(2 * ranks)
        tokens += [slices[rank], slices[2 * ranks - 1 - rank]]
    return torch.cat(tokens)


class _Gather(torch.autograd.Function):
    """All ranks' tokens, one rank after the other; gradients are summed over the ranks."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Any) -> Tensor:
        ctx.group, ctx.size = group, len(x)
        parts = [torch.empty_like(x) for _ in range(torch.distributed.get_world_size(group))]
        torch.distributed.all_gather(parts, x, group=group)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        gradient = gradient.contiguous()
        torch.distributed.all_reduce(gradient, group=ctx.group)
        return gradient.split(ctx.size)[torch.distributed.get_rank(ctx.group)], None
