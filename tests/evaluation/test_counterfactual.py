"""``verl-hdpo eval --arms free,counterfactual``: does a model look at the answers for which it calls?"""

from __future__ import annotations

import json
import re

import pytest
from click.testing import CliRunner
from completions_server import serving
from composed import without_hydra
from plus_tool import TOOLS
from tiny import save_checkpoint_without_weights, tiny_tokenizer

from verl_hdpo.cli.main import main
from verl_hdpo.evaluation import run_config
from verl_hdpo.evaluation.counterfactual import exchange_for
from verl_hdpo.evaluation.dumps.reader import read_rollouts
from verl_hdpo.evaluation.record import Record

pytestmark = pytest.mark.slow

SUMS = [(70, 81), (12, 34), (500, 9), (2, 2)]
RESPONSES = re.compile(r"<tool_response>\n(.+)\n</tool_response>")


def asked(prompt: str) -> tuple[int, int]:
    return tuple(map(int, re.findall(r"(\d+)\+(\d+)\?", prompt)[-1]))


def call(prompt: str) -> str:
    a, b = asked(prompt)
    return f'<tool_call>\n{{"name": "plus", "arguments": {{"a": {a}, "b": {b}}}}}\n</tool_call>'


def ignores(prompt: str, request: dict) -> str:
    """Calls, and says what it knew before."""
    return f"<answer>{sum(asked(prompt))}</answer>" if RESPONSES.search(prompt) else call(prompt)


def copies(prompt: str, request: dict) -> str:
    """Says what the tool said last; calls once, and twice for sums above 500."""
    found = RESPONSES.findall(prompt)
    return f"<answer>{found[-1]}</answer>" if len(found) > (sum(asked(prompt)) > 500) else call(prompt)


def checks(prompt: str, request: dict) -> str:
    """Calls again where the tool is wrong, and says what is right."""
    right, found = str(sum(asked(prompt))), RESPONSES.findall(prompt)
    return f"<answer>{right}</answer>" if right in found else call(prompt)


def never_calls(prompt: str, request: dict) -> str:
    return "<answer>4</answer>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("counterfactual")
    (path / "tools.py").write_text(TOOLS)
    save_checkpoint_without_weights(path / "model")
    rows = [
        {
            "data_source": "sums",
            "prompt": [{"role": "user", "content": f"{a}+{b}?"}],
            "reward_model": {"style": "rule", "ground_truth": str(a + b)},
            "extra_info": {"index": a},
        }
        for a, b in SUMS
    ]
    (path / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def run_eval(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(run_config, "compose", without_hydra)

    def run(server, arms: str) -> dict:
        done = CliRunner().invoke(
            main,
            [
                "eval", "--out", str(tmp_path / "out"), "--data", str(folder / "questions.jsonl"), "--arms", arms,
                "--model", str(folder / "model"), "--endpoint", server.url, "--",
                f"actor_rollout_ref.rollout.multi_turn.function_tool_path={folder / 'tools.py'}",
                "actor_rollout_ref.rollout.multi_turn.format=hermes", "data.max_prompt_length=600",
                "data.max_response_length=900", "+actor_rollout_ref.model.override_config.attn_implementation=sdpa",
            ],
        )  # fmt: skip
        assert done.exit_code == 0, done.output
        figures = json.loads((tmp_path / "out" / "figures.json").read_text())["models"]["model"]["sums"]
        return {name: estimate["value"] for name, estimate in figures.items()}

    return run


def records(tmp_path, arm: str) -> list[dict]:
    lines = (tmp_path / "out" / "model" / "records.jsonl").read_text().splitlines()[1:]
    return [record for record in map(json.loads, lines) if record["arm"] == arm]


@pytest.mark.parametrize(("write", "blind"), [(ignores, 1.0), (copies, 0.0), (checks, 0.0)])
def test_who_ignores_the_tool_is_told_from_who_reads_it(run_eval, tmp_path, write, blind):
    with serving(write) as server:
        found = run_eval(server, "free,counterfactual")
    assert (found["without_looking"], found["exchangeable"], found["tool_use_rate"]) == (blind, 1.0, 1.0)
    assert found["accuracy"] == 1.0, "the exchanged answers change no other figure"
    assert len(records(tmp_path, "counterfactual")) == len(SUMS)
    for record in records(tmp_path, "counterfactual"):
        ((tool, was, became),) = record["exchanged"]
        assert (tool, len(was)) == ("plus", len(became)) and was != became
    groups = {one.group for one in read_rollouts(tmp_path / "out").rollouts if one.extras["arm"] == "counterfactual"}
    assert len(groups) == len(SUMS) and all(group.endswith(":counterfactual") for group in groups)


def test_all_before_the_exchange_is_as_it_was(run_eval):
    with serving(copies) as server:
        run_eval(server, "free,counterfactual")
    prompts = [tiny_tokenizer().decode(request["prompt"]) for request in server.requests]
    twice = [prompt for prompt in prompts if "500+9" in prompt]
    assert [len(RESPONSES.findall(prompt)) for prompt in twice] == [0, 1, 2, 2], "the first turns are played back"
    before, after = twice[2:]
    assert before.rpartition("<tool_response>")[0] == after.rpartition("<tool_response>")[0]
    assert RESPONSES.findall(before) == ["509", "509"] and RESPONSES.findall(after)[1] != "509"


def test_an_arm_that_is_added_later_plays_back_what_it_can(run_eval, tmp_path):
    with serving(copies) as server:
        run_eval(server, "free")
        before = len(server.requests)
        found = run_eval(server, "free,counterfactual")
        assert len(server.requests) - before == 9 + 4, "the free ones once more, for their tokens"
        assert found["without_looking"] == 0.0
        run_eval(server, "free,counterfactual")
        assert len(server.requests) - before == 9 + 4


def test_without_a_call_there_is_nothing_to_exchange(run_eval, tmp_path):
    with serving(never_calls) as server:
        found = run_eval(server, "free,counterfactual")
    assert "without_looking" not in found and not records(tmp_path, "counterfactual")


def free(question: int, answer: str, said: str) -> Record:
    return Record("free", question, 0, "s", 1, True, answer=answer, answers=[["search", said]])


OTHERS = [free(1, "Oslo", "Oslo is the capital of Norway."), free(2, "12", "There are 12 of them.")]


@pytest.mark.parametrize(
    ("answer", "said", "pattern"),
    [
        ("Paris", "The capital is Paris. PARIS is large.", r"The capital is Oslo. Oslo is large."),
        ("7", "7 of 12", r"[1-689] of 12"),
        ("3.5", "it is 3.5 m", r"it is [1-24-9]\.\d m"),
        ("far", "1,204", r"[2-9],\d{3}"),
        ("far", "It is a long way.", r"Oslo is the capital of Norway\.|There are 12 of them\."),
    ],
)
def test_another_answer_is_plausible(answer, said, pattern):
    mine = free(0, answer, said)
    other = exchange_for(mine, [mine, *OTHERS], 0)("search", said)
    assert re.fullmatch(pattern, other) and other == exchange_for(mine, [mine, *OTHERS], 0)("search", said)


def test_where_there_is_no_other_answer_none_is_made_up():
    mine = free(0, "far", "a long way")
    assert exchange_for(mine, [mine], 0)("search", "a long way") is None
    numbered = exchange_for(mine, [mine], 0)("search", "a long way, 20 km")
    assert re.fullmatch(r"a long way, [13-9]\d km", numbered)
