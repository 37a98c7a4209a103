"""The runs that ``verl-hdpo compare`` plans: what sets them apart, and when one may be gone on with."""

from __future__ import annotations

import json
import re

import pytest
from planned_runs import logged, planned

from verl_hdpo.compare.plan import METRICS, PlanError


def test_runs_of_one_seed_differ_in_the_algorithm_alone(tmp_path):
    runs = planned(tmp_path, config=["--config-name=mine"])
    assert [run.label for run in runs] == ["grpo seed 1", "hdpo seed 1", "grpo seed 2", "hdpo seed 2"]
    assert len({run.folder for run in runs}) == 4
    one, other = (set(run.arguments) for run in runs[:2])
    keys = {part.lstrip("+").partition("=")[0] for part in one ^ other}
    assert keys == {"algorithm.adv_estimator", "trainer.default_local_dir", "trainer.experiment_name"}
    assert "data.train_files=d2.parquet" in runs[2].arguments
    assert {"data.seed=2", "actor_rollout_ref.rollout.seed=2"} < set(runs[2].arguments)
    assert runs[0].arguments[-1] == "--config-name=mine"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("algorithm.adv_estimator=grpo", "--algos"),
        ("data.seed=1", "--seeds"),
        ("trainer.logger=[console]", "file logger"),
        ("trainer.resume_mode=disable", "goes on from its checkpoint"),
        ("+trainer.default_local_dir=x", "checkpoints"),
        ("trainer.rollout_data_dir=x", "overwrite each other's; put {run}"),
        ("whatever", "write key=value"),
    ],
)
def test_an_override_that_the_comparison_sets_is_refused(tmp_path, override, message):
    with pytest.raises(PlanError, match=message):
        planned(tmp_path, overrides=[override])
    if "." in override:
        with pytest.raises(PlanError, match="--algos" if "adv_estimator" in override else message):
            planned(tmp_path, algos=f"hdpo[{override.lstrip('+')}]")


def test_each_run_can_write_where_no_other_does(tmp_path):
    runs = planned(tmp_path, overrides=["trainer.rollout_data_dir=dumps/{run}/{seed}"])
    written = [part for run in runs for part in run.arguments if "rollout_data_dir" in part]
    assert len(set(written)) == 4
    assert written[1] == "trainer.rollout_data_dir=dumps/hdpo-seed1/1"


def noted(run, config):
    """As hydra notes the config of a run that it starts."""
    (run.hydra_dir / ".hydra").mkdir(parents=True, exist_ok=True)
    (run.hydra_dir / ".hydra" / "config.yaml").write_text(json.dumps(config))


def test_a_run_knows_how_far_it_came(tmp_path):
    run = planned(tmp_path)[0]
    assert run.state == "new"
    assert not run.prepare()
    assert run.state == "unfinished"
    (run.folder / METRICS).write_text("old")
    assert not run.prepare()
    assert run.metrics_files() == [], "without a checkpoint it begins anew"
    (run.folder / METRICS).write_text("old")
    (run.folder / "checkpoints").mkdir()
    (run.folder / "checkpoints" / "latest_checkpointed_iteration.txt").write_text("3")
    assert run.prepare()
    (run.folder / METRICS).write_text("later")
    assert [path.read_text() for path in run.metrics_files()] == ["old", "later"]
    run.finish({"seconds": 1})
    assert run.state == "finished"
    with pytest.raises(PlanError, match=re.escape("holds a run with other settings (a.b=1)")):
        _ = planned(tmp_path, overrides=["data.train_files=d{seed}.parquet", "a.b=1"])[0].state


@pytest.mark.parametrize(("contents", "goes_on"), [(["hf_model"], False), (["model", "optimizer", "extra"], True)])
def test_a_run_goes_on_from_its_whole_state_only(tmp_path, contents, goes_on):
    run = planned(tmp_path)[0]
    run.prepare()
    (run.folder / "checkpoints").mkdir()
    (run.folder / "checkpoints" / "latest_checkpointed_iteration.txt").write_text("3")
    noted(run, {"actor_rollout_ref": {"actor": {"checkpoint": {"save_contents": contents}}}})
    assert run.prepare() is goes_on
    assert (run.folder / "checkpoints").exists() is goes_on


def test_a_checkpoint_whose_validation_was_lost_is_validated(tmp_path):
    """verl saves a step, then validates and logs it; having gone on from there it takes the step for done."""

    def attempt(saved, test_freq):
        run = planned(tmp_path, overrides=["trainer.val_before_train=false"], config=["--config-name=x"])[0]
        logged(run, [(step, {}) for step in range(1, 4)])
        (run.folder / "checkpoints").mkdir(exist_ok=True)
        (run.folder / "checkpoints" / "latest_checkpointed_iteration.txt").write_text(str(saved))
        if test_freq is not None:
            noted(run, {"trainer": {"test_freq": test_freq}})
        assert run.attempt[-1] == "--config-name=x"
        return [part for part in run.attempt if part not in run.arguments]

    assert attempt(4, None) == attempt(3, 2) == attempt(4, -1) == []
    assert attempt(4, 2) == ["trainer.val_before_train=true"]


def test_a_run_is_not_gone_on_with_on_other_files(tmp_path):
    reward, model = tmp_path / "reward.py", tmp_path / "model"
    reward.write_text("one")
    model.mkdir()
    (model / "weights").write_text("one")
    overrides = [f"reward.custom_reward_function.path={reward}", f"actor_rollout_ref.model.path={model}"]
    run = planned(tmp_path, overrides=overrides)[0]
    run.prepare()
    assert run.state == "unfinished"
    for changed, named in ((reward, reward), (model / "weights", model)):
        changed.write_text("another")
        with pytest.raises(PlanError, match=re.escape(f"other settings (another {named})")):
            _ = run.state
        changed.write_text("one")
    assert run.state == "unfinished"


def test_a_run_is_not_gone_on_with_on_another_config(tmp_path):
    reward, group = tmp_path / "reward.py", tmp_path / "conf" / "optim"
    group.mkdir(parents=True)
    reward.write_text("one")
    files = {
        tmp_path / "conf" / "mine.yaml": f"defaults: [ppo_trainer, optim: fast, _self_]\nreward: {{path: {reward}}}\n",
        group / "fast.yaml": "lr: 1\n",
        reward: "one",
    }
    for path, text in files.items():
        path.write_text(text)
    config = ["--config-name=mine", f"--config-dir={tmp_path / 'conf'}"]
    run = planned(tmp_path, config=config)[0]
    run.prepare()
    (group / "slow.yaml").write_text("of another run")
    assert run.state == "unfinished"
    for path, text in files.items():
        path.write_text(text + "# changed")
        with pytest.raises(PlanError, match=re.escape(f"another {path}")):
            _ = run.state
        path.write_text(text)


@pytest.mark.parametrize(
    ("first", "then", "message"),
    [
        ({"overrides": ["a.b=1", "a.b=2"]}, {"overrides": ["a.b=2", "a.b=1"]}, "the order of the overrides"),
        ({"cpu": True}, {}, "made on the CPU"),
        ({}, {"cpu": True}, "not made on the CPU"),
    ],
)
def test_a_run_is_not_gone_on_with_otherwise(tmp_path, first, then, message):
    planned(tmp_path, **first)[0].prepare()
    with pytest.raises(PlanError, match=message):
        _ = planned(tmp_path, **then)[0].state


def test_what_a_variant_alone_names_is_watched_too(tmp_path):
    reward = tmp_path / "reward.py"
    reward.write_text("one")
    run = planned(tmp_path, algos=f"hdpo[reward.custom_reward_function.path={reward}]")[0]
    run.prepare()
    reward.write_text("another")
    with pytest.raises(PlanError, match="another"):
        _ = run.state
