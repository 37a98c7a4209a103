"""``CallReader``: one of verl's tool parsers, with no call left out and no value misread."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

from verl.experimental.agent_loop.tool_parser import FunctionCall, ToolParser
from verl.tools.schemas import OpenAIFunctionToolSchema

from verl_hdpo.adapters.argument_types import BARE_TEXT, of_texts, parser_of_texts, typed
from verl_hdpo.adapters.unreadable_calls import MARKUPS, UnreadableCall, unreadable_call, unreadable_calls

_OPENINGS = ("tool_call_start_token", "tool_calls_section_start_token", "tool_calls_start_token")


def call_opening(parser: ToolParser) -> str | None:
    """Text that a call begins with in the format of one of verl's parsers; None where it does not tell."""
    return next((text for name in _OPENINGS if (text := getattr(parser, name, None))), None)


class CallReader:
    """Stands for the parser in verl's tool loop.

    The calls that verl reads come first and in their order, so none of them loses its place among
    ``max_parallel_calls`` to one that verl would have left out.

    Args:
        parser: verl's.
        name: of its format.
    """

    def __init__(self, parser: ToolParser, name: str):
        self._parser, self._name = parser_of_texts(parser, name), name

    @property
    def stop_token_ids(self) -> list[int]:
        return self._parser.stop_token_ids

    async def extract_tool_calls(
        self, responses_ids: list[int], tools: Sequence[OpenAIFunctionToolSchema] = (), finished: bool = True
    ) -> tuple[str, list[FunctionCall]]:
        """What the model said and the calls that it made, ``UnreadableCall``s among them.

        Args:
            finished: whether the model ended the turn itself.
        """
        tools = list(tools)
        if self._name in BARE_TEXT:
            content, calls = await self._parser.extract_tool_calls(responses_ids, [of_texts(tool) for tool in tools])
            calls = [typed(call, tools) for call in calls]
        else:
            content, calls = await self._parser.extract_tool_calls(responses_ids, tools)
        if self._name in MARKUPS:
            text = await asyncio.to_thread(self._parser.tokenizer.decode, responses_ids)
            calls += unreadable_calls(text, MARKUPS[self._name], calls, finished)
        return content, [_readable(call) for call in calls]


def _readable(call: FunctionCall) -> FunctionCall:
    """``call``, unless Python cannot read its arguments for their size: verl's loop would lose the rollout to that."""
    if not isinstance(call, UnreadableCall):
        try:
            json.loads(call.arguments)
        except json.JSONDecodeError:
            pass  # verl tells the model
        except (ValueError, RecursionError) as error:
            return unreadable_call(call.name, str(error))
    return call
