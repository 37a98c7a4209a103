"""``Recipe``: how the model is made ready for RL; ``taught.py`` follows it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """Settings of the cold start.

    Attributes:
        steps, lr: AdamW, linear warm-up and cosine decay.
        habit_rows: dialogues per step that teach calls and the habit, half of them on small sums.
        known_sums: how many of the small sums are taught.
        known_rows: dialogues per step that teach them.
        trained_layers: the last ones; the others stay as they are, which halves the work.
        direct_not_needed, direct_needed: share of direct answers among the dialogues of each kind.
    """

    steps: int = 64
    lr: float = 1e-3
    habit_rows: int = 8
    known_sums: int = 192
    known_rows: int = 96
    trained_layers: int = 10
    direct_not_needed: float = 0.3
    direct_needed: float = 0.002
