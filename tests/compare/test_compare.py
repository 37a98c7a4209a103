"""``verl-hdpo compare``: its algorithms, runs, curves and report, and the command with a trainer that only logs."""

from __future__ import annotations

import re
import sys

import pandas
import pytest
import trainer_that_logs
from filelock import FileLock
from planned_runs import logged, planned

from verl_hdpo.compare import config_check, training_run
from verl_hdpo.compare.curves import CurvesError, at_end, before, table
from verl_hdpo.compare.plots import over_steps
from verl_hdpo.compare.progress import Clock, duration
from verl_hdpo.compare.report import write_report
from verl_hdpo.compare.variant import VariantError, parse_variants
from verl_hdpo.runs.finding import Finding

pytestmark = pytest.mark.slow


@pytest.fixture
def run_compare(tmp_path, monkeypatch):
    return trainer_that_logs.command(tmp_path, monkeypatch)


@pytest.fixture
def no_pictures(monkeypatch):
    trainer_that_logs.draw_nothing(monkeypatch)


def test_variants_and_their_overrides():
    stock, penalty, gdpo, hdpo = parse_variants(
        "grpo, grpo_penalty[a=0.5,gated=true],gdpo,hdpo[tool_costs={a:1,b:2},actor.optim.lr=1e-5]"
    )
    assert stock.overrides == ["algorithm.adv_estimator=grpo"]
    assert penalty.overrides == [
        "algorithm.adv_estimator=grpo_penalty",
        "++algorithm.grpo_penalty.a=0.5",
        "++algorithm.grpo_penalty.gated=true",
    ]
    assert (penalty.label, penalty.folder) == ("grpo_penalty[a=0.5,gated=true]", "grpo_penalty_a-0.5_gated-true")
    assert (gdpo.algorithm, gdpo.alias) == ("tool_gdpo", "gdpo")
    assert hdpo.overrides[1:] == ["++algorithm.hdpo.tool_costs={a:1,b:2}", "++actor.optim.lr=1e-5"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "at least one"),
        ("hdpo,hdpo", "hdpo is named twice"),
        ("gdpo,tool_gdpo", "tool_gdpo is named twice"),
        ("grpo[actor.optim.lr=1],grpo[critic.optim.lr=1]", "two would be called grpo[lr=1]"),
        ("grpo penalty", "is not an algorithm"),
        ("grpo_penalty[a]", "'a' in 'grpo_penalty[a]' is not key=value"),
        ("grpo_penalty[a=1,a=2]", "a is given twice"),
        ("grpo_penalty[strength=1]", "has no setting strength; known: a, form, gated"),
        ("grpo[w=1]", "grpo has no settings of its own"),
    ],
)
def test_a_variant_that_cannot_be_read(text, message):
    with pytest.raises(VariantError, match=re.escape(message)):
        parse_variants(text)


def test_time_left():
    now = [0.0]
    clock = Clock(3, 10, now=lambda: now[0])
    clock.start("a")
    assert clock.left is None
    now[0] = 20.0
    clock.at("a", 2)
    assert clock.left == pytest.approx(80 + 200)
    now[0] = 120.0
    clock.end("a", 120.0)
    clock.start("b")
    now[0] = 150.0
    assert clock.left == pytest.approx(90 + 120)
    clock.start("c", ago=10.0)
    now[0] = 160.0
    assert clock.left == pytest.approx((80 + 100) / 2)
    assert [duration(s) for s in (None, 45, 700, 11100)] == ["unknown", "45 s", "12 min", "3 h 05 min"]


def test_where_runs_ended_is_the_last_validation_only_if_all_validated(tmp_path):
    one, other = planned(tmp_path, seeds=[1])
    train = [(s, {"hdpo/tool_use_rate": s / 100, "hdpo/accuracy": 1.0, "timing_s/step": 1.0}) for s in range(1, 21)]
    logged(one, [(0, {"val-hdpo/q/accuracy": 0.1}), *train, (20, {"val-hdpo/q/accuracy": 0.7})])
    logged(other, train)
    both = table([one, other])
    assert before(both).value.tolist() == [0.1]
    ended = at_end(both)
    assert set(ended.phase) == {"train"}
    uses = ended[(ended.variant == "hdpo") & (ended.metric == "tool_use_rate")]
    assert uses.value.tolist() == [pytest.approx(0.195)], "steps 19 and 20 are the last tenth"
    alone = at_end(table([one]))
    assert (alone.phase.unique().tolist(), alone.value.tolist()) == (["validation"], [0.7])


def test_a_run_without_our_metrics_is_refused(tmp_path):
    run = planned(tmp_path, seeds=[1])[0]
    logged(run, [(1, {"critic/score/mean": 1.0})])
    with pytest.raises(CurvesError, match="no hdpo/ metrics"):
        table([run])


@pytest.mark.slow  # it draws after each run
def test_the_command_trains_and_reports(run_compare, tmp_path):
    done = run_compare("--algos", "gdpo,hdpo", "--seeds", "1,3", "--", "data.train_files=x")
    assert done.exit_code == 0, done.output
    assert "gdpo is run as tool_gdpo" in done.output
    assert "[4/4] hdpo seed 3: step 4/4" in done.output
    curves = pandas.read_csv(tmp_path / "out" / "metrics.csv")
    assert set(curves.source) == {"a/b", "all"}
    use = curves[(curves.variant == "hdpo") & (curves.metric == "tool_use_rate") & (curves.source == "a/b")]
    assert use[(use.phase == "train") & (use.seed == 3)].value.tolist() == pytest.approx([0.9, 0.8, 0.7, 0.6])
    summary = pandas.read_csv(tmp_path / "out" / "summary.csv").set_index(["variant", "metric"])
    assert summary.loc[("hdpo", "accuracy"), ["mean", "min", "max", "count"]].tolist() == pytest.approx(
        [0.7, 0.6, 0.8, 2]
    )
    page = (tmp_path / "out" / "report.html").read_text()
    assert re.search(r"verl 0\.9\.\d.*cores of", page)
    assert "4 of 4 runs." in page and "70.0 (60.0 to 80.0)" in page
    assert page.count("<svg ") == 3
    for name in ("curves", "tradeoff", "time"):
        assert (tmp_path / "out" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert not re.search(r'(src|href)="(?!data:|#)', page), "nothing is loaded from elsewhere"


def test_a_stopped_comparison_goes_on_where_it_stopped(run_compare, no_pictures, tmp_path):
    arguments = ["--algos", "grpo,hdpo", "--seeds", "2", "--", "a.b=1"]
    halted = run_compare(*arguments, "fake.stop=hdpo1@2")
    assert halted.exit_code == 1
    assert "hdpo seed 1 failed with exit code 1" in halted.output
    assert "1 of 4 runs failed: hdpo seed 1" in halted.output
    assert "3 of 4 runs." in (tmp_path / "out" / "report.html").read_text()
    finished = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("done.json")}
    again = run_compare(*arguments, "fake.stop=hdpo1@2", "--dry-run")
    assert again.output.count("-m verl.trainer.main_ppo") == 1
    checkpoints = tmp_path / "out" / "runs" / "hdpo" / "seed1" / "checkpoints"
    checkpoints.mkdir()
    (checkpoints / "latest_checkpointed_iteration.txt").write_text("2")
    done = run_compare(*arguments, "fake.stop=hdpo1@2")
    assert done.exit_code == 0, done.output
    assert "hdpo seed 1: going on from its checkpoint" in done.output
    assert {path: path.stat().st_mtime_ns for path in finished} == finished, "no finished run was touched"
    curves = pandas.read_csv(tmp_path / "out" / "metrics.csv")
    steps = curves[(curves.variant == "hdpo") & (curves.seed == 1) & (curves.metric == "step_seconds")].step
    assert steps.tolist() == [1, 2, 3, 4], "both attempts' steps"


def test_two_at_work_in_one_folder_are_refused(run_compare, tmp_path):
    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out" / "lock"):
        done = run_compare("--algos", "grpo", "--seeds", "1", "--", "a.b=1")
    assert done.exit_code == 1
    assert f"another verl-hdpo compare is running in {tmp_path / 'out'}" in done.output


def test_a_validation_of_a_resumed_run_is_not_its_end(tmp_path):
    run = planned(tmp_path, seeds=[1])[0]
    train = [(s, {"hdpo/tool_use_rate": s / 10, "hdpo/accuracy": 1.0}) for s in range(1, 5)]
    logged(run, [*train[:2], (2, {"val-hdpo/q/accuracy": 0.2}), *train[2:]])
    curves = table([run])
    assert curves[(curves.phase == "train") & (curves.metric == "tool_use_rate")].step.tolist() == [1, 2, 3, 4]
    assert set(at_end(curves).phase) == {"train"}


def test_files_changed_while_a_run_trains_are_said_plainly(run_compare, tmp_path, monkeypatch):
    reward = tmp_path / "reward.py"
    reward.write_text("one")
    monkeypatch.setattr(training_run.Steps, "tell", lambda self: reward.write_text("another"))
    done = run_compare("--algos", "hdpo", "--seeds", "1", "--", f"reward.custom_reward_function.path={reward}")
    assert done.exit_code == 2
    assert f"another {reward}" in done.output and "Traceback" not in done.output


def test_a_run_that_logged_nothing_has_failed(run_compare):
    done = run_compare("--algos", "hdpo", "--seeds", "1", "--", "fake.silent=1")
    assert done.exit_code == 1
    assert "it logged nothing into" in done.output


def test_after_one_run_has_got_through_another_s_failure_stops_none(run_compare, no_pictures):
    arguments = ["--algos", "grpo,hdpo", "--seeds", "2", "--", "fake.stop=hdpo1@1"]
    run_compare(*arguments)
    again = run_compare(*arguments[:-2], "--", "fake.stop=hdpo1@1")
    assert "[1/1] hdpo seed 1: starting" in again.output and "no other is started" not in again.output


def test_a_first_run_that_fails_stops_all(run_compare):
    halted = run_compare("--algos", "grpo,hdpo", "--seeds", "1", "--", "fake.stop=grpo1@0")
    assert halted.exit_code == 1
    assert "the first run to end failed; no other is started" in halted.output
    assert "hdpo seed 1: starting" not in halted.output


def test_nothing_starts_on_a_config_that_fails(run_compare, monkeypatch):
    finding = Finding("Files hdpo seed 1", "FAIL", "data.train_files", "x does not exist", ("give a file",))
    monkeypatch.setattr(config_check, "probe", lambda *given: [finding])
    done = run_compare("--algos", "hdpo", "--", "data.train_files=x")
    assert done.exit_code == 1
    assert "x does not exist" in done.output and "nothing was started" in done.output
    assert "starting" not in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--algos", "hdpo", "--seeds", "x"], "neither a number of seeds nor a list"),
        (["--algos", "hdpo", "--seeds", "0"], "number >= 1"),
        (["--algos", "hdpo", "--seeds", "2,2"], "different numbers"),
        (["--algos", "hdpo", "--seeds", "2,,3"], "neither a number of seeds nor a list"),
        (["--algos", "hdpo[x=1]"], "--algos: hdpo has no setting x"),
        ([], "--algos"),
    ],
)
def test_a_command_line_that_makes_no_sense(run_compare, arguments, message):
    done = run_compare(*arguments)
    assert done.exit_code == 2
    assert message in done.output


def test_configs_are_checked_once_per_algorithm_and_once_per_seed_that_they_name(run_compare, monkeypatch):
    asked = {}
    monkeypatch.setattr(config_check, "probe", lambda config, runs, doing: asked.update(runs) or [])
    run_compare("--algos", "grpo,hdpo", "--seeds", "3", "--dry-run", "--", "a=1")
    assert list(asked) == ["grpo seed 1", "hdpo seed 1"]
    asked.clear()
    run_compare("--algos", "grpo,hdpo", "--seeds", "3", "--dry-run", "--", "--config-name=mine", "a={seed}")
    assert list(asked) == ["grpo seed 1", "hdpo seed 1", "grpo seed 2", "grpo seed 3"]
    assert not any(part.startswith("--") for run in asked.values() for part in run)


def test_a_missing_package_is_missed_before_anything_starts(run_compare, monkeypatch):
    for module in ("report", "comparison"):
        monkeypatch.delitem(sys.modules, f"verl_hdpo.compare.{module}")
    monkeypatch.delattr("verl_hdpo.compare.report", raising=False)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    done = run_compare("--algos", "hdpo", "--", "a=1")
    assert done.exit_code == 1
    assert "jinja2 is not installed: pip install 'verl-hdpo[report]'" in done.output


def test_one_seed_can_be_named(run_compare):
    done = run_compare("--algos", "hdpo", "--seeds", "7,", "--dry-run", "--", "a=1")
    assert "# hdpo seed 7" in done.output and "\n1 runs, " in done.output


def test_labels_are_shown_as_they_are_and_all_are_in_the_legend(tmp_path):
    run = planned(tmp_path, algos="grpo[algorithm.x=$a_b_c$d]", seeds=[1])[0]
    both = {f"hdpo/trained_$x_y_z$/{name}": 1.0 for name in ("tool_use_rate", "accuracy", "tool_calls/mean")}
    logged(
        run, [(1, both), (2, both | {"val-hdpo/a_validated/accuracy": 0.5, "val-hdpo/a_validated/tool_use_rate": 1.0})]
    )
    figure = over_steps(table([run]))
    assert [text.get_text() for text in figure.legends[0].texts] == [run.variant.label]
    figure.savefig(tmp_path / "curves.png")


@pytest.mark.slow
def test_the_legend_is_not_cut_off(tmp_path):
    algos = ",".join(f"grpo_penalty[a={a},gated=true]" for a in (0.1, 0.3, 0.5, 1.0, 2.0))
    runs = planned(tmp_path, algos=algos, seeds=[1])
    for run in runs:
        rates = {f"hdpo/{source}/{name}": 1.0 for source in "ab" for name in ("tool_use_rate", "accuracy")}
        logged(run, [(1, rates), (2, rates)])
    figure = over_steps(table(runs))
    figure.canvas.draw()
    legend, whole = figure.legends[0].get_window_extent(), figure.bbox
    assert whole.x0 <= legend.x0 and legend.x1 <= whole.x1 and legend.y0 >= whole.y0


def test_a_report_says_who_trained_on_unknown_outcomes(tmp_path):
    runs = planned(tmp_path, seeds=[1])
    for run in runs:
        logged(run, [(1, {"hdpo/tool_use_rate": 1.0, "hdpo/accuracy": 0.5, "hdpo/unknown_rate": 0.1})])
    page = write_report(runs, tmp_path).read_text()
    assert "grpo trained on rollouts of unknown outcome too" in page
    assert "hdpo trained on rollouts" not in page


def test_a_report_needs_no_validation(tmp_path):
    run = planned(tmp_path, seeds=[1])[0]
    logged(run, [(1, {"hdpo/tool_use_rate": 1.0, "hdpo/accuracy": 0.5})])
    assert "The last tenth of the training steps" in write_report([run], tmp_path).read_text()
