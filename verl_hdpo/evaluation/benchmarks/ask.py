"""``Asker``: puts a question to a model and reads the reply: by tokens and the run's own parser, or as a chat."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from verl_hdpo.evaluation.benchmarks.decisions import Reply
from verl_hdpo.evaluation.benchmarks.question import Question
from verl_hdpo.evaluation.benchmarks.templates import Template
from verl_hdpo.evaluation.chat_endpoint import ChatEndpoint
from verl_hdpo.evaluation.endpoint import Endpoint
from verl_hdpo.evaluation.run_config import EvaluationError


@dataclass(frozen=True)
class Cell:
    """One way of asking: a template and a seed."""

    template: Template
    seed: int

    @property
    def name(self) -> str:
        return f"{self.template.name},seed={self.seed}"

    def seed_of(self, question: Question, rollout: int) -> int:
        """Of one request: a seed of its own, and the same whenever it is asked again."""
        return zlib.crc32(f"{self.seed}/{question.asked}/{rollout}".encode()) >> 1


class Asker(Protocol):
    """A model that answers questions."""

    def fits(self, question: Question, template: Template) -> bool:
        """Whether the prompt is short enough."""
        ...

    async def ask(self, question: Question, cell: Cell, rollout: int) -> Reply: ...


class ByTokens:
    """Chat template and tool parser are those of the run, on this side.

    Args:
        config: of the run: model (tokenizer), tool format, lengths, validation's sampling.

    Raises:
        EvaluationError: the tokenizer or the parser cannot be loaded.
    """

    def __init__(self, config: Any):
        from verl.experimental.agent_loop.tool_parser import ToolParser
        from verl.utils.config import omega_conf_to_dataclass

        from verl_hdpo.adapters.call_reader import CallReader

        rollout = config.actor_rollout_ref.rollout
        self.endpoint: Endpoint | None = None
        try:
            self.tokenizer = omega_conf_to_dataclass(config.actor_rollout_ref.model).tokenizer
            parser = ToolParser.get_tool_parser(rollout.multi_turn.format, self.tokenizer)
        except Exception as error:  # whatever transformers or verl raises
            raise EvaluationError(
                f"verl cannot load the model {config.actor_rollout_ref.model.path}: {error}"
            ) from error
        self._reader = CallReader(parser, rollout.multi_turn.format)
        self._kwargs = dict(config.data.get("apply_chat_template_kwargs") or {})
        self._longest, self._sampling = config.data.max_prompt_length, _sampling(config)

    def fits(self, question: Question, template: Template) -> bool:
        return len(self._prompt(question, template)) <= self._longest

    def check_tools(self, questions: Sequence[Question], template: Template) -> None:
        """One question with tools must show them.

        Raises:
            EvaluationError: the chat template shows none.
        """
        question = next((one for one in questions if one.tools), None)
        if question and not any(
            name in self.tokenizer.decode(self._prompt(question, template)) for name in question.names
        ):
            raise EvaluationError(
                "no tool in the prompt: the model's chat template shows none, so the model cannot know of them; use a "
                "model, or actor_rollout_ref.model.custom_chat_template, that supports tools"
            )

    async def ask(self, question: Question, cell: Cell, rollout: int) -> Reply:
        assert self.endpoint is not None, "the endpoint comes first"
        settings = {**self._sampling, "seed": cell.seed_of(question, rollout)}
        if stops := self._reader.stop_token_ids:
            settings["stop_token_ids"] = stops
        done = await self.endpoint.complete(self._prompt(question, cell.template), settings)
        ids = done.token_ids
        if ids is None:
            ids = self.tokenizer.encode(done.text, add_special_tokens=False)
        words, calls = await self._reader.extract_tool_calls(ids, _verl_tools(question), done.finished)
        text = self.tokenizer.decode(ids, skip_special_tokens=False)
        plain = self.tokenizer.decode(self.tokenizer.encode(words, add_special_tokens=False), skip_special_tokens=True)
        return Reply(text, plain, [call.name for call in calls], done.finished)

    def _prompt(self, question: Question, template: Template) -> list[int]:
        text = self.tokenizer.apply_chat_template(
            template.messages(question.messages), tools=list(question.tools) or None,
            add_generation_prompt=True, tokenize=False, **self._kwargs,
        )  # fmt: skip
        return self.tokenizer.encode(text, add_special_tokens=False)


class ByChat:
    """Chat template and tool parser are the server's."""

    def __init__(self, endpoint: ChatEndpoint, config: Any):
        self.endpoint, self._sampling = endpoint, _sampling(config)
        self._sampling.pop("top_k")

    def fits(self, question: Question, template: Template) -> bool:
        return True  # the server says so if not

    async def ask(self, question: Question, cell: Cell, rollout: int) -> Reply:
        settings = {**self._sampling, "seed": cell.seed_of(question, rollout)}
        messages = cell.template.messages(question.messages)
        message, finished = await self.endpoint.chat(messages, question.tools, settings)
        functions = [call.function for call in message.tool_calls or () if call.type == "function"]
        calls = [
            f'<tool_call>\n{{"name": {json.dumps(f.name)}, "arguments": {f.arguments}}}\n</tool_call>'
            for f in functions
        ]
        words = message.content or ""
        return Reply("\n".join(filter(None, (words, *calls))), words, [f.name for f in functions], finished)


def _sampling(config: Any) -> dict[str, Any]:
    values = config.actor_rollout_ref.rollout.val_kwargs
    return {
        "temperature": values.temperature,
        "top_p": values.top_p,
        "top_k": values.top_k,
        "max_tokens": config.data.max_response_length,
    }


def _verl_tools(question: Question) -> list[Any]:
    from verl.tools.schemas import OpenAIFunctionToolSchema

    return [OpenAIFunctionToolSchema.model_validate(tool) for tool in question.tools]
