"""Reward manager ``hdpo``: r_acc as the score, and a fixed set of numbers for the trainer and the logs."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from omegaconf import OmegaConf
from verl import DataProto
from verl.experimental.reward_loop.reward_manager.base import RewardManagerBase
from verl.experimental.reward_loop.reward_manager.registry import register

from verl_hdpo.adapters.run_settings import hdpo_settings, reward_settings, run_settings
from verl_hdpo.grading.extract import extract_answer, follows_format
from verl_hdpo.grading.grader import Grader
from verl_hdpo.grading.grammar import follows_reason_grammar
from verl_hdpo.grading.question import Question
from verl_hdpo.grading.reward_function import FunctionFile, RewardFunction, RewardFunctionError
from verl_hdpo.grading.rules import AnswerChecker
from verl_hdpo.outcomes.calls import count_calls
from verl_hdpo.outcomes.ledger import LEDGER_KEY, LOST_KEY, MODEL_SPANS_KEY, RUN_ERROR_KEY, ToolLedger
from verl_hdpo.outcomes.outcome import SEEN_CHARS, Outcome, OutcomeError
from verl_hdpo.outcomes.report import write_error, write_outcome

logger = logging.getLogger(__name__)

WARNING_INTERVAL_SECONDS = 60.0


@register("hdpo")
class HDPORewardManager(RewardManagerBase):
    """score = r_acc = answer_weight * answer + format_weight * format.

    The answer is judged by a checker, or scored in [0, 1] by ``reward.custom_reward_function`` if it has a
    path. Both see only what the model wrote. A check that failed to run gives ``outcome_known = 0``, score 0.

    Args:
        checker: judges answers; the ``Grader`` of ``reward.reward_kwargs`` unless given.
    """

    def __init__(
        self,
        config: Any,
        tokenizer: Any,
        compute_score: Callable[..., Any] | None = None,
        reward_router_address: str | None = None,
        reward_model_tokenizer: Any = None,
        checker: AnswerChecker | None = None,
    ) -> None:
        super().__init__(config, tokenizer, compute_score)
        self.settings = reward_settings(config)
        self.hdpo = hdpo_settings(config)
        router_kwargs = {}
        if reward_router_address is not None:
            router_kwargs["reward_router_address"] = reward_router_address
            router_kwargs["reward_model_tokenizer"] = reward_model_tokenizer
        # compute_score is never None here: without a path verl passes its default, a table of data sets.
        custom, self.custom_score = config.reward.get("custom_reward_function") or {}, None
        if compute_score is not None and custom.get("path"):
            kwargs = {**router_kwargs, **custom.get("reward_kwargs", {})}
            self.custom_score = RewardFunction(
                functools.partial(compute_score, **router_kwargs),
                FunctionFile(custom["path"], custom["name"], kwargs),
                self.settings.function_timeout,
                self.settings.function_processes,
            )
        if checker is None:
            model = OmegaConf.select(config, "reward.reward_model.model_path")
            workers = config.reward.get("num_workers") or 1
            checker = Grader.from_settings(self.settings, workers, reward_router_address, model)
        self.checker = checker
        self._is_read = run_settings(config) is not None
        self._unknown_since_warning, self._next_warning = 0, 0.0
        self._ignored_keys: set[str] = set()
        self._skipped_ids = _special_ids(tokenizer, keep=self.settings.answer_pattern)

    async def run_single(self, data: DataProto) -> dict[str, Any]:
        """Score and report of a rollout.

        What cannot be scored is a mistake in the set-up. Of that verl's trainers would only drop the rollouts that it
        concerns, such as the wrong ones of a function that returns -1, so this package's are told and end the run.
        """
        try:
            return await self._score(data)
        except Exception as error:
            if not self._is_read:
                raise
            logger.exception("the hdpo reward manager could not score a rollout")
            return write_error(error, self.settings)

    async def _score(self, data: DataProto) -> dict[str, Any]:
        item = data[-1:][0]  # of a trajectory with several outputs, the last holds the answer
        row = item.non_tensor_batch
        fields = row.get("tool_extra_fields") or {}
        if fields.get(RUN_ERROR_KEY):
            raise OutcomeError(fields[RUN_ERROR_KEY])
        num_turns = int(row.get("__num_turns__", 0) or 0)
        ledger = ToolLedger.from_dict(fields[LEDGER_KEY]) if LEDGER_KEY in fields else None
        calls = count_calls(ledger, None, num_turns, self.hdpo)
        if fields.get(LOST_KEY):
            return write_outcome(Outcome.unknown("lost"), 0.0, calls, ledger, self.settings, self.hdpo)
        response = _response_ids(item)
        spans = _model_spans(fields, num_turns, len(response))
        turns = await asyncio.to_thread(lambda: [self._decode(response[start:end]) for start, end in spans])

        extra_info = {**(row.get("extra_info") or {}), "num_turns": num_turns, "tool_calls": calls}
        ground_truth = row["reward_model"]["ground_truth"]
        if self.custom_score:
            extra_info["full_response"] = await asyncio.to_thread(self._decode, response)
            outcome = await self._custom_outcome(self.custom_score, row["data_source"], turns, ground_truth, extra_info)
        else:
            outcome = await self._checked_outcome(turns, ground_truth, row.get("raw_prompt"), extra_info)
        reasons = self.settings.grammar == "reason"
        format_ok = float(
            follows_reason_grammar(turns) if reasons else follows_format(turns, self.settings.answer_pattern)
        )
        return write_outcome(outcome, format_ok, calls, ledger, self.settings, self.hdpo)

    async def _checked_outcome(
        self, turns: list[str], ground_truth: Any, raw_prompt: Any, extra_info: Mapping[str, Any]
    ) -> Outcome:
        answer = await asyncio.to_thread(extract_answer, turns, self.settings.answer_pattern)
        if answer is None:
            return Outcome.wrong("no_answer")
        try:
            outcome = await self.checker(answer, ground_truth, Question.of(raw_prompt, extra_info), extra_info)
        except Exception as error:
            self._warn_unknown(f"the answer checker raised {error!r}")
            outcome = Outcome.unknown("checker_raised")
        return replace(outcome, seen=answer[:SEEN_CHARS])

    async def _custom_outcome(
        self,
        function: RewardFunction,
        data_source: Any,
        turns: list[str],
        ground_truth: Any,
        extra_info: dict[str, Any],
    ) -> Outcome:
        """What the user's function says; unknown where it raises, runs out of time or says so.

        Raises:
            OutcomeError: it returned something other than a score in [0, 1].
        """
        arguments = {
            "data_source": data_source,
            "solution_str": "\n".join(turns),
            "ground_truth": ground_truth,
            "extra_info": extra_info,
        }
        try:
            outcome, ignored = await function(arguments)
        except RewardFunctionError as error:
            limit = self.settings.function_timeout
            self._warn_unknown(f"the custom reward function raised {error} (limit {limit:g} s)")
            return Outcome.unknown("reward_function_raised")
        if ignored := ignored - self._ignored_keys:
            self._ignored_keys |= ignored
            logger.warning("the hdpo reward manager ignores %s of the custom reward", sorted(ignored))
        return outcome

    def _decode(self, ids: list[int]) -> str:
        kept = [i for i in ids if i not in self._skipped_ids]
        return self.tokenizer.decode(kept, skip_special_tokens=False)

    def _warn_unknown(self, why: str) -> None:
        self._unknown_since_warning += 1
        if time.monotonic() >= self._next_warning:
            logger.warning("%d outcome(s) unknown; the latest: %s", self._unknown_since_warning, why)
            self._unknown_since_warning = 0
            self._next_warning = time.monotonic() + WARNING_INTERVAL_SECONDS


def _response_ids(item: Any) -> list[int]:
    ids = item.batch["responses"]
    # With several outputs verl pads prompts and attention masks to different widths (AgentLoopWorker
    # ._compute_score), so the tail of the mask is not the response's; response_len, where given, is right.
    length = item.non_tensor_batch.get("response_len")
    if length is None:
        length = item.batch["attention_mask"][-ids.shape[-1] :].sum()
    return ids[: int(length)].tolist()


def _model_spans(fields: Mapping[str, Any], num_turns: int, length: int) -> list[tuple[int, int]]:
    if MODEL_SPANS_KEY in fields:
        return [(start, min(end, length)) for start, end in fields[MODEL_SPANS_KEY]]
    if num_turns <= 2:  # one prompt, one response
        return [(0, length)]
    raise ValueError(
        f"the hdpo reward manager cannot tell the model's tokens from the tools' in a response of {num_turns} "
        f"turns; set actor_rollout_ref.rollout.agent.default_agent_loop=hdpo_tool_agent (and no other agent_name "
        f"in the data), or let your agent loop write extra_fields['model_spans']"
    )


def _special_ids(tokenizer: Any, keep: str) -> frozenset[int]:
    """Tokens to leave out of the text: the special ones, but not a tag that the answer pattern needs."""
    tokens = tokenizer.added_tokens_decoder.items()
    return frozenset(i for i, token in tokens if token.special and token.content not in keep)
