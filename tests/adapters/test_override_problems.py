"""Overrides that do not fit verl's config: all of them, each with what was probably meant."""

from __future__ import annotations

import hydra
import pytest
from hydra import initialize_config_dir
from omegaconf import OmegaConf

from verl_hdpo.adapters.composed_config import STOCK_CONFIG, compose
from verl_hdpo.adapters.override_problems import compose_telling_all
from verl_hdpo.runs.migration.keys import KEYS, REMOVED, UNREAD, change_of

ROLLOUT = "actor_rollout_ref.rollout"


def told(*overrides: str, name: str = "ppo_trainer"):
    config, problems = compose_telling_all(name, None, None, overrides)
    return config, [(problem.found, problem.advice) for problem in problems]


@pytest.mark.parametrize(
    "given",
    [[], ["algorithm.adv_estimator=hdpo", "+algorithm.hdpo.w_tool=0.1", "~trainer.balance_batch", "model_engine=dp"]],
)
def test_what_fits_is_composed_as_verl_does_it(given):
    config, problems = told(*given)
    assert not problems and config == compose("ppo_trainer", None, None, given)


@pytest.mark.parametrize(
    "given",
    [
        ["algorithm.adv_estimator=hdpo", "+algorithm.hdpo.w_tool=0.1", "~trainer.logger", "++data.seed=3"],
        ["model_engine=megatron", "actor_rollout_ref.actor.megatron.param_offload=True"],
        ["algorithm@algorithm.rollout_correction=rollout_correction", "hydra.run.dir=here", "trainer.logger=[a,b]"],
        ["+data.apply_chat_template_kwargs={enable_thinking: false}", "trainer.project_name='a b'"],
    ],
)
def test_it_is_composed_as_hydra_does_it(given):
    with initialize_config_dir(str(STOCK_CONFIG), version_base=None):
        expected = hydra.compose("ppo_trainer", given)
    assert compose("ppo_trainer", None, None, given) == expected


MISTAKES = {
    "a letter too few": ("algorithm.adv_estimatr=hdpo", "no such setting", "did you mean algorithm.adv_estimator?"),
    "the wrong group": (
        "rollout.max_assistant_turns=3",
        "no such setting",
        f"{ROLLOUT}.multi_turn.max_assistant_turns?",
    ),
    "a group misspelt": (
        "actor_rollout_reff.rollout.temperature=1",
        "no such setting",
        f"did you mean {ROLLOUT}.temperature?",
    ),
    "nothing like it": ("trainer.frobnicate=1", "no such setting", "+trainer.frobnicate=1 adds it"),
    "below a value": ("data.train_files.x=3", "no such setting", "remove it"),
    "a plus too many": (
        "+algorithm.adv_estimator=hdpo",
        "has algorithm.adv_estimator already",
        "write algorithm.adv_estimator=hdpo",
    ),
    "removed by verl": (
        "data.sampler.class_name=x",
        "not in verl 0.9.1: the V1 trainer samples",
        "trainer.v1.sampler.custom_sampler",
    ),
    "renamed by verl": ("critic.model.fsdp_config.fsdp_size=4", "verl renamed it", "use critic.fsdp.fsdp_size"),
    "a fork's": (f"{ROLLOUT}.n_agent=4", "a setting of another project", f"use {ROLLOUT}.n"),
    "another engine's": (
        "actor_rollout_ref.actor.megatron.tensor_model_parallel_size=2",
        "for its megatron engine only",
        "set model_engine=megatron",
    ),
    "passed on": (
        f"{ROLLOUT}.engine_kwargs.vllm.seed=1",
        "passes it on",
        f"write +{ROLLOUT}.engine_kwargs.vllm.seed=1",
    ),
    "ours without a plus": ("algorithm.hdpo.w_tool=0.2", "does not list", "write +algorithm.hdpo.w_tool=0.2"),
    "a rival's without a plus": ("algorithm.otc.smoothing=1", "does not list", "write +algorithm.otc.smoothing=1"),
    "a reward's without a plus": (
        "reward.reward_kwargs.judge=never",
        "does not list",
        "write +reward.reward_kwargs.judge=never",
    ),
    "nothing to remove": ("~nothing", "there is no nothing to remove", "leave it out"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_told_and_the_rest_is_composed(case):
    override, found, advice = MISTAKES[case]
    config, ((text, told_advice),) = told(override, "trainer.nnodes=3")
    assert found in text and advice in told_advice
    assert config.trainer.nnodes == 3


def test_renamed_settings_keep_their_value():
    config, problems = told("critic.model.fsdp_config.fsdp_size=4", f"{ROLLOUT}.n_agent=5", "max_turns=3")
    assert (config.critic.fsdp.fsdp_size, config.actor_rollout_ref.rollout.n) == (4, 5)
    assert config.actor_rollout_ref.rollout.multi_turn.max_assistant_turns == 3 and len(problems) == 3


def test_a_misspelt_override_is_read_as_it_was_meant():
    config, problems = told("algorithm.adv_estimatr=hdpo", f"{ROLLOUT}.nn=4", "+trainer.nnodes=3")
    assert (config.algorithm.adv_estimator, config.trainer.nnodes) == ("hdpo", 3)
    assert len(problems) == 3


FATAL = {
    "no value": ("algorithm.adv_estimator", "algorithm.adv_estimator: "),
    "brackets": ("algorithm.adv_estimator=[hdpo", "no viable alternative at input '[hdpo'"),
    "an option that is not there": ("model_engine=zz", "Available options in 'model_engine'"),
    "text for a number": ("trainer.nnodes=abc", "trainer.nnodes='abc': verl wants a whole number of 1 or more there"),
    "text for a flag": ("trainer.val_before_train=maybe", "verl wants true or false there"),
    "a reference to nothing": ("trainer.project_name=${nowhere}", "trainer.project_name: Interpolation key 'nowhere'"),
}


@pytest.mark.parametrize("case", FATAL)
def test_what_leaves_nothing_to_look_at_is_told_once(case):
    override, text = FATAL[case]
    config, ((found, advice),) = told(override)
    assert config is None and text in found and advice


def test_settings_of_another_engine_are_composed_with_it():
    engine = "actor_rollout_ref.actor.megatron"
    config, problems = told(f"{engine}.tensor_model_parallel_size=2", f"{engine}.param_offload=True")
    assert config.actor_rollout_ref.actor.megatron.tensor_model_parallel_size == 2 and len(problems) == 2


def test_a_setting_that_verl_reads_as_text_too():
    assert told("algorithm.rollout_correction.rollout_is_threshold=0.5_4.0")[1] == []


def test_a_key_that_is_added_twice():
    config, ((found, advice),) = told("+trainer.mine=1", "+trainer.mine=2")
    assert "+trainer.mine=2: it is added twice" in found and advice == "keep one of them"
    assert config.trainer.mine == 2


def test_a_home_folder_is_written_so_that_the_shell_fills_it_in():
    _, ((found, advice),) = told("data.train_files=~/data/train.parquet")
    assert found.startswith("data.train_files=~/data/train.parquet: ") and "write $HOME in place of ~" in advice


def test_all_that_cannot_be_read_is_told():
    _, problems = told("a b", "c=[", "algorithm.adv_estimator=hdpo")
    assert [found.partition(":")[0] for found, _ in problems] == ["a b", "c=["]


def test_a_config_that_is_not_there():
    config, ((found, _),) = told(name="nothing")
    assert config is None and "Cannot find primary config 'nothing'" in found


CONFIGS = ("ppo_trainer", "ppo_megatron_trainer")


@pytest.fixture(scope="module")
def configs():
    return [compose(name, None, None, []) for name in CONFIGS]


@pytest.mark.parametrize("key", REMOVED)
def test_removed_keys_are_gone_from_this_verl(configs, key):
    if not any(name.startswith(f"{key}.") for name in UNREAD):
        parent, _, name = key.rpartition(".")
        gone = [name not in (OmegaConf.select(config, parent) or {} if parent else config) for config in configs]
        assert any(gone), "still there in every config: the table is out of date"


@pytest.mark.parametrize("key", KEYS)
def test_what_takes_the_place_of_a_key_is_there(configs, key):
    change = KEYS[key]
    target = f"{change.moved or change.instead} ".replace(",", " ").split(" ")[0].lstrip("+")
    open_ended = target.startswith("reward.reward_kwargs")  # what a reward manager takes is for it to say
    parent, _, name = target.partition("=")[0].rpartition(".")
    there = any(name in (OmegaConf.select(config, parent) or {}) for config in configs)
    assert not target or open_ended or there, target


def test_what_stands_beneath_a_key_moves_along():
    assert change_of("critic.model.fsdp_config.param_offload").moved == "critic.fsdp.param_offload"
    assert change_of("reward_model.reward_manager").moved == "reward.reward_manager.name"


def test_a_key_that_never_was_is_not_called_removed():
    assert change_of("data.nothing") is None
