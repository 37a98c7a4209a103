"""The ``qualifying`` denominator of the efficiency loss, folded into the efficiency advantages.

verl divides a policy loss by a count over the whole mini-batch, the same for every micro-batch and data-parallel
rank. ``tool_loss_norm=qualifying`` wants the count over the qualifying rollouts only. A clipped surrogate is
positively homogeneous in the advantage, so scaling A_tool by (count of all) / (count of Q) per mini-batch gives that
denominator exactly, and whatever keeps verl's own loss independent of the split keeps this one.

Shape suffix: R rows of the batch.
"""

from __future__ import annotations

import torch
from torch import Tensor

HOMOGENEOUS_LOSSES = ("vanilla", "dppo_tv", "dppo_kl", "gspo", "sapo", "gpg", "cispo")
"""verl's policy losses with L(cA) = cL(A) for c > 0, and verl's global denominators: this scaling is exact for them."""


def mini_batches(rows: int, mini_batch_size: int, dp_size: int) -> Tensor:
    """Mini-batch number of each row as verl's workers split them without shuffling, (R,) int64.

    The dispatch gives each data-parallel rank one contiguous share of the rows, and the rank cuts its share into
    consecutive pieces of ``mini_batch_size / dp_size`` (``TrainingWorker.train_mini_batch``).

    Raises:
        ValueError: sizes that verl itself would refuse.
    """
    if mini_batch_size % dp_size or rows % mini_batch_size:
        raise ValueError(f"{rows} rows do not divide into mini-batches of {mini_batch_size} over {dp_size} ranks")
    return torch.arange(rows) % (rows // dp_size) // (mini_batch_size // dp_size)


def qualifying_scale(mini_batch_R: Tensor, qualifying_R: Tensor, tokens_R: Tensor, loss_agg_mode: str) -> Tensor:
    """(count of all) / (count of Q) in each row's mini-batch; 0 where Q has none. (R,) float64.

    Args:
        mini_batch_R: mini-batch number of each row; see :func:`mini_batches`.
        qualifying_R: whether the row's rollout is in Q, (R,) bool.
        tokens_R: trained tokens of each row, (R,) int.
        loss_agg_mode: verl's; token-mean counts tokens, seq-mean-* counts rows (verl divides by the global batch
            size, padding included), token-sum has no denominator.
    """
    if loss_agg_mode == "token-sum":
        return torch.ones(len(mini_batch_R), dtype=torch.float64)
    by_token = loss_agg_mode == "token-mean"
    weights_R = tokens_R if by_token else torch.ones_like(tokens_R)
    in_q_R = weights_R * (qualifying_R & (tokens_R > 0))
    all_M = torch.bincount(mini_batch_R, weights=weights_R.double())
    q_M = torch.bincount(mini_batch_R, weights=in_q_R.double())
    return torch.where(q_M > 0, all_M / q_M, 0.0)[mini_batch_R]
