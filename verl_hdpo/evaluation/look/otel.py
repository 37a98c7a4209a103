"""OpenTelemetry: one trace per rollout, in OTLP's JSON, with the attributes of the GenAI conventions.

https://opentelemetry.io/docs/specs/semconv/gen-ai/. An ``invoke_agent`` span holds a ``chat`` span per turn of the
model and an ``execute_tool`` span per call that ran. The files know how long calls took and nothing else of time: spans
stand one after another, each turn a millisecond long, from the time at which the file was written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from verl_hdpo import __version__
from verl_hdpo.evaluation.dumps.exchanges import Exchange, exchanges
from verl_hdpo.evaluation.dumps.rollout import Call, Rollout, Turn
from verl_hdpo.evaluation.look.measures import measures

AGENT, PROVIDER = "verl-hdpo", "verl"
INTERNAL, CLIENT = 1, 3
"""Span kinds."""
ERROR = 2
TURN_NANOSECONDS = 1_000_000


def traces(one: Rollout) -> dict[str, Any]:
    """The rollout as OTLP's ``TracesData``."""
    clock = _Clock(_written(one.file))
    trace, root = _hex(one.id, 32), _hex(f"{one.id}/root", 16)
    spans, messages = [], [_message(turn) for turn in one.prompt]
    for number, exchange in enumerate(exchanges(one.turns)):
        spans += _spans(exchange, f"{one.id}/{number}", messages, clock)
    for span in spans:
        span |= {"traceId": trace, "parentSpanId": root}
    agent = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": PROVIDER,
        "gen_ai.agent.name": AGENT,
        "gen_ai.conversation.id": one.id,
        "gen_ai.input.messages": _json([_message(turn) for turn in one.prompt]),
        **{f"verl_hdpo.{name}": value for name, value in measures(one).items()},
    }
    first = _span(f"invoke_agent {AGENT}", root, INTERNAL, clock.start, clock.now, agent)
    first |= {"traceId": trace, "events": [_verdict(one, clock.now)] if one.outcome else []}
    resource = {"service.name": "verl-hdpo", "service.version": __version__}
    scope = {"scope": {"name": "verl_hdpo.evaluation.look", "version": __version__}, "spans": [first, *spans]}
    return {"resourceSpans": [{"resource": {"attributes": _attributes(resource)}, "scopeSpans": [scope]}]}


def _written(file: str) -> int:
    """When a file was written; 0 where that is not known."""
    try:
        return Path(file).stat().st_mtime_ns
    except (OSError, ValueError):
        return 0


class _Clock:
    def __init__(self, start: int):
        self.start = self.now = start

    def after(self, nanoseconds: int) -> int:
        """The time before; it is later now."""
        before, self.now = self.now, self.now + nanoseconds
        return before


def _spans(exchange: Exchange, name: str, messages: list[dict[str, Any]], clock: _Clock) -> list[dict[str, Any]]:
    """The turn and its calls; ``messages`` are those before it, and grow by those of the exchange."""
    calls = [(f"{_hex(name, 8)}_{at}", call, answer) for at, (call, answer) in enumerate(exchange.answers)]
    said = _message(exchange.said, [(key, call) for key, call, _ in calls])
    finish = "tool_call" if calls else "stop"
    chat = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": PROVIDER,
        "gen_ai.input.messages": _json(messages),
        "gen_ai.output.messages": _json([{**said, "finish_reason": finish}]),
    }
    began = clock.after(TURN_NANOSECONDS)
    spans = [_span("chat", _hex(f"{name}/chat", 16), CLIENT, began, clock.now, chat)]
    messages.append(said)
    for key, call, answer in calls:
        if call.status != "dropped":  # it never ran
            spans.append(_tool_span(name, key, call, answer, clock))
        if answer is not None:
            result = {"type": "tool_call_response", "id": key, "response": answer.text}
            messages.append({"role": "tool", "parts": [result]})
    messages += [_message(turn) for turn in exchange.others]
    return spans


def _tool_span(name: str, key: str, call: Call, answer: Turn | None, clock: _Clock) -> dict[str, Any]:
    tool = call.name or "unreadable"
    values = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": tool,
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": key,
        "gen_ai.tool.call.arguments": call.arguments,
        **({} if answer is None else {"gen_ai.tool.call.result": answer.text}),
    }
    began = clock.after(round((call.seconds or 0) * 1e9))
    if call.status in ("failed", "timed_out", "unavailable"):
        values["error.type"] = call.status
    span = _span(f"execute_tool {tool}", _hex(f"{name}/{key}", 16), INTERNAL, began, clock.now, values)
    return span | ({"status": {"code": ERROR, "message": call.status}} if "error.type" in values else {})


def _verdict(one: Rollout, at: int) -> dict[str, Any]:
    values = {
        "gen_ai.evaluation.name": "accuracy",
        "gen_ai.evaluation.score.label": one.outcome,
        **({} if one.accuracy is None else {"gen_ai.evaluation.score.value": one.accuracy}),
        **({"gen_ai.evaluation.explanation": one.verdict} if one.verdict else {}),
    }
    return {"timeUnixNano": str(at), "name": "gen_ai.evaluation.result", "attributes": _attributes(values)}


def _message(turn: Turn, calls: Sequence[tuple[str, Call]] | None = None) -> dict[str, Any]:
    """A message of the conventions: a role, and parts."""
    parts: list[dict[str, Any]] = []
    if turn.thinking:
        parts.append({"type": "reasoning", "content": turn.thinking})
    if turn.text:
        parts.append({"type": "text", "content": turn.text})
    named = calls if calls is not None else [(f"call_{at}", call) for at, call in enumerate(turn.calls)]
    parts += [
        {"type": "tool_call", "id": key, "name": call.name or "unreadable", "arguments": call.arguments}
        for key, call in named
    ]
    return {"role": turn.role, "parts": parts}


def _span(name: str, key: str, kind: int, start: int, end: int, values: Mapping[str, Any]) -> dict[str, Any]:
    times = {"startTimeUnixNano": str(start), "endTimeUnixNano": str(end)}
    return {"spanId": key, "name": _valid(name), "kind": kind, **times, "attributes": _attributes(values)}


def _attributes(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _value(value: Any) -> dict[str, Any]:
    """As OTLP's JSON has it: whole numbers as text."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    return {"stringValue": _valid(str(value))}


def _valid(text: str) -> str:
    """Without the halves of characters that a model may write."""
    return text.encode(errors="replace").decode()


def _json(messages: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps(messages, ensure_ascii=False)


def _hex(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:digits]
