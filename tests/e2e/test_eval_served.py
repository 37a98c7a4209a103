"""``verl-hdpo eval`` of a checkpoint, through vLLM that it starts and through an endpoint, beside verl's validation."""

import contextlib
import json
import math
import subprocess
import tempfile

import pytest
from leftovers import nothing_left
from run_overrides import SAMPLED, VALIDATED
from run_processes import COMMAND, MARKED, processes_of_runs

from verl_hdpo.adapters.composed_config import compose
from verl_hdpo.evaluation.served_model import served
from verl_hdpo.runs.cpu_settings import cpu_overrides

EVAL = [*COMMAND, "eval", "--cpu"]
KINDS = ("not_needed", "needed")
QUESTIONS = 4  # of each kind
STANDARD_ERRORS = 4
"""Two samples of the same may be this far apart."""


@pytest.fixture(scope="module")
def evaluate(task, pipeline, tmp_path_factory):
    """``evaluate(name, *options)``: the command's figures by kind of question, and its folder."""

    def run(name, *options):
        out = tmp_path_factory.mktemp(name)
        model = ["--model", f"taught={task / 'model'}", "--data", str(task / "validation.parquet")]
        command = [*EVAL, *model, "-n", str(VALIDATED), "--out", str(out), *options, "--", *pipeline, *SAMPLED]
        with contextlib.nullcontext() if "--endpoint" in options else nothing_left():
            environment = {**MARKED, "TMPDIR": tempfile.gettempdir()}
            done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        assert not processes_of_runs() or "--endpoint" in options
        figures = json.loads((out / "figures.json").read_text())["models"]["taught"]
        return {kind: {name: estimate["value"] for name, estimate in figures[kind].items()} for kind in KINDS}, out

    return run


@pytest.fixture(scope="module")
def from_own_server(evaluate):
    return evaluate("own-server", "--without", "token")


def test_needless_use_is_found_in_a_model_that_knows_the_answers(from_own_server):
    figures, out = from_own_server
    known = figures["not_needed"]  # conftest's model calls for half of these, and was taught them by heart
    assert 0 < known["tool_use_rate"] < 1
    assert known["accuracy_without"] > 0.5 and known["accuracy_forced"] > 0.5
    assert known["needless"] > 0
    assert figures["needed"]["accuracy_without"] < known["accuracy_without"]
    lines = (out / "taught" / "records.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines[1:]]
    assert len(records) == 3 * len(KINDS) * QUESTIONS * VALIDATED
    assert all(record["calls"] == 0 for record in records if record["arm"] == "without")
    assert all(record["calls"] > 0 for record in records if record["arm"] == "forced")


def test_figures_are_those_of_a_run_s_own_validation(comparison, task, pipeline, evaluate, from_own_server, tmp_path):
    before_training = comparison.steps("hdpo")[0]
    trainers = {
        kind: {name: before_training[f"val-hdpo/{kind}/{name}"] for name in ("tool_use_rate", "accuracy")}
        for kind in KINDS
    }
    config = compose("ppo_trainer", None, None, [*cpu_overrides(), *pipeline])
    with served(str(task / "model"), config, tmp_path / "vllm.log", cpu=True) as url:
        from_endpoint, _ = evaluate("endpoint", "--arms", "free", "--endpoint", url)
    samples = QUESTIONS * VALIDATED
    for figures in (from_own_server[0], from_endpoint):
        for kind in KINDS:
            for name, expected in trainers[kind].items():
                error = math.sqrt(2 * max(expected * (1 - expected), 1 / samples) / samples)
                assert figures[kind][name] == pytest.approx(expected, abs=STANDARD_ERRORS * error), f"{kind}: {name}"
