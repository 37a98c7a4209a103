"""``TokenClient``: an endpoint as an agent loop takes its LLM server, with a seed of its own for every request."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from verl.workers.rollout.replica import TokenOutput
from verl.workers.rollout.utils import get_vision_placeholder_token_ids, qwen2_5_vl_dedup_image_tokens

from verl_hdpo.evaluation.endpoint import Endpoint
from verl_hdpo.evaluation.run_config import EvaluationError
from verl_hdpo.runs.data_url import data_url

BANNED = -100.0
"""OpenAI's logit_bias that keeps a token from being sampled."""


Exchange: TypeAlias = Callable[[str, str], str | None]
"""A tool's name and its answer -> another plausible answer; None where there is none."""


@dataclass
class Trajectory:
    """The rollout that a request belongs to.

    Attributes:
        name: of which its seeds are made.
        turn: turns of the model so far.
        replay: its first turns, which are not asked for.
        exchange: what the answers of tools become that come after the last turn in ``replay``.
        turns: tokens of each turn.
        answers: each tool's name and its answer, in the order in which they came.
        exchanged: with it, what came in its place.
    """

    name: str
    turn: int = 0
    replay: Sequence[Sequence[int]] = ()
    exchange: Exchange | None = None
    turns: list[list[int]] = field(default_factory=list)
    answers: list[list[str]] = field(default_factory=list)
    exchanged: list[list[str]] = field(default_factory=list)

    def answered(self, tool: str, text: str) -> str:
        """Note what a tool answered; returns what the model is to read."""
        self.answers.append([tool, text])
        if self.exchange is None or self.turn != len(self.replay):
            return text
        other = self.exchange(tool, text)
        if other is None:
            return text
        self.exchanged.append([tool, text, other])
        return other


# Each rollout is a task of its own, and its requests are made in that task (AgentLoopWorker._run_agent_loop).
TRAJECTORY: ContextVar[Trajectory] = ContextVar("verl_hdpo_evaluation_trajectory")


class TokenClient:
    """What an agent loop takes for its LLM server; ``generate`` as verl's vLLM server does it.

    Args:
        start: tokens that a rollout begins with.
        banned: tokens that it never samples.
        processor: of a model that takes images.
    """

    def __init__(
        self,
        rollout: Any,
        tokenizer: Any,
        seed: int,
        start: Sequence[int],
        banned: Sequence[int],
        processor: Any = None,
    ):
        self.endpoint: Endpoint | None = None
        self._processor = processor
        self._rollout, self._tokenizer, self._seed = rollout, tokenizer, seed
        # As verl's server bans them: an image must stand behind each.
        placeholders = get_vision_placeholder_token_ids(processor) if processor is not None else []
        self._no_placeholders = {str(token): BANNED for token in placeholders}
        self._start, self._bias = list(start), {str(token): BANNED for token in banned}

    async def generate(
        self,
        request_id: str,
        *,
        prompt_ids: list[int],
        sampling_params: dict[str, Any],
        image_data: Any = None,
        video_data: Any = None,
        audio_data: Any = None,
        **kwargs: Any,
    ) -> TokenOutput:
        if video_data or audio_data:
            raise EvaluationError("video and sound cannot be sent to the server; leave the rows that have some out")
        trajectory = TRAJECTORY.get()
        if trajectory.turn < len(trajectory.replay):
            trajectory.turns.append(list(trajectory.replay[trajectory.turn]))
            trajectory.turn += 1
            return TokenOutput(token_ids=list(trajectory.turns[-1]), stop_reason="completed")
        start = self._start if trajectory.turn == 0 else []
        name = f"{self._seed}/{trajectory.name}/{trajectory.turn}"
        trajectory.turn += 1
        prompt_ids = [*prompt_ids, *start]
        settings = {key: value for key, value in sampling_params.items() if key != "logprobs" or value}
        total = self._rollout.prompt_length + self._rollout.response_length
        settings["max_tokens"] = max(1, min(self._rollout.response_length, total - len(prompt_ids)))
        settings["seed"] = zlib.crc32(name.encode()) >> 1  # a seed of its own: resumed or not, the same request
        bias = {**self._bias, **self._no_placeholders}
        if bias:
            settings["logit_bias"] = bias
        assert self.endpoint is not None, "Rollouts.use() comes first"
        if image_data:
            images = await asyncio.to_thread(lambda: [data_url({"image": image}) for image in image_data])
            one_each = qwen2_5_vl_dedup_image_tokens(prompt_ids, self._processor)
            done = await self.endpoint.complete_with_images(one_each, images, settings)
        else:
            done = await self.endpoint.complete(prompt_ids, settings)
        ids = done.token_ids
        if ids is None:
            ids = self._tokenizer.encode(done.text, add_special_tokens=False)
            if done.finished and ids[-1:] != [self._tokenizer.eos_token_id]:
                ids.append(self._tokenizer.eos_token_id)
        trajectory.turns.append([*start, *ids])
        return TokenOutput(token_ids=[*start, *ids], stop_reason="completed")
