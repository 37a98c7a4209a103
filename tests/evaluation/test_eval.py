"""``verl-hdpo eval``: verl's own loop, tools and reward, over HTTP to a scripted model of known habits."""

from __future__ import annotations

import json
import sys

import pytest
from completions_server import serving
from composed import without_hydra
from scripted_eval import QUESTIONS, row, values, write
from tiny import tiny_tokenizer

from verl_hdpo.evaluation import run_config
from verl_hdpo.evaluation.dumps.reader import read_rollouts
from verl_hdpo.evaluation.model import Model
from verl_hdpo.evaluation.served_model import serve_arguments
from verl_hdpo.runs.verl_command import VerlConfig

pytestmark = pytest.mark.slow

SAMPLED = "actor_rollout_ref.rollout.val_kwargs.temperature=1.0"


@pytest.mark.parametrize("without", ["prompt", "token"])
def test_a_model_s_habits_are_measured(run_eval, server, tmp_path, without):
    server.tells_tokens = without == "prompt"  # with text alone the figures are the same
    done = run_eval("--without", without, "-n", "2", overrides=[SAMPLED])
    assert done.exit_code == 0, done.output
    third = pytest.approx(1 / 3)
    assert values(tmp_path) == {
        "tool_use_rate": pytest.approx(2 / 3),
        "calls": pytest.approx(2 / 3),
        "accuracy": pytest.approx(2 / 3),
        "accuracy_given_tool": 1.0,
        "accuracy_given_no_tool": 0.0,
        "accuracy_without": third,
        "accuracy_forced": 1.0,
        "gain_from_tools": third,
        "needless": third,
        "needless_share": 0.5,
        "missed": third,
        "missed_share": 1.0,
        "unknown": 0.0,
    }
    assert values(tmp_path, source="known")["needless"] == 1.0
    assert values(tmp_path, source="missed")["missed"] == 1.0
    assert "needless: called, right without" in done.output
    assert (tmp_path / "out" / "figures.png").read_bytes().startswith(b"\x89PNG")
    banned = [request for request in server.requests if request.get("logit_bias")]
    assert bool(banned) == (without == "token")
    tools_shown = sum("plus" in tiny_tokenizer().decode(r["prompt"]) for r in server.requests)
    # free: 2 + 2 + 1 requests of 2 rollouts; forced: 2 + 2 + 2; without, by token: 1 + 1 + 1
    assert tools_shown == 2 * (5 + 6 + (3 if without == "token" else 0))


def test_sampling_is_the_run_s_whatever_the_checkpoint_says(run_eval, server, model):
    """vLLM takes what a request leaves out from the checkpoint's generation_config.json."""
    overrides = [SAMPLED, "actor_rollout_ref.rollout.val_kwargs.top_k=20"]
    assert run_eval("--arms", "free", overrides=overrides).exit_code == 0
    for request in server.requests:
        said = {key: request[key] for key in ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")}
        assert said == {"temperature": 1.0, "top_k": 20, "top_p": 1.0, "min_p": 0.0, "repetition_penalty": 1.0}
    assert "--generation-config=vllm" in serve_arguments("m", without_hydra("ppo_trainer", None, None, []), 1)


def test_without_tools_a_call_spelled_in_other_tokens_ends_the_answer(run_eval, no_hydra, model, tmp_path):
    call = '<tool_call>\n{"name": "plus", "arguments": {"a": 1, "b": 1}}\n</tool_call>'
    with serving(lambda prompt, request: call) as stubborn:
        stubborn.tells_tokens = False
        done = run_eval("--endpoint", stubborn.url, "--without", "token", "--arms", "free,without")
    assert done.exit_code == 0, done.output
    banned = [request for request in stubborn.requests if request.get("logit_bias")]
    assert len(banned) == len(QUESTIONS), "one turn each"


def test_a_stopped_evaluation_makes_what_is_missing(run_eval, no_hydra, server, tmp_path):
    server.failures = [503, 200 + 200]
    halted = run_eval("--concurrency", "1", "--arms", "free,without")
    assert halted.exit_code == 1
    assert "answered HTTP 400" in halted.output and "Traceback" not in halted.output
    server.failures = [503]
    assert run_eval("--arms", "free,without", "--concurrency", "1").exit_code == 0
    path = tmp_path / "out" / "model" / "records.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    assert len({(r["arm"], r["question"]) for r in records}) == len(records) == 6
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + '\n{"arm": "fr')
    before = len(server.requests)
    assert run_eval("--arms", "free,without").exit_code == 0
    assert 0 < len(server.requests) - before <= 2, "one rollout was missing"
    other = run_eval("--arms", "free", "--seed", "1")
    assert other.exit_code == 2 and "other settings (seed)" in other.output


def test_records_hold_what_look_shows_of_them(run_eval, server, tmp_path):
    assert run_eval("--arms", "free").exit_code == 0
    rollouts = read_rollouts(tmp_path / "out").rollouts
    asked = {f"{kind}: {a}+{b}?": str(a + b) for kind, (a, b) in QUESTIONS.items()}
    assert {one.prompt[-1].text: one.reference for one in rollouts} == asked
    for one in rollouts:
        assert one.ledger.total("attempted") == one.calls
        assert one.known and one.verdict and one.answer


def test_two_models_side_by_side(run_eval, no_hydra, model, server, tmp_path):
    with serving(lambda prompt, request: write(prompt, {"logit_bias": True})) as direct:
        done = run_eval(
            "--model", f"before={model / 'model'}", "--model", f"after={model / 'model'}",
            "--endpoint", server.url, "--endpoint", direct.url, "--arms", "free",
        )  # fmt: skip
    assert done.exit_code == 0, done.output
    changed = json.loads((tmp_path / "out" / "figures.json").read_text())["differences"]["before -> after"]["all"]
    assert (changed["tool_use_rate"]["value"], changed["tool_use_rate"]["fewer"]) == (pytest.approx(-2 / 3), 2)
    assert (changed["accuracy"]["value"], changed["accuracy"]["fewer"]) == (pytest.approx(-1 / 3), 1)
    rows = (tmp_path / "out" / "before-after.csv").read_text()
    assert "first_calls,second_calls" in rows and "\n1,0,needed,1,0,True,False," in rows.replace("\r", "")


def test_a_user_s_reward_function_judges(run_eval, tmp_path):
    (tmp_path / "mine.py").write_text(
        "def compute_score(data_source, solution_str, ground_truth, extra_info):\n"
        "    return None if data_source == 'known' else {'score': 1.0, 'acc': 1.0}\n"
    )
    done = run_eval("--arms", "free", overrides=[f"reward.custom_reward_function.path={tmp_path / 'mine.py'}"])
    assert done.exit_code == 0, done.output
    found = values(tmp_path)
    assert (found["accuracy"], found["unknown"]) == (1.0, pytest.approx(1 / 3))


def test_labels_are_a_second_definition_beside_ours(run_eval, no_hydra, data, tmp_path):
    rows = [row(kind, *numbers) for kind, numbers in QUESTIONS.items()]
    for one, label in zip(rows, (False, True, True), strict=True):
        one["extra_info"]["should_call"] = label
    data.write_text("".join(json.dumps(one) + "\n" for one in rows))
    done = run_eval("--arms", "free")
    assert done.exit_code == 0, done.output
    found = values(tmp_path)
    assert (found["over_calling"], found["call_recall"]) == (1.0, 0.5)
    known = values(tmp_path, source="known")
    assert (known["over_calling"], known["call_recall"]) == (1.0, None), "never one without the other"


def test_what_was_unknown_is_asked_again(run_eval, no_hydra, server, tmp_path):
    (tmp_path / "mine.py").write_text(
        "import os\n"
        "def compute_score(data_source, solution_str, ground_truth, extra_info):\n"
        f"    return 1.0 if data_source == 'known' or os.path.exists({str(tmp_path / 'judge')!r}) else None\n"
    )
    overrides = [f"reward.custom_reward_function.path={tmp_path / 'mine.py'}"]
    assert run_eval("--arms", "free", overrides=overrides).exit_code == 0
    assert values(tmp_path)["unknown"] == pytest.approx(2 / 3)
    (tmp_path / "judge").touch()
    before = len(server.requests)
    assert run_eval("--arms", "free", overrides=overrides).exit_code == 0
    assert (values(tmp_path)["unknown"], values(tmp_path)["accuracy"]) == (0.0, 1.0)
    assert len(server.requests) - before == 3, "needed takes two requests, missed one, known none"


def test_an_evaluation_without_one_known_outcome_fails(run_eval, no_hydra, tmp_path):
    (tmp_path / "mine.py").write_text("def compute_score(**kwargs):\n    return None\n")
    done = run_eval("--arms", "free", overrides=[f"reward.custom_reward_function.path={tmp_path / 'mine.py'}"])
    assert done.exit_code == 1
    assert "Error: model: not one outcome is known" in done.output
    assert values(tmp_path)["unknown"] == 1.0, "its tool use is measured all the same"


def test_nothing_is_written_before_the_first_rollout(run_eval, no_hydra, tmp_path):
    done = run_eval("--arms", "free", "--endpoint", "http://127.0.0.1:9")
    assert done.exit_code == 1 and "no server at" in done.output
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert run_eval("--arms", "free").exit_code == 0


@pytest.mark.parametrize(
    ("text", "label", "path"),
    [
        ("before=start/", "before", "start"),
        ("start/", "start", "start"),
        ("/models/start//", "start", "/models/start"),
        ("a=/", "a", "/"),
        ("models/a=b/", "a=b", "models/a=b"),
        ("owner/name", "name", "owner/name"),
    ],
)
def test_a_model_is_named_with_or_without_a_slash_at_its_end(text, label, path):
    model = Model.parse(text)
    assert (model.label, model.path) == (label, path)


PLUS = """
from verl.tools.base_tool import BaseTool
from verl.tools.schemas import OpenAIFunctionToolSchema, ToolResponse

class Plus(BaseTool):
    def get_openai_tool_schema(self):
        number = {"type": "integer", "description": "a number"}
        parameters = {"type": "object", "properties": {"a": number, "b": number}, "required": ["a", "b"]}
        function = {"name": "plus", "description": "Add two numbers.", "parameters": parameters}
        return OpenAIFunctionToolSchema.model_validate({"type": "function", "function": function})

    async def execute(self, instance_id, parameters, **kwargs):
        return ToolResponse(text=str(parameters["a"] + parameters["b"])), 0.0, {}
"""


def test_a_tool_of_a_module_in_the_current_folder_is_found(run_eval, tmp_path, monkeypatch):
    (tmp_path / "plus_of_mine.py").write_text(PLUS)
    (tmp_path / "tools.yaml").write_text("tools: [{class_name: plus_of_mine.Plus, config: {type: native}}]")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place])
    done = run_eval(tools=None, overrides=["actor_rollout_ref.rollout.multi_turn.tool_config_path=tools.yaml"])
    assert done.exit_code == 0, done.output
    assert values(tmp_path)["tool_use_rate"] == pytest.approx(2 / 3)
    (tmp_path / "tools.yaml").write_text("tools: [{class_name: plus_of_yours.Plus, config: {type: native}}]")
    other = ["--out", str(tmp_path / "other")]
    done = run_eval(*other, tools=None, overrides=["actor_rollout_ref.rollout.multi_turn.tool_config_path=tools.yaml"])
    assert f"there is no module plus_of_yours in {tmp_path}" in done.output


def test_a_server_that_knows_openai_s_fields_alone_is_asked_with_those(run_eval, server, tmp_path):
    server.tells_tokens = False
    server.knows = {"model", "prompt", "max_tokens", "temperature", "top_p", "seed", "logit_bias"}
    done = run_eval("--without", "token")
    assert done.exit_code == 0, done.output
    assert values(tmp_path)["tool_use_rate"] == pytest.approx(2 / 3)


def test_the_first_questions_are_asked_whatever_the_model(run_eval, tmp_path, model, data, server):
    rows = [row("known" if n % 2 else "needed", n, 1) for n in range(1, 9)]
    data.write_text("".join(json.dumps(r) + "\n" for r in rows))
    twice = [word for label in "ab" for word in ("--model", f"{label}={model / 'model'}", "--endpoint", server.url)]
    done = run_eval("--arms", "free", "--samples", "3", *twice)
    assert done.exit_code == 0, done.output
    for label in "ab":
        _, *lines = (tmp_path / "out" / label / "records.jsonl").read_text().splitlines()
        sources = {record["question"]: record["source"] for record in map(json.loads, lines)}
        assert sources == {0: "known", 1: "needed", 2: "known"}


@pytest.mark.parametrize(
    ("overrides", "loop", "manager"),
    [
        ((), "hdpo_tool_agent", "dapo"),
        (("actor_rollout_ref.rollout.agent.default_agent_loop=single_turn_agent",), "single_turn_agent", "dapo"),
        (("reward.reward_manager.name=naive",), "hdpo_tool_agent", "naive"),
    ],
)
def test_what_a_config_or_an_override_sets_is_kept(tmp_path, overrides, loop, manager):
    mine = "defaults:\n  - ppo_trainer\n  - _self_\nreward:\n  reward_manager:\n    name: dapo\n"
    (tmp_path / "mine.yaml").write_text(mine)
    config = run_config.run_config(VerlConfig("mine", None, str(tmp_path)), overrides)
    rollout = config.actor_rollout_ref.rollout
    assert (rollout.name, rollout.agent.default_agent_loop) == ("vllm", loop)
    assert config.reward.reward_manager.name == manager
