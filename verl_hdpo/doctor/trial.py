"""``Tried``: one answer to a real row, scored as a run's reward worker scores it and read as its trainer reads it."""

from __future__ import annotations

import asyncio
import copy
import math
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig
from tensordict import TensorDict
from verl import DataProto
from verl.trainer.ppo.reward import load_reward_manager

from verl_hdpo.adapters.names import AGENT_LOOP
from verl_hdpo.adapters.run_settings import RunSettings
from verl_hdpo.adapters.user_code import in_words
from verl_hdpo.doctor.logged import logged
from verl_hdpo.doctor.tokenizer import tokenizer_of
from verl_hdpo.outcomes.ledger import LEDGER_KEY, MODEL_SPANS_KEY, ToolLedger
from verl_hdpo.outcomes.numbers import as_number
from verl_hdpo.outcomes.outcome import Outcome, OutcomeError
from verl_hdpo.outcomes.report import read_outcome

RETURN = "return a number, or a dict with 'score' and 'acc' (1 or 0), for every answer"
SIGNATURE = "verl calls it with data_source, solution_str, ground_truth and extra_info, as keywords"
STARTS_RAY = ("remote",)
"""Reward managers that call the function in Ray actors; tried with ``naive``, which calls it in the same way."""


@dataclass(frozen=True)
class Tried:
    """One answer, and what became of it.

    Attributes:
        answer: as the model would have written it.
        score: ``reward_score``.
        outcome: as the trainer will read it; None for a run that does not read it, or where it cannot.
        correct: whether the trainer takes it for correct.
        info: ``reward_extra_info``.
        wrong: what is wrong, if anything, and what to do.
        warnings: what was logged meanwhile.
    """

    answer: str
    score: Any = None
    outcome: Outcome | None = None
    correct: bool = False
    info: Mapping[str, Any] | None = None
    wrong: tuple[str, str] | None = None
    warnings: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """Whether the trainer knows how it ended."""
        return self.outcome is not None and self.outcome.known

    def told(self) -> str:
        """What became of it, in words."""
        if self.outcome is None:
            return f"score {self.score!r:.60}"
        return f"{'correct' if self.correct else 'wrong'}, score {self.score:g}" if self.known else "unknown"


def try_answer(
    config: DictConfig, run: RunSettings | None, loops: Sequence[str], row: Mapping[str, Any], answer: str
) -> Tried:
    """Score one answer as a run's reward worker would, and read the outcome as its trainer would.

    Args:
        loops: the agent loops that the run uses.
    """
    with logged() as warnings:
        try:
            result = asyncio.run(_score(config, AGENT_LOOP in loops, row, answer))
        except _NotMadeError as error:
            told = f"the reward manager cannot be made: {in_words(error.__cause__ or error)}"
            return Tried(answer, wrong=(told, "mend it, or the settings that it reads"))
        except (Exception, SystemExit) as error:  # whatever the owner's function raises
            return Tried(answer, wrong=(f"the reward raised {in_words(error)}", _mend(error)))
    score, info = result["reward_score"], dict(result.get("reward_extra_info") or {})
    try:
        outcome = read_outcome(info, run.hdpo) if run else None
    except OutcomeError as error:
        return Tried(answer, score, info=info, wrong=(str(error), RETURN))
    number = as_number(score)
    if number is None or not math.isfinite(number):
        return Tried(
            answer, score, info=info, wrong=(f"the score must be a finite number, found {score!r:.60}", RETURN)
        )
    if raised := info.get("error"):  # of verl's rate_limited manager
        warnings.append(f"the reward function raised {raised}")
    correct = run is not None and outcome is not None and outcome.known and outcome.acc > run.hdpo.correct_threshold
    return Tried(answer, number, outcome, correct, info, warnings=tuple(warnings))


class _NotMadeError(Exception):
    pass


def _mend(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"pip install {error.name}"
    if isinstance(error, NotImplementedError):
        return "verl has no scorer for this data_source: set reward.custom_reward_function.path, or use another manager"
    if isinstance(error, TypeError) and "argument" in str(error):
        return SIGNATURE
    return "let it return 0, and not raise: verl drops each rollout whose reward raises, and trains on the others"


async def _score(config: DictConfig, with_ledger: bool, row: Mapping[str, Any], answer: str) -> dict[str, Any]:
    if config.reward.reward_manager.name in STARTS_RAY:
        config = copy.deepcopy(config)
        config.reward.reward_manager.name = "naive"
    tokenizer = tokenizer_of(config) or _Characters()
    with redirect_stdout(StringIO()):
        try:
            manager = load_reward_manager(config, tokenizer)
        except Exception as error:  # whatever the owner's file raises
            raise _NotMadeError from error
        return await manager.run_single(_rollout(row, tokenizer.encode(answer, add_special_tokens=False), with_ledger))


def _rollout(row: Mapping[str, Any], ids: list[int], with_ledger: bool) -> DataProto:
    """A rollout of one turn without a tool call, as ``AgentLoopWorker._compute_score`` hands it on."""
    response = torch.tensor([ids], dtype=torch.int64)
    ones = torch.ones((1, 1 + len(ids)), dtype=torch.int64)
    batch = {"prompts": ones[:, :1], "responses": response, "attention_mask": ones, "position_ids": ones.cumsum(1) - 1}
    batch["input_ids"] = torch.cat([batch["prompts"], response], dim=1)
    fields = copy.deepcopy({key: value for key, value in row.items() if not isinstance(value, torch.Tensor)})
    fields["extra_info"] = fields.get("extra_info") or {}
    told = {LEDGER_KEY: ToolLedger().to_dict(), MODEL_SPANS_KEY: [[0, len(ids)]]} if with_ledger else {}
    fields |= {"__num_turns__": 2, "tool_extra_fields": told, "prompt_len": 1, "response_len": len(ids)}
    return DataProto(
        batch=TensorDict(batch, batch_size=1),
        non_tensor_batch={key: _in_batch(value) for key, value in fields.items()},
    )


def _in_batch(value: Any) -> np.ndarray:
    array = np.empty(1, dtype=object)
    array[0] = value
    return array


class _Characters:
    """Stands in for a tokenizer that is not on this machine: a token per character."""

    added_tokens_decoder: Mapping[int, Any] = {}
    eos_token, pad_token = "", ""

    def encode(self, text: str, **_: Any) -> list[int]:
        return [ord(character) for character in text]

    def decode(self, ids: Any, **_: Any) -> str:
        return "".join(chr(int(token)) for token in ids)
