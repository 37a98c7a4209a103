"""ATIF, the Agent Trajectory Interchange Format, version 1.4: one trajectory per rollout.

https://github.com/laude-institute/harbor/blob/main/docs/rfcs/0001-trajectory-format.md. It is text alone: images are
named in a step's ``extra``. What the format has no field for, rewards and advantages, is in the ``extra`` of the whole.
"""

from __future__ import annotations

import json
from typing import Any

from verl_hdpo import __version__
from verl_hdpo.evaluation.dumps.exchanges import Exchange, exchanges
from verl_hdpo.evaluation.dumps.rollout import Call, Rollout, Turn
from verl_hdpo.evaluation.look.measures import measures

VERSION = "ATIF-v1.4"


def trajectory(one: Rollout) -> dict[str, Any]:
    """The rollout as a trajectory.

    A prompt's earlier answers of a model are steps of the agent; a tool's answer that belongs to no call stands in the
    observation of the step before it.
    """
    parts: list[dict[str, Any]] = []
    for turn in one.prompt:
        if turn.role == "tool" and parts:
            parts[-1].setdefault("observation", {"results": []})["results"].append({"content": turn.text})
        else:
            source = {"assistant": "agent", "system": "system"}.get(turn.role, "user")
            parts.append({"source": source, "message": turn.text, **_images(turn)})
    for exchange in exchanges(one.turns):
        parts.append(_step(exchange, len(parts) + 1))
        parts += [
            {"source": "user", "message": turn.text, **_images(turn)} for turn in exchange.others if turn.role != "tool"
        ]
    return {
        "schema_version": VERSION,
        "session_id": one.id,
        "agent": {"name": "verl-hdpo", "version": __version__},
        "steps": [{"step_id": number, **part} for number, part in enumerate(parts, 1)],
        "final_metrics": {"total_steps": len(parts)},
        "extra": measures(one),
    }


def _step(exchange: Exchange, number: int) -> dict[str, Any]:
    said = exchange.said
    step: dict[str, Any] = {"source": "agent", "message": said.text}
    if said.thinking:
        step["reasoning_content"] = said.thinking
    results = []
    if exchange.answers:
        names = [f"call_{number}_{at}" for at in range(len(exchange.answers))]
        calls = [call for call, _ in exchange.answers]
        step["tool_calls"] = [_call(call, name) for call, name in zip(calls, names, strict=True)]
        step["extra"] = {
            "call_status": {name: call.status for call, name in zip(calls, names, strict=True) if call.status}
        }
        results = [
            {"source_call_id": name, "content": answer.text}
            for (_, answer), name in zip(exchange.answers, names, strict=True)
            if answer is not None
        ]
    results += [{"content": turn.text} for turn in exchange.others if turn.role == "tool"]
    if results:
        step["observation"] = {"results": results}
    images = [image for _, answer in exchange.answers if answer is not None for image in answer.images]
    if images:
        step["extra"]["images"] = images
    return step


def _call(call: Call, name: str) -> dict[str, Any]:
    """Arguments must be an object: those that are none, unreadable ones say, stand in one under ``text``."""
    try:
        arguments = json.loads(call.arguments)
    except (ValueError, RecursionError):
        arguments = None
    arguments = arguments if isinstance(arguments, dict) else {"text": call.arguments}
    return {"tool_call_id": name, "function_name": call.name or "unreadable", "arguments": arguments}


def _images(turn: Turn) -> dict[str, Any]:
    return {"extra": {"images": list(turn.images)}} if turn.images else {}
