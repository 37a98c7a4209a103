"""``hdpo_tool_agent``: verl's tool loop with every tool call accounted for, timed and capped.

The tokens are the stock loop's: no call is added, removed or retried. Three texts are new, each in the place of
a tool's answer: one when ``algorithm.hdpo.tool_timeout`` is over, one past ``algorithm.hdpo.max_tool_calls``, one
for images that the model does not take.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import wrapt
from verl.experimental.agent_loop.agent_loop import AgentLoopOutput, register
from verl.experimental.agent_loop.tool_agent_loop import AgentData, AgentState, ToolAgentLoop
from verl.experimental.agent_loop.tool_parser import FunctionCall
from verl.tools.function_tool import normalize_function_tool_return
from verl.tools.schemas import ToolResponse

from verl_hdpo.adapters.run_settings import hdpo_settings
from verl_hdpo.outcomes.ledger import (
    LEDGER_KEY,
    MODEL_SPANS_KEY,
    UNKNOWN_TOOL,
    CallOutcome,
    ToolLedger,
)
from verl_hdpo.tools.failures import ToolUnavailable

logger = logging.getLogger(__name__)

CLEANUP_SECONDS = 5.0
"""How long a timed-out call may take to release its tool before the trajectory goes on without it."""

TIMEOUT_TEXT = "Error: tool '{name}' was stopped because it did not finish within {seconds:g} seconds."
LIMIT_TEXT = "Error: the limit of {limit} tool calls is reached, this call was not run. Give your answer now."

NO_IMAGES_TEXT = "[Images are not shown to this model.]"
THIN_IMAGES_TEXT = "[Images that are 200 times as long as wide, or more, are not shown.]"
LONGEST_TO_SHORTEST = 200
"""Sides of an image; Qwen-VL's processors raise on more (``smart_resize``)."""


def model_spans(response_mask: list[int]) -> list[list[int]]:
    """``[start, end)`` of each stretch of tokens that the model wrote: the runs of 1 in ``response_mask``."""
    spans, start = [], 0
    for is_model, run in groupby(response_mask):
        end = start + len(list(run))
        if is_model:
            spans.append([start, end])
        start = end
    return spans


@dataclass
class _Call:
    returned: bool = False
    unavailable: bool = False


# Calls of one turn run concurrently, each in the context of its own task (asyncio.gather in verl's
# _handle_processing_tools_state), so a tool shared by all of them can still tell whose call it is serving.
_CALL: ContextVar[_Call] = ContextVar("verl_hdpo_tool_call")


@contextmanager
def _noted(returned: bool) -> Iterator[None]:
    call = _CALL.get(_Call())
    try:
        yield
    except ToolUnavailable:
        call.unavailable = True
        raise
    call.returned = returned


class _WatchedTool(wrapt.ObjectProxy):
    """The same tool, noting what verl's ``_call_tool`` hides: whether the call returned or raised.

    A transparent proxy: state stays in the tool, and ``isinstance(tool, FunctionTool)`` holds as before.
    Results are unpacked here because verl swallows the error of a malformed one in the same ``except``.
    """

    async def call(self, parameters: dict[str, Any]) -> Any:
        with _noted(returned=True):
            return normalize_function_tool_return(await self.__wrapped__.call(parameters))

    async def create(self, *args: Any, **kwargs: Any) -> Any:
        with _noted(returned=False):
            return await self.__wrapped__.create(*args, **kwargs)

    async def execute(self, *args: Any, **kwargs: Any) -> Any:
        with _noted(returned=True):
            response, reward, metrics = await self.__wrapped__.execute(*args, **kwargs)
            return response, reward, metrics


@register("hdpo_tool_agent")
class HDPOToolAgentLoop(ToolAgentLoop):
    """verl's ``tool_agent`` plus a ledger: attempted = executed + failed + timed_out + dropped.

    ``extra_fields`` of the output gains ``tool_ledger`` (``ToolLedger.to_dict``) and ``model_spans``.

    A timed-out call is cancelled. Python cannot stop a thread, so a synchronous function tool that never
    returns keeps its thread; give such a tool a timeout of its own or make it asynchronous.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        settings = hdpo_settings(self.config)
        self.max_tool_calls = settings.max_tool_calls
        self.tool_timeout = settings.tool_timeout
        self.ledger = ToolLedger()
        self._dispatched = 0

    async def run(self, sampling_params: dict[str, Any], **kwargs: Any) -> AgentLoopOutput:
        # verl makes one agent loop per trajectory (AgentLoopWorker._run_agent_loop); reuse starts anew.
        self.ledger, self._dispatched = ToolLedger(), 0
        output = await super().run(sampling_params, **kwargs)
        # Only now: _handle_generating_state takes the server's step stamps while extra_fields is still empty.
        output.extra_fields[LEDGER_KEY] = self.ledger.to_dict()
        output.extra_fields[MODEL_SPANS_KEY] = model_spans(output.response_mask)
        return output

    async def _handle_pending_state(self, agent_data: AgentData, sampling_params: dict[str, Any]) -> AgentState:
        tools = agent_data._active_tools
        agent_data._active_tools = {name: _WatchedTool(tool) for name, tool in tools.items()}
        return await super()._handle_pending_state(agent_data, sampling_params)

    async def _handle_generating_state(
        self, agent_data: AgentData, sampling_params: dict[str, Any], ignore_termination: bool = False
    ) -> AgentState:
        agent_data.tool_calls = None
        state = await super()._handle_generating_state(agent_data, sampling_params, ignore_termination)
        if agent_data.tool_calls is None:
            # The last allowed turn, or the response is full: verl ends the loop before it looks for calls.
            agent_data.tool_calls = []
            for tool_call in await self._unread_calls(agent_data):
                self._record(tool_call, agent_data, "dropped")
        return state

    def _build_assistant_message(self, content: str, agent_data: AgentData) -> dict[str, Any]:
        try:
            return super()._build_assistant_message(content, agent_data)
        except ValueError:
            # verl 0.9.0 fails the prompt's whole group when a model writes arguments that are no JSON object;
            # 0.9.1 keeps them as written, and so does this. The call itself then fails like any bad call.
            calls = agent_data.tool_calls[: self.max_parallel_calls]
            functions = [{"name": call.name, "arguments": call.arguments} for call in calls]
            tool_calls = [{"type": "function", "function": function} for function in functions]
            return {"role": "assistant", "content": content or "", "tool_calls": tool_calls}

    async def _handle_processing_tools_state(self, agent_data: AgentData) -> AgentState:
        for tool_call in agent_data.tool_calls[self.max_parallel_calls :]:
            self._record(tool_call, agent_data, "dropped")
        if self.max_parallel_calls > 0 and not self._at_limit():
            self.ledger.rounds += 1
        return await super()._handle_processing_tools_state(agent_data)

    async def _call_tool(
        self, tool_call: FunctionCall, tools_kwargs: dict[str, Any], agent_data: AgentData
    ) -> tuple[ToolResponse, float, dict]:
        if self._at_limit():
            self._record(tool_call, agent_data, "dropped")
            return ToolResponse(text=LIMIT_TEXT.format(limit=self.max_tool_calls)), 0.0, {}
        self._dispatched += 1
        call = _Call()
        _CALL.set(call)
        start = time.monotonic()
        task = asyncio.ensure_future(super()._call_tool(tool_call, tools_kwargs, agent_data))
        try:
            # Not wait_for: it would take a tool's own TimeoutError for ours, and wait without end for a tool
            # that ignores its cancellation.
            done, _ = await asyncio.wait({task}, timeout=self.tool_timeout)
        finally:
            task.cancel()
        if done:
            response, *result = task.result()
            if call.unavailable:
                self.ledger.unavailable += 1
            else:
                outcome: CallOutcome = "executed" if call.returned else "failed"
                self._record(tool_call, agent_data, outcome, time.monotonic() - start)
            return self._without_unwanted_images(response), *result
        self._record(tool_call, agent_data, "timed_out", time.monotonic() - start)
        await asyncio.wait({task}, timeout=CLEANUP_SECONDS)
        text = TIMEOUT_TEXT.format(name=tool_call.name, seconds=self.tool_timeout)
        return ToolResponse(text=text), 0.0, {}

    def _without_unwanted_images(self, response: ToolResponse) -> ToolResponse:
        """verl fails the prompt's whole group when a tool hands an image to a model that cannot take it."""
        images, note = list(response.image or ()), NO_IMAGES_TEXT
        if getattr(self.processor, "image_processor", None) and self.continuous_token_builder.supports_multimodal():
            shown, note = [image for image in images if _fits(image)], THIN_IMAGES_TEXT
        else:
            shown = []
        if len(shown) == len(images):
            return response
        text = "\n".join(filter(None, [response.text, note]))
        return response.model_copy(update={"text": text, "image": shown or None})

    def _at_limit(self) -> bool:
        return self.max_tool_calls is not None and self._dispatched >= self.max_tool_calls

    def _record(
        self, tool_call: FunctionCall, agent_data: AgentData, outcome: CallOutcome, seconds: float = 0.0
    ) -> None:
        name = tool_call.name if tool_call.name in agent_data._active_tools else UNKNOWN_TOOL
        self.ledger.record(name, outcome, seconds)

    async def _unread_calls(self, agent_data: AgentData) -> list[FunctionCall]:
        schemas = [tool.tool_schema for tool in agent_data._active_tools.values()]
        try:
            return (await self.tool_parser.extract_tool_calls(agent_data.response_ids, schemas))[1]
        except Exception:  # a cut-off response that the parser cannot read holds no whole call
            logger.warning("could not look for tool calls in a response that was cut off", exc_info=True)
            return []


def _fits(image: Any) -> bool:
    """Whether the model's processor takes a tool's image; what has no size is left to it."""
    sides = getattr(image, "size", None)
    return not isinstance(sides, tuple) or max(sides) < LONGEST_TO_SHORTEST * max(min(sides), 1)
