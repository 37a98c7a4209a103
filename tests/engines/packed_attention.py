"""Causal attention over packed rows in plain torch: what flash attention and Transformer Engine do on a GPU."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor


def packed_attention(query: Tensor, key: Tensor, value: Tensor, bounds: Sequence[int], scale: float | None) -> Tensor:
    """Each token sees its row's tokens up to itself.

    Args:
        query: (tokens, heads, width); key and value with as many heads, or a divisor of it.
        bounds: where rows begin, and the end of the last.
        scale: on the scores; None is width ** -0.5.

    Returns:
        (tokens, heads, width)
    """
    rows = []
    for start, end in itertools.pairwise(bounds):
        q, k, v = (x[start:end].transpose(0, 1)[None] for x in (query, key, value))
        rows.append(causal_attention(q, k, v, scale)[0].transpose(0, 1))
    return torch.cat(rows)


def causal_attention(query: Tensor, key: Tensor, value: Tensor, scale: float | None) -> Tensor:
    """The same for a rectangle, (batch, heads, tokens, width); with padding on the right no row sees any of it."""
    return torch.nn.functional.scaled_dot_product_attention(
        query, key, value, is_causal=True, scale=scale, enable_gqa=query.shape[1] != key.shape[1]
    )
