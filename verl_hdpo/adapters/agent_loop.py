"""``hdpo_tool_agent``: verl's tool loop with every tool call accounted for, timed and capped.

The tokens are the stock loop's: no call is added, removed or retried. Four texts are new, each in the place of
a tool's answer: one when ``algorithm.hdpo.tool_timeout`` is over, one past ``algorithm.hdpo.max_tool_calls``, one
for images that are not shown, and one for a call that verl's parser cannot read, which ends the stock loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextvars import ContextVar
from functools import partial
from typing import Any

from verl.experimental.agent_loop.agent_loop import AgentLoopOutput, register
from verl.experimental.agent_loop.tool_agent_loop import AgentData, AgentState, ToolAgentLoop
from verl.experimental.agent_loop.tool_parser import FunctionCall, ToolParser
from verl.tools.schemas import ToolResponse

from verl_hdpo.adapters.call_log import CALL_LOG_KEY, CallLog, is_dumped
from verl_hdpo.adapters.call_reader import CallReader, call_opening
from verl_hdpo.adapters.lost_rollout import lost_rollout
from verl_hdpo.adapters.observations import observed_by_user
from verl_hdpo.adapters.run_settings import hdpo_settings, run_settings
from verl_hdpo.adapters.shown_images import ShownImages
from verl_hdpo.adapters.tools_kwargs import tools_kwargs_of
from verl_hdpo.adapters.unreadable_calls import UnreadableCall
from verl_hdpo.adapters.watched_tool import NOTES, CallNotes, WatchedTool
from verl_hdpo.outcomes.decision_spans import DECISION_SPANS_KEY, decision_spans
from verl_hdpo.outcomes.ledger import (
    LEDGER_KEY,
    LOST_KEY,
    MODEL_SPANS_KEY,
    RUN_ERROR_KEY,
    UNKNOWN_TOOL,
    CallStatus,
    ToolLedger,
)
from verl_hdpo.outcomes.model_spans import model_spans
from verl_hdpo.tools.failures import EndsRun
from verl_hdpo.tools.valid_text import valid_text, valid_texts

logger = logging.getLogger(__name__)

CLEANUP_SECONDS = 5.0
"""How long a timed-out call may take to release its tool before the trajectory goes on without it."""

TIMEOUT_TEXT = "Error: tool '{name}' was stopped because it did not finish within {seconds:g} seconds."
LIMIT_TEXT = "Error: the limit of {limit} tool calls is reached, this call was not run. Give your answer now."

RAISES: ContextVar[bool] = ContextVar("verl_hdpo_loop_raises", default=False)
"""Whether exceptions go to the caller, as an evaluation wants: it asks again, and has no groups to be unfair to."""


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
        self._image_limits = settings.max_images, settings.max_image_pixels
        self._shown_images = ShownImages(None)
        self.tool_timeout = settings.tool_timeout
        self._shows_tools, self._by_user = settings.show_tools, settings.observation_role == "user"
        name = self.tool_parser_name
        parser = ToolParser.get_tool_parser(name, self.tokenizer)
        self.tool_parser = CallReader(parser, name)
        self.ledger, self.log = ToolLedger(), CallLog()
        self._is_dumped = is_dumped(self.config)
        self._run = run_settings(self.config)
        self._openings: tuple[str, str] | None = None
        if self._run is not None and self._run.on_decisions:
            opening = call_opening(parser)
            if opening is None:
                raise ValueError(f"algorithm.hdpo.tool_tokens=decision: what begins a call in format {name} is unknown")
            self._openings = opening, settings.answer_opening
        self._agent_data: AgentData | None = None
        self._dispatched = 0

    async def run(self, sampling_params: dict[str, Any], **kwargs: Any) -> AgentLoopOutput:
        """The trajectory; one that an exception ended comes as a lost rollout (``verl_hdpo.adapters.lost_rollout``).

        Raises:
            Exception: as in verl's own loop, where no trainer of this package reads what is lost, or ``RAISES``.
        """
        # verl makes one agent loop per trajectory (AgentLoopWorker._run_agent_loop); reuse starts anew.
        self.ledger, self.log, self._dispatched, self._agent_data = ToolLedger(), CallLog(), 0, None
        try:
            kwargs["tools_kwargs"] = tools_kwargs_of(kwargs.get("tools_kwargs"))
            output = await super().run(sampling_params, **kwargs)
        except Exception as error:
            if not self._is_told(error):
                raise
            logger.exception("a rollout is lost")
            filler = next(i for i in (self.tokenizer.eos_token_id, self.tokenizer.pad_token_id, 0) if i is not None)
            with_logprobs = bool(sampling_params.get("logprobs"))
            output = lost_rollout(error, self._agent_data, filler, with_logprobs, kwargs)
        # Only now: _handle_generating_state takes the server's step stamps while extra_fields is still empty.
        output.extra_fields[LEDGER_KEY] = self.ledger.to_dict()
        output.extra_fields[MODEL_SPANS_KEY] = spans = model_spans(output.response_mask)
        if self._is_dumped:
            output.extra_fields[CALL_LOG_KEY] = self.log.notes()
        if self._openings is not None:
            decode = partial(self.tokenizer.decode, skip_special_tokens=False)
            output.extra_fields[DECISION_SPANS_KEY] = await asyncio.to_thread(
                decision_spans, output.response_ids, spans, self._openings, decode
            )
        for key in (LOST_KEY, RUN_ERROR_KEY):  # the classic trainer's workers must all report the same fields
            output.extra_fields.setdefault(key, "")
        return output

    def _is_told(self, error: Exception) -> bool:
        """Whether the trainer reads that a rollout is lost, and why. verl's estimators know no unknown outcome."""
        if self._run is None or RAISES.get():
            return False
        return self._run.algorithm is not None or isinstance(error, EndsRun)

    async def _handle_pending_state(self, agent_data: AgentData, sampling_params: dict[str, Any]) -> AgentState:
        self._agent_data = agent_data
        tools = agent_data._active_tools
        agent_data._active_tools = {name: WatchedTool(tool) for name, tool in tools.items()}
        agent_data._active_tool_schemas = valid_texts(agent_data._active_tool_schemas) if self._shows_tools else []
        processor = self.processor if self.continuous_token_builder.supports_multimodal() else None
        self._shown_images = ShownImages(processor, *self._image_limits, agent_data.image_data or ())
        return await super()._handle_pending_state(agent_data, sampling_params)

    async def _handle_generating_state(
        self, agent_data: AgentData, sampling_params: dict[str, Any], ignore_termination: bool = False
    ) -> AgentState:
        agent_data.tool_calls = None
        state = await super()._handle_generating_state(agent_data, sampling_params, ignore_termination)
        if agent_data.tool_calls is None:
            # The last allowed turn, or the response is full: verl ends the loop before it looks for calls.
            agent_data.tool_calls = await self._unread_calls(agent_data)
            for tool_call in agent_data.tool_calls:
                self._record(tool_call, agent_data, "dropped")
        return state

    def _build_assistant_message(self, content: str, agent_data: AgentData) -> dict[str, Any]:
        try:
            return valid_texts(super()._build_assistant_message(content, agent_data))
        except ValueError:
            # verl 0.9.0 fails the prompt's whole group when a model writes arguments that are no JSON object;
            # 0.9.1 keeps them as written, and so does this. The call itself then fails like any bad call.
            calls = agent_data.tool_calls[: self.max_parallel_calls]
            functions = [{"name": call.name, "arguments": call.arguments} for call in calls]
            tool_calls = [{"type": "function", "function": function} for function in functions]
            return valid_texts({"role": "assistant", "content": content or "", "tool_calls": tool_calls})

    async def _handle_processing_tools_state(self, agent_data: AgentData) -> AgentState:
        for tool_call in agent_data.tool_calls[self.max_parallel_calls :]:
            self._record(tool_call, agent_data, "dropped")
        if self.max_parallel_calls > 0 and not self._at_limit():
            self.ledger.rounds += 1
        return await super()._handle_processing_tools_state(agent_data)

    async def ct_merge_context_msg(
        self, previous_messages: list[dict], updated_messages: list[dict], *args: Any, **kwargs: Any
    ) -> Any:
        messages = self._as_observed(previous_messages, updated_messages)
        return await super().ct_merge_context_msg(*messages, *args, **kwargs)

    async def ct_merge_non_assistant_msg(  # what verl 0.9.0 calls it
        self, previous_messages: list[dict], updated_messages: list[dict], *args: Any, **kwargs: Any
    ) -> Any:
        messages = self._as_observed(previous_messages, updated_messages)
        return await super().ct_merge_non_assistant_msg(*messages, *args, **kwargs)

    def _as_observed(self, *messages: list[dict]) -> list[list[dict]]:
        return [observed_by_user(one) for one in messages] if self._by_user else [*messages]

    async def _call_tool(
        self, tool_call: FunctionCall, tools_kwargs: dict[str, Any], agent_data: AgentData
    ) -> tuple[ToolResponse, float, dict]:
        if self._at_limit():
            self._record(tool_call, agent_data, "dropped")
            return ToolResponse(text=LIMIT_TEXT.format(limit=self.max_tool_calls)), 0.0, {}
        self._dispatched += 1
        if isinstance(tool_call, UnreadableCall):
            self._record(tool_call, agent_data, "failed")
            return ToolResponse(text=tool_call.answer), 0.0, {}
        call = CallNotes()
        NOTES.set(call)
        start = time.monotonic()
        task = asyncio.ensure_future(super()._call_tool(tool_call, tools_kwargs, agent_data))
        try:
            # Not wait_for: it would take a tool's own TimeoutError for ours, and wait without end for a tool
            # that ignores its cancellation.
            done, _ = await asyncio.wait({task}, timeout=self.tool_timeout)
        finally:
            call.stopped = True
            task.cancel()
        seconds = time.monotonic() - start
        if not done:
            await asyncio.wait({task}, timeout=CLEANUP_SECONDS)
        self.ledger.release_failed += call.release_failed
        if call.broken:
            raise call.broken
        if not done:
            self._record(tool_call, agent_data, "timed_out", seconds)
            text = TIMEOUT_TEXT.format(name=tool_call.name, seconds=self.tool_timeout)
            return ToolResponse(text=text), 0.0, {}
        if call.unavailable:
            self.ledger.unavailable += 1
            self.log.add(tool_call, agent_data, "unavailable", seconds)
        else:
            outcome: CallStatus = "executed" if call.returned else "failed"
            self._record(tool_call, agent_data, outcome, seconds)
        response, *result = task.result()
        response = self._shown_images.of(_in_valid_text(response))
        if self._is_dumped and response.image:
            self.log.add_images(tool_call, agent_data, response.image)
        return response, *result

    def _at_limit(self) -> bool:
        return self.max_tool_calls is not None and self._dispatched >= self.max_tool_calls

    def _record(
        self, tool_call: FunctionCall, agent_data: AgentData, outcome: CallStatus, seconds: float = 0.0
    ) -> None:
        name = tool_call.name if tool_call.name in agent_data._active_tools else UNKNOWN_TOOL
        self.ledger.record(name, outcome, seconds)
        self.log.add(tool_call, agent_data, outcome, seconds)

    async def _unread_calls(self, agent_data: AgentData) -> list[FunctionCall]:
        schemas = [tool.tool_schema for tool in agent_data._active_tools.values()]
        try:
            return (await self.tool_parser.extract_tool_calls(agent_data.response_ids, schemas, finished=False))[1]
        except Exception:  # a cut-off response that the parser cannot read holds no whole call
            logger.warning("could not look for tool calls in a response that was cut off", exc_info=True)
            return []


def _in_valid_text(response: ToolResponse) -> ToolResponse:
    """The one place for every tool's answers and errors: a tokenizer raises on what ``valid_text`` replaces."""
    return response.model_copy(update={"text": valid_text(response.text)}) if response.text else response
