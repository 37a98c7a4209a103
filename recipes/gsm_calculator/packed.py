"""Dialogues that begin alike, packed into rows: what they share, system turn and tools, is worked out once per row.

Each sees what is shared and itself, at the positions that it has alone, so that its tokens have the probabilities that
they have alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from sft import IGNORED, Row

DIALOGUES = 32
"""How many share a row; attention costs the square of a row's length."""


def log_probs(model: Any, dialogues: Sequence[Row]) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probability of every labelled token, and which of ``dialogues`` it belongs to; both of shape (tokens,)."""
    packs = [_packed(model, dialogues[first : first + DIALOGUES]) for first in range(0, len(dialogues), DIALOGUES)]
    owners = [owner + number * DIALOGUES for number, (_, owner) in enumerate(packs)]
    return torch.cat([log_p for log_p, _ in packs]), torch.cat(owners)


def _packed(model: Any, dialogues: Sequence[Row]) -> tuple[torch.Tensor, torch.Tensor]:
    starts = [ids[: next(t for t, label in enumerate(labels) if label != IGNORED)] for ids, labels in dialogues]
    shared = sum(1 for _ in itertools.takewhile(lambda tokens: len({*tokens}) == 1, zip(*starts, strict=False)))
    tokens, positions, owners = starts[0][:shared], list(range(shared)), [-1] * shared
    learned = []  # (where it is predicted, token, whose)
    for owner, (ids, labels) in enumerate(dialogues):
        for position in range(shared, len(ids)):
            if labels[position] != IGNORED:
                before = len(tokens) if position > shared else shared
                learned.append((before - 1, labels[position], owner))
            tokens.append(ids[position])
            positions.append(position)
            owners.append(owner)

    def tensor(numbers: Sequence[int]) -> torch.Tensor:
        return torch.tensor(numbers, device=model.device)

    owner = tensor(owners)
    visible = ((owner[:, None] == owner) | (owner == -1)).tril()
    hidden = model.model(
        input_ids=tensor(tokens)[None], position_ids=tensor(positions)[None], attention_mask=visible[None, None]
    ).last_hidden_state[0]
    at, targets, whose = map(tensor, zip(*learned, strict=True))
    # Most tokens are not learned, and a vocabulary of 49,152 is much of the work.
    return -torch.nn.functional.cross_entropy(model.lm_head(hidden[at]), targets, reduction="none"), whose
