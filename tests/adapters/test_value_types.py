"""Values of another kind than verl's config has in their place, and settings that it lacks, told with what to write."""

from __future__ import annotations

import pytest
import yaml

from verl_hdpo.adapters.override_problems import compose_telling_all

N = "actor_rollout_ref.rollout.n"
MULTI_TURN = "actor_rollout_ref.rollout.multi_turn"

WRONG = {
    "a number in quotes": (f"{N}='8'", f"{N}='8': verl wants a whole number", f"write {N}=8, without quotes"),
    "a fraction": (f"{N}=4.0", f"{N}=4.0: verl wants a whole number", f"write {N}=4"),
    "a list": (f"{N}=[4]", f"{N}=[4]: verl wants a whole number", "write a number"),
    "null": (f"{N}=null", f"{N}=null: verl wants a whole number", "write a number"),
    "none of them": ("trainer.n_gpus_per_node=0", "=0: verl wants a whole number of 1 or more", "write a number"),
    "an environment variable": (f"{N}=${{oc.env:NOT_SET,4}}", f"{N}='4'", "let the shell fill the variable in"),
    "a batch in words": ("data.train_batch_size=two", "data.train_batch_size='two'", "write a number"),
    "a rate in quotes": (
        "actor_rollout_ref.actor.optim.lr='1e-6'",
        "optim.lr='1e-6': verl wants a number",
        "optim.lr=1e-6, without quotes",
    ),
    "yes": ("trainer.val_before_train=yes", "verl wants true or false", "write trainer.val_before_train=true or"),
    "a switch for a group": ("algorithm.filter_groups=True", "a group of settings", "algorithm.filter_groups.enable"),
    "a path for a group": (
        "actor_rollout_ref.model=Qwen/Qwen3-8B",
        "actor_rollout_ref.model='Qwen/Qwen3-8B': verl has a group of settings there",
        "such as actor_rollout_ref.model.path",
    ),
    "a setting taken out": ("~algorithm.adv_estimator", "verl reads algorithm.adv_estimator", "leave it out"),
    "a count taken out": (f"~{N}", f"~{N}: verl reads {N}, and the config has none", "leave it out"),
    "a group taken out": (f"~{MULTI_TURN}", f"verl reads {MULTI_TURN}", "leave it out"),
    "null for a group": ("trainer=null", "verl reads trainer, and the config has null there", "leave it out"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_value_is_told_once(case):
    override, text, advice = WRONG[case]
    config, problems = compose_telling_all("ppo_trainer", None, None, [override])
    assert config is None and len(problems) == 1
    assert text in problems[0].found and advice in problems[0].advice


@pytest.mark.parametrize(
    "override",
    [
        "algorithm.rollout_correction.rollout_is_threshold=0.5_4.0",
        "data.custom_cls=null",
        "trainer.total_training_steps=null",
        f"{N}=${{trainer.nnodes}}",
        "trainer.default_local_dir=out",
        "~trainer.default_local_dir",
        "actor_rollout_ref.actor.optim.lr=1",
    ],
)
def test_what_verl_takes(override):
    config, problems = compose_telling_all("ppo_trainer", None, None, [override])
    assert config is not None and not problems


def test_a_config_of_ones_own_without_verls(tmp_path):
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"algorithm": {"adv_estimator": "hdpo"}, "data": {}}))
    config, problems = compose_telling_all("mine", str(tmp_path), None, [])
    assert config is None
    told = [problem.found for problem in problems]
    assert "trainer: verl reads trainer, and the config has none" in told
    assert not any(text.startswith("trainer.") for text in told), "the group is told, and not all that is in it"
    assert {problem.advice for problem in problems} == {"begin your config with defaults: [ppo_trainer, _self_]"}


def test_settings_of_hydra_itself_are_its_own_matter():
    given = ["hydra.run.dir=out", "hydra/job_logging=disabled", "hydra/hydra_logging=none"]
    config, problems = compose_telling_all("ppo_trainer", None, None, given)
    assert config is not None and not problems


OWN = "defaults: [ppo_trainer, _self_]\nhydra: {searchpath: ['pkg://verl.trainer.config']}\n"
FILES = {
    "a switch for a group": (
        f"{OWN}algorithm: {{filter_groups: true}}",
        "filter_groups=True: verl has a group",
        "enable",
    ),
    "a number in quotes": (f"{OWN}actor_rollout_ref: {{rollout: {{n: '8'}}}}", f"{N}='8'", "without quotes"),
    "tabs": ("algorithm:\n\tadv_estimator: hdpo\n", "found character", "mend that file: it is not valid YAML"),
    "a key given twice": ("a: 1\na: 2\n", "found duplicate key a", "mend that file"),
    "UTF-16": ("a: 1".encode("utf-16"), "is not UTF-8 text: byte 0xff at 0", "save it as UTF-8"),
    "Latin-1": ("# café\na: 1".encode("latin-1"), "is not UTF-8 text: byte 0xe9", "save it as UTF-8"),
    "a search path of a checkout": (
        "defaults: [ppo_trainer, _self_]\nhydra: {searchpath: ['file://verl/trainer/config']}\n",
        "Could not load 'ppo_trainer'",
        "pkg://verl.trainer.config",
    ),
}


@pytest.mark.filterwarnings("ignore:provider=hydra.searchpath")
@pytest.mark.parametrize("case", FILES)
def test_a_config_of_ones_own_that_cannot_be_read(tmp_path, case):
    content, text, advice = FILES[case]
    (tmp_path / "a folder").mkdir()
    (tmp_path / "a folder" / "mine.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    config, problems = compose_telling_all("mine", str(tmp_path / "a folder"), None, [])
    assert config is None and len(problems) == 1
    assert text in problems[0].found and advice in problems[0].advice


def test_line_ends_of_windows_are_none_of_yaml_s(tmp_path):
    (tmp_path / "mine.yaml").write_text(OWN.replace("\n", "\r\n"), newline="")
    config, problems = compose_telling_all("mine", str(tmp_path), None, [])
    assert config is not None and not problems
