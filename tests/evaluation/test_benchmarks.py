"""``verl-hdpo eval --benchmark`` against a scripted model of known habits, by tokens and as a chat."""

from __future__ import annotations

import csv
import json
import re

import benchmark_rows
import pytest
from click.testing import CliRunner
from completions_server import MODEL, serving
from tiny import save_checkpoint_without_weights, tiny_tokenizer

from verl_hdpo.cli.main import main
from verl_hdpo.evaluation.benchmarks.decisions import in_words, yes_or_no
from verl_hdpo.evaluation.benchmarks.question import tool_of
from verl_hdpo.evaluation.dumps.reader import read_rollouts

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_hydra")]

CALL = '<tool_call>\n{"name": "city_weather", "arguments": {"city": "x"}}\n</tool_call>'
SAMPLED = "actor_rollout_ref.rollout.val_kwargs.temperature=1.0"


def write(prompt: str, request: dict) -> str:
    """Calls, or says yes, unless it is told to be quiet."""
    if "yes or no" in prompt:
        return "No, not here." if "quiet" in prompt else "Yes."
    return "A sentence." if "quiet" in prompt else CALL


def write_when2call(prompt: str, request: dict) -> str:
    """Calls where it can, also for a flight; makes up a tool where it has none."""
    if "there" in prompt.rpartition("user")[2]:
        return "Which city do you mean? Could you tell me?"
    return CALL if "city_weather" in prompt else CALL.replace("city_weather", "made_up")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("benchmark") / "model"
    save_checkpoint_without_weights(path)
    return path


@pytest.fixture
def server():
    with serving(write) as server:
        yield server


@pytest.fixture
def run_eval(model, tmp_path, server):
    def run(*arguments: str, overrides=()):
        default = ("--model", str(model), "--endpoint", server.url)
        return CliRunner().invoke(
            main,
            [
                "eval", "--out", str(tmp_path / "out"), *(() if "--model" in arguments else default), *arguments,
                "--", "actor_rollout_ref.rollout.multi_turn.format=hermes", "data.max_prompt_length=4000",
                "+actor_rollout_ref.model.override_config.attn_implementation=sdpa", *overrides,
            ],
        )  # fmt: skip

    return run


@pytest.fixture
def bfcl(tmp_path):
    return f"bfcl={benchmark_rows.bfcl(tmp_path / 'bfcl')}"


def found(tmp_path, benchmark: str) -> dict:
    return json.loads((tmp_path / "out" / "benchmarks.json").read_text())["benchmarks"][benchmark]


def values(figures: dict) -> dict:
    return {name: estimate["value"] for name, estimate in figures.items()}


def test_over_calling_and_recall_stand_together(run_eval, bfcl, tmp_path):
    done = run_eval("--benchmark", bfcl)
    assert done.exit_code == 0, done.output
    bench = found(tmp_path, "bfcl")
    assert (bench["licence"], len(bench["files"])) == ("Apache-2.0", 4)
    model = bench["models"]["model"]
    assert not model["own_template"] and not model["left_out"]
    figures = model["figures"]
    assert values(figures["all"])["over_calling"] == pytest.approx(2 / 6)
    assert values(figures["all"])["call_recall"] == 0.5
    assert 0 < figures["all"]["over_calling"]["low"] < 1 / 3 < figures["all"]["over_calling"]["high"] < 1
    assert (figures["chatable"]["over_calling"]["value"], figures["chatable"]["call_recall"]["value"]) == (0.0, None)
    assert figures["live_relevance"]["over_calling"]["questions"] == 0
    for part in ("all", "irrelevance", "live_irrelevance", "live_relevance", "chatable"):
        table = re.search(rf"^\| {part} .*\n\|-.+\n\| (.+)\n\| (.+)", done.output, re.MULTILINE)
        assert table[1].startswith("over-calling") and table[2].startswith("recall"), part
    assert "not measured" in done.output and "Apache-2.0" in done.output


def test_a_model_that_never_calls_is_no_winner(run_eval, bfcl, tmp_path, model):
    with serving(lambda prompt, request: "A sentence.") as silent:
        done = run_eval("--benchmark", bfcl, "--model", str(model), "--endpoint", silent.url)
    assert done.exit_code == 0, done.output
    figures = found(tmp_path, "bfcl")["models"]["model"]["figures"]["all"]
    assert (figures["over_calling"]["value"], figures["call_recall"]["value"]) == (0.0, 0.0)
    assert figures["call_recall"]["high"] > 0.5, "two questions say little of recall"


def test_the_classes_of_when2call(run_eval, tmp_path, model):
    data = benchmark_rows.when2call(tmp_path / "w2c")
    with serving(write_when2call) as other:
        done = run_eval("--benchmark", f"when2call={data}", "--model", str(model), "--endpoint", other.url)
    assert done.exit_code == 0, done.output
    bench = found(tmp_path, "when2call")
    assert (bench["rules_right"]["value"], bench["rules_right"]["questions"]) == (1.0, 12)
    one = bench["models"]["model"]
    assert values(one["figures"]["all"]) == {
        "over_calling": pytest.approx(2 / 3),
        "call_recall": 1.0,
        "ask_recall": 1.0,
        "refuse_recall": 0.0,
        "unoffered_call": 0.25,
        "cut_off": 0.0,
    }
    assert one["confusion"] == {"call": {"call": 1}, "ask": {"ask": 1}, "refuse": {"call": 2}}
    assert values(one["figures"]["refuse, no tools"])["unoffered_call"] == 1.0


def test_metatool_asks_for_a_yes_and_counts_it_as_a_call(run_eval, tmp_path, server):
    data = benchmark_rows.metatool(tmp_path / "metatool")
    done = run_eval("--benchmark", f"metatool={data}", "--benchmark", f"metatool-tools={data}", "--seeds", "0")
    assert done.exit_code == 0, done.output
    for name in ("metatool", "metatool-tools"):
        figures = values(found(tmp_path, name)["models"]["model"]["figures"]["task 1"])
        assert (figures["over_calling"], figures["call_recall"]) == (0.5, 0.5), name
    with_tools = [text for r in server.requests if "yes or no" not in (text := tiny_tokenizer().decode(r["prompt"]))]
    assert all(text.count('"type": "function"') == 5 for text in with_tools) and len(with_tools) == 4
    assert all("radar of things" in text for text in with_tools if "weather" in text)


def test_templates_and_seeds_are_a_column_of_their_own(run_eval, bfcl, tmp_path, model):
    def easily_led(prompt: str, request: dict) -> str:
        return "A sentence." if "helpful" in prompt else write(prompt, request)

    with serving(easily_led) as led:
        where = ("--model", str(model), "--endpoint", led.url, "--benchmark", bfcl)
        done = run_eval(*where, "--templates", "none,assistant", "--seeds", "0,1", overrides=[SAMPLED])
        assert done.exit_code == 0, done.output
        assert len({request["seed"] for request in led.requests}) == 8 * 2, "a seed for each question and seed"
        asked = len(led.requests)
        again = run_eval(*where, "--templates", "none,assistant", "--seeds", "0,1,2", overrides=[SAMPLED])
        assert again.exit_code == 0 and len(led.requests) - asked == 2 * 8, "only the third seed is asked"
    one = found(tmp_path, "bfcl")["models"]["model"]
    assert one["sensitivity"]["all"]["call_recall"] == {"lowest": 0.0, "highest": 0.5, "cells": 6}
    assert one["sensitivity"]["chatable"]["call_recall"] == {"lowest": None, "highest": None, "cells": 6}
    assert set(one["cells"]) == {f"{t},seed={s}" for t in ("none", "assistant") for s in (0, 1, 2)}
    assert "4 templates x seeds" in done.output and "0.0 to 50.0 %" in done.output


def chat(body: dict) -> dict:
    text = body["messages"][-1]["content"]
    if "quiet" in text or not body.get("tools"):
        return {"content": "A sentence."}
    function = {"name": body["tools"][0]["function"]["name"], "arguments": '{"city": "x"}'}
    return {"content": None, "tool_calls": [{"id": "1", "type": "function", "function": function}]}


def test_a_closed_model_is_asked_as_a_chat_and_marked(run_eval, bfcl, tmp_path, model, server, monkeypatch):
    monkeypatch.setenv("THEIR_KEY", "secret")
    with serving(write) as closed:
        closed.chat, closed.knows = chat, {"model", "messages", "tools", "max_completion_tokens", "top_p"}
        done = run_eval(
            "--benchmark", bfcl, "--model", str(model), "--model", f"theirs={MODEL}", "--endpoint", server.url,
            "--endpoint", closed.url, "--api", "completions", "--api", "chat", "--concurrency", "4",
            "--api-key-env", "THEIR_KEY",
        )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "theirs (own template)" in done.output and "does not take max_tokens, seed, temperature" in done.output
    assert set(server.keys) == {"Bearer no-key-was-given"} and set(closed.keys) == {"Bearer secret"}
    bench = found(tmp_path, "bfcl")
    theirs = bench["models"]["theirs"]
    assert theirs["own_template"] and theirs["refused_fields"] == ["max_tokens", "seed", "temperature"]
    assert values(theirs["figures"]["all"])["over_calling"] == pytest.approx(2 / 6)
    same = bench["differences"]["model -> theirs"]["all"]
    assert (same["over_calling"]["questions"], same["call_recall"]["questions"]) == (6, 2)
    assert same["over_calling"]["value"] == 0.0
    with open(tmp_path / "out" / "bfcl-model-theirs.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["first_calls"], row["second_calls"]) for row in rows] == [("1", "1"), ("0", "0")] * 3 + [
        ("0", "0")
    ] * 2
    calls = [call.name for one in read_rollouts(tmp_path / "out").rollouts for turn in one.turns for call in turn.calls]
    assert calls == ["city_weather"] * 6


def test_a_stopped_benchmark_goes_on_and_other_data_are_refused(run_eval, bfcl, tmp_path, server):
    server.failures = [400]
    assert run_eval("--benchmark", bfcl, "--concurrency", "1").exit_code == 1
    assert run_eval("--benchmark", bfcl, "--samples", "1").exit_code == 0
    before = len(server.requests)
    assert run_eval("--benchmark", bfcl).exit_code == 0
    assert len(server.requests) - before == 4, "the second question of each part"
    (tmp_path / "bfcl" / "BFCL_v4_irrelevance.json").write_text("")
    changed = run_eval("--benchmark", bfcl)
    assert (changed.exit_code, "other settings (benchmark_files)" in changed.output) == (2, True), changed.output


def test_json_is_all_that_is_printed(run_eval, bfcl, tmp_path):
    done = run_eval("--benchmark", bfcl, "--json")
    assert json.loads(done.stdout)["benchmarks"]["bfcl"]["models"]["model"]["figures"]["all"]["over_calling"]["low"] > 0


def test_prompts_that_are_too_long_are_left_out_and_told(run_eval, bfcl, tmp_path):
    done = run_eval("--benchmark", bfcl, overrides=["data.max_prompt_length=200"])
    assert done.exit_code == 0, done.output
    assert "6 LEFT OUT" in done.output
    none = run_eval("--benchmark", bfcl, overrides=["data.max_prompt_length=2"])
    assert (none.exit_code, "every prompt is longer than data.max_prompt_length" in none.output) == (2, True)


def unlabelled(folder):
    path = benchmark_rows.when2call(folder) / "data" / "test" / "when2call_test_llm_judge.jsonl"
    path.write_text(path.read_text().replace("request_for_info", "other", 1))
    return f"when2call={folder}"


WRONG = {
    "unknown": (lambda folder: "mmlu", "mmlu is unknown; known: bfcl, when2call, metatool, metatool-tools"),
    "no data": (lambda folder: "when2call", "name the folder of a copy of https://github.com/NVIDIA/When2Call by"),
    "no folder": (lambda folder: f"metatool={folder}", "is not a folder"),
    "another folder": (lambda folder: f"when2call={folder.parent}", "has no data/test/when2call_test_llm_judge.jsonl"),
    "another label": (unlabelled, "unknown answer class 'other'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_data_that_are_not_there_are_told(run_eval, tmp_path, case):
    given, message = WRONG[case]
    done = run_eval("--benchmark", given(tmp_path / "data"))
    assert (done.exit_code, message in done.output) == (2, True), done.output
    assert "Traceback" not in done.output


def test_bfcl_is_read_out_of_its_package(run_eval, tmp_path, monkeypatch):
    benchmark_rows.bfcl(tmp_path / "site" / "bfcl_eval" / "data")
    (tmp_path / "site" / "bfcl_eval" / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    done = run_eval("--benchmark", "bfcl", "--samples", "1")
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--api", "chat"], "only with --benchmark"),
        (["--benchmark", "bfcl", "--seeds", "0,x"], "--seeds must be whole numbers"),
        (["--benchmark", "bfcl", "--data", "x.jsonl"], "--data goes with the run's own questions"),
        (["--benchmark", "bfcl", "--arms", "free"], "--arms goes with the run's own questions"),
    ],
)
def test_options_that_do_not_fit_together(run_eval, arguments, message):
    done = run_eval(*arguments)
    assert (done.exit_code, message in done.output) == (2, True), done.output


def test_seeds_that_change_nothing_are_refused(run_eval, bfcl):
    done = run_eval("--benchmark", bfcl, "--seeds", "0,1")
    assert (done.exit_code, "all seeds answer the same" in done.output) == (2, True), done.output


@pytest.mark.parametrize(
    ("text", "decision"),
    [
        ("Which city do you mean?", "ask"),
        ("Sorry, to help you I need to know the date. Please provide it.", "ask"),
        ("I’m sorry, but I can’t do that.", "refuse"),
        ("Unfortunately, no flights can be booked here.", "refuse"),
        ("The area is 25. Is that large? Not at all.", "answer"),
        ("<think>I cannot do this. Could you tell me?</think>It is 4.", "answer"),
        ("", "answer"),
    ],
)
def test_words_are_read_by_rules(text, decision):
    assert in_words(text) == decision


@pytest.mark.parametrize(
    ("text", "yes"), [("Yes, it is.", True), ("**No.** yes", False), ("<think>no</think> yes", True), ("Nobody", None)]
)
def test_a_yes_or_a_no(text, yes):
    assert yes_or_no(text) is yes


def test_types_are_those_of_json_schema():
    function = tool_of(benchmark_rows.LOOKUP)["function"]
    assert function["name"] == "city_weather"
    assert function["parameters"]["type"] == "object"
    properties = function["parameters"]["properties"]
    assert {name: one["type"] for name, one in properties.items()} == {
        "city": "string",
        "type": "string",
        "at": "array",
    }
    assert properties["at"]["items"] == {"type": "number"}
