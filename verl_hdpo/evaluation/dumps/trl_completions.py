"""TRL's tables of completions, ``completions/completions_{step}.parquet`` of ``log_completions=True``, or as jsonl.

The columns are step, prompt, completion, one per reward function under its name, and advantage.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from verl_hdpo.evaluation.dumps.correctness import outcome_of, telling
from verl_hdpo.evaluation.dumps.dialogue import prompt_turns, response_turns
from verl_hdpo.evaluation.dumps.finite import finite
from verl_hdpo.evaluation.dumps.lines import RolloutsError, rows
from verl_hdpo.evaluation.dumps.messages import spoken
from verl_hdpo.evaluation.dumps.rollout import Rollout

_OWN = {"step", "mode", "prompt", "completion", "advantage"}


def matches(path: Path, first: Mapping[str, Any]) -> bool:
    """Whether ``first`` is a row of TRL's."""
    return {"step", "prompt", "completion", "advantage"} <= first.keys()


def read(path: Path, name: str) -> Iterator[Rollout]:
    """The completions; those of one prompt and step are a group.

    The reward is the sum of all columns of numbers: TRL's default weights are 1, and a function that returned None adds
    nothing. The one whose name speaks of correctness tells what is right; without its number the outcome is unknown.

    Raises:
        RolloutsError: it cannot be said which column that is.
    """
    lines = [*rows(path)]
    columns = [key for key in lines[0].row if key not in _OWN]
    rewards = [key for key in columns if _is_reward([line.row.get(key) for line in lines])]
    judge = rewards[0] if len(rewards) == 1 else telling(rewards)
    if judge is None:
        raise RolloutsError(
            f"{path}: which column tells what is right? Found {', '.join(rewards) or 'no reward function'}; name it: "
            "--columns prompt=prompt,answer=completion,reward=COLUMN,step=step"
        )
    numbers: dict[str, int] = {}
    for line in lines:
        row = line.row
        group = f"{name}:{row['step']}/{row['prompt']}"
        numbers[group] = numbers.get(group, -1) + 1
        given = [value for key in rewards if (value := finite(row.get(key))) is not None]
        turns = spoken(row["completion"], response_turns)
        step, accuracy = finite(row["step"]), finite(row.get(judge))
        yield Rollout(
            id=f"{name}:{line.number}",
            phase="validation" if row.get("mode") == "eval" else "train",
            source="",
            step=None if step is None else int(step),
            group=group,
            number=numbers[group],
            prompt=spoken(row["prompt"], prompt_turns),
            turns=turns,
            outcome=outcome_of(accuracy),
            accuracy=accuracy,
            reward=sum(given) if given else None,
            verdict=judge,
            calls=sum(len(turn.calls) for turn in turns),
            counted="text",
            advantage=finite(row["advantage"]),
            file=str(path),
            extras={key: row.get(key) for key in columns},
        )


def _is_reward(values: list[Any]) -> bool:
    """Whether a column holds numbers, at least one, and otherwise nothing."""
    numbers = [value for value in values if isinstance(value, int | float)]
    return bool(numbers) and all(value is None or isinstance(value, int | float) for value in values)
