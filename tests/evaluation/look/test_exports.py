"""ATIF and OpenTelemetry, held against the formats' own rules."""

import json
from dataclasses import replace

import pytest
from google.protobuf.json_format import Parse
from jsonschema import Draft202012Validator
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from opentelemetry.semconv._incubating.attributes import error_attributes, gen_ai_attributes, service_attributes
from rollout_samples import group, hostile, many

from verl_hdpo.evaluation.dumps.rollout import Call, Turn
from verl_hdpo.evaluation.look.atif import trajectory
from verl_hdpo.evaluation.look.export import FORMS, write_export
from verl_hdpo.evaluation.look.otel import traces

TEXT, OBJECT = {"type": "string"}, {"type": "object"}


def closed(required, **properties):
    """An object with these properties alone."""
    return {"type": "object", "properties": properties, "required": required.split(), "additionalProperties": False}


CALL = closed("tool_call_id function_name arguments", tool_call_id=TEXT, function_name=TEXT, arguments=OBJECT)
RESULTS = {"type": "array", "items": closed("content", source_call_id=TEXT, content=TEXT)}
STEP = closed(
    "step_id source message", step_id={"type": "integer", "minimum": 1}, source={"enum": ["system", "user", "agent"]},
    message=TEXT, reasoning_content=TEXT, tool_calls={"type": "array", "items": CALL, "minItems": 1},
    observation=closed("results", results=RESULTS), extra=OBJECT,
)  # fmt: skip
STEP["if"] = {"properties": {"source": {"enum": ["system", "user"]}}}
STEP["then"] = {"not": {"anyOf": [{"required": ["tool_calls"]}, {"required": ["reasoning_content"]}]}}
ATIF = closed(
    "schema_version session_id agent steps", schema_version={"const": "ATIF-v1.4"}, session_id=TEXT,
    agent=closed("name version", name=TEXT, version=TEXT), steps={"type": "array", "items": STEP, "minItems": 1},
    final_metrics=closed("total_steps", total_steps={"type": "integer"}), extra=OBJECT,
)  # fmt: skip
"""What RFC 0001 of Harbor, version 1.4, says of the fields that are used here."""

PART = {
    "oneOf": [
        closed("type content", type={"enum": ["text", "reasoning"]}, content=TEXT),
        closed("type id name arguments", type={"const": "tool_call"}, id=TEXT, name=TEXT, arguments=TEXT),
        closed("type id response", type={"const": "tool_call_response"}, id=TEXT, response=TEXT),
    ]
}
MESSAGES = {
    "type": "array",
    "items": closed("role parts", role=TEXT, parts={"type": "array", "items": PART}, finish_reason=TEXT),
}
"""gen-ai-input-messages.json and gen-ai-output-messages.json of the GenAI conventions."""
GEN_AI = {
    value
    for module in (gen_ai_attributes, error_attributes, service_attributes)
    for name, value in vars(module).items()
    if name.isupper() and isinstance(value, str)
}
"""Attributes in OpenTelemetry's own registry."""


def several():
    """Rollouts with parallel calls, dropped ones, failed ones, arguments that are no object, earlier turns, none."""
    one, direct, _, lost = group(2)
    calls = (Call("a", "{}", "executed", 1.5), Call("", "[1]", "failed"), Call("c", '{"x": 1}', "dropped"))
    said = Turn("assistant", "Both.", "hm", calls)
    parallel = replace(one, turns=(said, Turn("tool", "1"), Turn("tool", "no"), Turn("assistant", "done")))
    earlier = (Turn("system", "s"), Turn("user", "u"), Turn("assistant", "", calls=calls[:1]), Turn("tool", "t"))
    return [one, direct, lost, parallel, replace(direct, prompt=earlier), replace(one, turns=(Turn("tool", "first"),))]


EVERY = [*several(), *hostile(), *many(12)]


@pytest.mark.parametrize("number", range(len(EVERY)))
def test_atif(number):
    made = json.loads(json.dumps(trajectory(EVERY[number])))
    Draft202012Validator(ATIF).validate(made)
    assert [step["step_id"] for step in made["steps"]] == list(range(1, len(made["steps"]) + 1))
    assert made["final_metrics"]["total_steps"] == len(made["steps"])
    named = [call["tool_call_id"] for step in made["steps"] for call in step.get("tool_calls", ())]
    assert len(named) == len(set(named))
    for step in made["steps"]:
        own = {call["tool_call_id"] for call in step.get("tool_calls", ())}
        answered = [
            result["source_call_id"]
            for result in step.get("observation", {}).get("results", ())
            if "source_call_id" in result
        ]
        assert set(answered) <= own
        assert len(answered) == len(set(answered))


def test_atif_by_hand():
    made = trajectory(several()[3])
    user, both, done = made["steps"]
    assert (user["source"], both["source"], done["message"]) == ("user", "agent", "done")
    assert both["reasoning_content"] == "hm"
    assert [call["arguments"] for call in both["tool_calls"]] == [{}, {"text": "[1]"}, {"x": 1}]
    assert [result["content"] for result in both["observation"]["results"]] == ["1", "no"]
    assert [*both["extra"]["call_status"].values()] == ["executed", "failed", "dropped"]
    assert made["extra"]["tool_advantage"] == -0.707
    assert made["extra"]["outcome"] == "correct"


def spans_of(rollout):
    return traces(rollout)["resourceSpans"][0]["scopeSpans"][0]["spans"]


def values_of(span):
    return {one["key"]: next(iter(one["value"].values())) for one in span["attributes"]}


@pytest.mark.parametrize("number", range(len(EVERY)))
def test_opentelemetry(number):
    Parse(
        json.dumps(traces(EVERY[number])), TracesData()
    )  # refuses unknown fields, wrong types and halves of characters
    spans = spans_of(EVERY[number])
    assert len({span["spanId"] for span in spans}) == len(spans)
    root = spans[0]
    for span in spans:
        assert (len(span["traceId"]), len(span["spanId"])) == (32, 16)
        assert int(root["startTimeUnixNano"]) <= int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"])
        assert int(span["endTimeUnixNano"]) <= int(root["endTimeUnixNano"])
        values = values_of(span)
        foreign = {key for key in values if not key.startswith("verl_hdpo.")} - GEN_AI
        assert not foreign
        assert span["name"].startswith(values["gen_ai.operation.name"])
        for name in ("gen_ai.input.messages", "gen_ai.output.messages"):
            if name in values:
                Draft202012Validator(MESSAGES).validate(json.loads(values[name]))
        for event in span.get("events", ()):
            assert {one["key"] for one in event["attributes"]} <= GEN_AI
    assert all(span["parentSpanId"] == root["spanId"] for span in spans[1:])


def test_opentelemetry_by_hand():
    root, both, first, second, done = spans_of(several()[3])  # the dropped call never ran: no span
    assert [span["name"] for span in (root, both, first, second, done)] == [
        "invoke_agent verl-hdpo", "chat", "execute_tool a", "execute_tool unreadable", "chat",
    ]  # fmt: skip
    assert int(first["endTimeUnixNano"]) - int(first["startTimeUnixNano"]) == 1_500_000_000
    assert values_of(first)["gen_ai.tool.call.result"] == "1"
    assert second["status"] == {"code": 2, "message": "failed"}
    heard = json.loads(values_of(done)["gen_ai.input.messages"])
    assert [message["role"] for message in heard] == ["user", "assistant", "tool", "tool"]
    calls = [part["id"] for part in heard[1]["parts"] if part["type"] == "tool_call"]
    assert [message["parts"][0]["id"] for message in heard[2:]] == calls[:2]
    (verdict,) = root["events"]
    assert values_of(verdict)["gen_ai.evaluation.score.label"] == "correct"


@pytest.mark.parametrize("form", FORMS)
def test_a_line_per_rollout(tmp_path, form):
    path = tmp_path / "out.jsonl"
    assert write_export(EVERY, path, FORMS[form]) == len(EVERY)
    lines = path.read_bytes().decode().split("\n")
    assert len(lines) == len(EVERY) + 1
    assert [json.loads(line) for line in lines[:-1]]
