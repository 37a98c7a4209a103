"""Overrides that do not fit verl's config: all of them, each with what was probably meant."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from verl_hdpo.adapters.composed_config import compose
from verl_hdpo.adapters.override_problems import compose_telling_all
from verl_hdpo.adapters.removed_keys import REMOVED, removed

ROLLOUT = "actor_rollout_ref.rollout"


def told(*overrides: str, name: str = "ppo_trainer"):
    config, problems = compose_telling_all(name, None, None, overrides)
    return config, [(problem.found, problem.advice) for problem in problems]


@pytest.mark.parametrize(
    "given", [[], ["algorithm.adv_estimator=hdpo", "+algorithm.hdpo.w_tool=0.1", "~trainer.logger", "model_engine=dp"]]
)
def test_what_fits_is_composed_as_verl_does_it(given):
    config, problems = told(*given)
    assert not problems and config == compose("ppo_trainer", None, None, given)


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
    "removed by verl": ("data.sampler.class_name=x", "no longer has this setting", "trainer.v1.sampler.custom_sampler"),
    "nothing to remove": ("~nothing", "there is no nothing to remove", "leave it out"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_told_and_the_rest_is_composed(case):
    override, found, advice = MISTAKES[case]
    config, ((text, told_advice),) = told(override, "trainer.nnodes=3")
    assert found in text and advice in told_advice
    assert config.trainer.nnodes == 3


def test_a_misspelt_override_is_read_as_it_was_meant():
    config, problems = told("algorithm.adv_estimatr=hdpo", f"{ROLLOUT}.nn=4", "+trainer.nnodes=3")
    assert (config.algorithm.adv_estimator, config.trainer.nnodes) == ("hdpo", 3)
    assert len(problems) == 3


FATAL = {
    "no value": ("algorithm.adv_estimator", "algorithm.adv_estimator: "),
    "brackets": ("algorithm.adv_estimator=[hdpo", "no viable alternative at input '[hdpo'"),
    "an option that is not there": ("model_engine=zz", "Available options in 'model_engine'"),
    "text for a number": ("trainer.nnodes=abc", "trainer.nnodes=abc: a number is wanted there"),
    "text for a flag": ("trainer.val_before_train=maybe", "true or false is wanted there"),
    "a reference to nothing": ("trainer.project_name=${nowhere}", "trainer.project_name: Interpolation key 'nowhere'"),
}


@pytest.mark.parametrize("case", FATAL)
def test_what_leaves_nothing_to_look_at_is_told_once(case):
    override, text = FATAL[case]
    config, ((found, advice),) = told(override)
    assert config is None and text in found and advice


def test_all_that_cannot_be_read_is_told():
    _, problems = told("a b", "c=[", "algorithm.adv_estimator=hdpo")
    assert [found.partition(":")[0] for found, _ in problems] == ["a b", "c=["]


def test_a_config_that_is_not_there():
    config, ((found, _),) = told(name="nothing")
    assert config is None and "Cannot find primary config 'nothing'" in found


@pytest.mark.parametrize("key", REMOVED)
def test_removed_keys_are_gone_from_this_verl_and_what_replaces_them_is_there(key):
    configs = [compose(name, None, None, []) for name in ("ppo_trainer", "ppo_megatron_trainer")]
    parent, _, name = key.rpartition(".")
    gone = [name not in (OmegaConf.select(config, parent) or {}) for config in configs]
    assert any(gone), "still there in every config: the table is out of date"
    instead = REMOVED[key]
    assert not instead or any(OmegaConf.select(config, instead) is not None for config in configs)
    assert removed(f"{key}.below") == instead


def test_a_key_that_never_was_is_not_called_removed():
    assert removed("data.nothing") is None
