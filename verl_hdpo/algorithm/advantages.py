"""The algorithm: two advantages per rollout, each relative to its own peers.

    A_acc  = (r_acc  - mean_G) / (std_G + eps)     over the group G of all rollouts of a prompt
    A_tool = (r_tool - mean_Q) / (std_Q + eps)     over the correct rollouts Q of the group; 0 elsewhere

with r_tool = 1/(C + 1), C the cost of the tool calls (their number T, if each costs 1), and std unbiased. They meet
only in the loss.
Source: arXiv 2604.08545, section 3.

Shape suffix: B rollouts of a batch. Torch only; no loop over rollouts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import torch
from torch import Tensor

EPS = 1e-6
Cost = TypeVar("Cost", float, Tensor)


def tool_efficiency(cost: Cost) -> Cost:
    """r_tool = 1/(C + 1) of one cost or of many; C is T, the number of tool calls, if each costs 1."""
    return 1.0 / (cost + 1.0)


def accuracy_advantages(
    rewards_B: Tensor, groups_B: Tensor, known_B: Tensor, norm_by_std: bool = True, eps: float = EPS
) -> Tensor:
    """A_acc = (r - mean_G) / (std_G + eps) over the rollouts of a group whose outcome is known; 0 for the others.

    Equal, bit for bit, to verl's ``compute_grpo_outcome_advantage`` where a group's outcomes are all known: the mean in
    the rewards' precision, the squares about it in float64. A rollout with no known peer has nothing to be compared
    with and gets 0: verl gives the lone survivor of a group its reward as an advantage.

    Args:
        rewards_B: r_acc, (B,) float.
        groups_B: group id of each rollout, (B,) integer >= 0.
        known_B: whether the outcome is known, (B,) bool.
        norm_by_std: divide by std_G + eps (GRPO) or not (Dr.GRPO, arXiv 2503.20783).

    Returns:
        (B,) in the dtype of ``rewards_B``.
    """
    _check_shapes(rewards_B, groups_B, known_B)
    advantages_B = torch.zeros_like(rewards_B)
    for rows_NG in groups_by_size(groups_B, known_B):
        rewards_NG = rewards_B[rows_NG]
        if rows_NG.shape[1] == 1:
            continue
        mean_N1 = rewards_NG.mean(dim=1, keepdim=True)
        centred_NG = rewards_NG - mean_N1
        if norm_by_std:
            centred_NG = centred_NG / (_std(rewards_NG, mean_N1) + eps)
        advantages_B[rows_NG] = centred_NG
    return advantages_B


def efficiency_advantages(
    tool_rewards_B: Tensor, groups_B: Tensor, qualifying_B: Tensor, norm_by_std: bool = True, eps: float = EPS
) -> Tensor:
    """A_tool = (r_tool - mean_Q) / (std_Q + eps) within the qualifying set Q of each group; 0 for non-members.

    Exactly 0 where |Q| < 2 or std_Q < eps, so that rounding is never taken for signal.

    Args:
        tool_rewards_B: r_tool, (B,) float; see :func:`tool_efficiency`.
        groups_B: group id of each rollout, (B,) integer >= 0.
        qualifying_B: membership in Q: correct, with a known outcome, (B,) bool.
        norm_by_std: divide by std_Q + eps or not.

    Returns:
        (B,) float32.
    """
    _check_shapes(tool_rewards_B, groups_B, qualifying_B)
    tool_rewards_B = tool_rewards_B.double()
    advantages_B = torch.zeros_like(tool_rewards_B)
    for rows_NG in groups_by_size(groups_B, qualifying_B):
        if rows_NG.shape[1] < 2:
            continue
        rewards_NG = tool_rewards_B[rows_NG]
        mean_N1 = rewards_NG.mean(dim=1, keepdim=True)
        std_N1 = _std(rewards_NG, mean_N1)
        centred_NG = rewards_NG - mean_N1
        scaled_NG = centred_NG / (std_N1 + eps) if norm_by_std else centred_NG
        advantages_B[rows_NG] = torch.where(std_N1 < eps, 0.0, scaled_NG)
    return advantages_B.float()


def _std(values_NG: Tensor, mean_N1: Tensor) -> Tensor:
    """Unbiased standard deviation of each row about ``mean_N1``, (N, 1), summed in float64."""
    squares_NG = (values_NG.double() - mean_N1.double()).square()
    return (squares_NG.sum(dim=1, keepdim=True) / (values_NG.shape[1] - 1)).sqrt().to(values_NG.dtype)


def groups_by_size(groups_B: Tensor, members_B: Tensor) -> Iterator[Tensor]:
    """Row numbers of the members of each group, as one dense (N groups, G members) matrix per distinct size G."""
    rows = members_B.nonzero().squeeze(1)
    rows = rows[torch.argsort(groups_B[rows], stable=True)]
    _, sizes = torch.unique_consecutive(groups_B[rows], return_counts=True)
    starts = sizes.cumsum(0) - sizes
    for size in sizes.unique().tolist():
        yield rows[starts[sizes == size, None] + torch.arange(size, device=rows.device)]


def _check_shapes(values_B: Tensor, groups_B: Tensor, members_B: Tensor) -> None:
    if not values_B.shape == groups_B.shape == members_B.shape or values_B.dim() != 1:
        raise ValueError(
            f"one value, group id and membership per rollout expected, found shapes "
            f"{tuple(values_B.shape)}, {tuple(groups_B.shape)}, {tuple(members_B.shape)}"
        )
    if members_B.dtype != torch.bool:
        raise ValueError(f"membership must be boolean, found {members_B.dtype}: it is never inferred from a reward")
