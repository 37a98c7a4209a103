"""What a run is refused for, on configs that hydra composes from verl's own files."""

from __future__ import annotations

import logging

import pytest
from composed import FOR_SEPARATE_ASYNC, composed
from verl.utils.config import validate_config

from verl_hdpo.adapters import host_check
from verl_hdpo.adapters.check import check_run, problems
from verl_hdpo.adapters.names import TRAINER_MODES
from verl_hdpo.adapters.problem import AgentLoops
from verl_hdpo.adapters.run_settings import run_settings
from verl_hdpo.settings.algorithms import ALGORITHMS, HDPOSettings
from verl_hdpo.settings.group import SettingsError

RIVALS = [name for name in ALGORITHMS if name != "hdpo"]
RUN = (
    "algorithm.adv_estimator=hdpo",
    "actor_rollout_ref.rollout.n=4",
    "actor_rollout_ref.rollout.agent.default_agent_loop=hdpo_tool_agent",
    "actor_rollout_ref.rollout.multi_turn.function_tool_path=tools.py",
    "actor_rollout_ref.actor.use_dynamic_bsz=true",
    *FOR_SEPARATE_ASYNC,
)
SEPARATE = "trainer.v1.trainer_mode=separate_async"
ENGINES = ("ppo_trainer", "ppo_megatron_trainer")
MANAGER = "reward.reward_manager.name=hdpo"  # ikea wants to know of the format


def refusal(*overrides: str, name: str = "ppo_trainer") -> str:
    with pytest.raises(SettingsError) as error:
        check_run(composed(*RUN, *overrides, name=name))
    return str(error.value)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("mode", TRAINER_MODES)
def test_a_plain_run_passes_on_every_trainer_and_engine(name, mode):
    check_run(composed(*RUN, f"trainer.v1.trainer_mode={mode}", name=name))


@pytest.mark.parametrize("name", ENGINES)
def test_verl_s_own_validation_includes_the_check(name):
    config = composed(*RUN, "actor_rollout_ref.rollout.n=1", name=name)
    with pytest.raises(SettingsError, match=r"rollout\.n=1"):
        validate_config(config=config, use_reference_policy=False, use_critic=False)


OWN_MANAGER = [
    "reward.reward_manager.name=hdpo",
    "actor_rollout_ref.rollout.agent.default_agent_loop=hdpo_tool_agent",
]
OWN_POOL = ["reward.reward_model.enable=true", "reward.reward_model.enable_resource_pool=true"]
COLOCATED_JUDGE = [*OWN_MANAGER, "reward.reward_model.enable=true", "+reward.reward_kwargs.judge=when_undecided"]
JUDGE = ["+reward.reward_kwargs.judge.endpoints=[http://h:1]", "+reward.reward_kwargs.judge.model=m"]
CASES = {
    "one rollout per prompt": (
        ["actor_rollout_ref.rollout.n=1"],
        ["actor_rollout_ref.rollout.n=1", "use 2 or more"],
    ),
    "critic": (["critic.enable=true"], ["critic.enable=true", "remove it"]),
    "colocated reward model": (
        ["reward.reward_model.enable=true"],
        ["colocated reward model", "set reward.reward_model.enable_resource_pool=true", "no verdict on correctness"],
    ),
    "groups filtered before a colocated judge has judged them": (
        [*COLOCATED_JUDGE, "algorithm.filter_groups.enable=true", "algorithm.filter_groups.metric=hdpo_signal"],
        ["filter_groups.enable=true picks groups before", "turn the filter off"],
    ),
    "a judge and nobody to ask": (
        [*OWN_MANAGER, "+reward.reward_kwargs.judge=always"],
        ["reward.reward_kwargs.judge has nobody to ask", "set its endpoints and model"],
    ),
    "a judge and a reward function": (
        [*OWN_MANAGER, *JUDGE, "reward.custom_reward_function.path=mine.py"],
        ["are both set", "remove one of them"],
    ),
    "a judge that sleeps": (
        [*OWN_MANAGER, "+reward.reward_kwargs.judge=always", *OWN_POOL],
        ["free_cache_engine=true puts the judge to sleep", "set it to false"],
    ),
    "a judge that never judges": (
        [*OWN_MANAGER, "+reward.reward_kwargs.judge=never", *OWN_POOL],
        ["no verdict on correctness", "make it the judge with"],
    ),
    "a misspelt judge": (
        [*OWN_MANAGER, *JUDGE, "+reward.reward_kwargs.judge.tiemout=1"],
        ["unknown setting reward.reward_kwargs.judge.tiemout"],
    ),
    "answers that cannot be told from tool output": (
        ["reward.reward_manager.name=hdpo", "actor_rollout_ref.rollout.agent.default_agent_loop=tool_agent"],
        ["cannot tell the model's tokens", "default_agent_loop=hdpo_tool_agent"],
    ),
    "a colocated reward model in the classic trainer": (
        ["trainer.use_v1=false", *COLOCATED_JUDGE],
        ["trainer.use_v1=false", "neither tool calls nor ground truths", "enable_resource_pool=true"],
    ),
    "unknown trainer": (
        ["trainer.v1.trainer_mode=mine"],
        ["trainer.v1.trainer_mode=mine", "use one of sync, colocate_async, separate_async"],
    ),
    "groups filtered by accuracy": (
        ["algorithm.filter_groups.enable=true", "algorithm.filter_groups.metric=acc"],
        ["algorithm.filter_groups.metric=acc drops all-correct groups", "set it to hdpo_signal"],
    ),
    "a metric that nobody reports": (
        ["algorithm.filter_groups.enable=true", "algorithm.filter_groups.metric=hdpo_signal"],
        ["reward manager naive does not report", "set reward.reward_manager.name=hdpo"],
    ),
    "keys that the reward manager does not use": (
        [
            "reward.reward_manager.name=hdpo",
            "actor_rollout_ref.rollout.agent.default_agent_loop=hdpo_tool_agent",
            "+algorithm.hdpo.known_key=valid",
        ],
        ["reports outcomes under acc and outcome_known", "looks under acc and valid"],
    ),
    "qualifying and a single loss": (
        ["+algorithm.hdpo.tool_loss_norm=qualifying", "+algorithm.hdpo.combine=advantage"],
        ["with combine=advantage there is but one loss", "use combine=loss or tool_loss_norm=all"],
    ),
    "qualifying and shuffled": (
        ["+algorithm.hdpo.tool_loss_norm=qualifying", "actor_rollout_ref.actor.shuffle=true"],
        ["actor_rollout_ref.actor.shuffle=true", "use tool_loss_norm=all"],
    ),
    "qualifying and a loss that is not homogeneous": (
        ["+algorithm.hdpo.tool_loss_norm=qualifying", "actor_rollout_ref.actor.policy_loss.loss_mode=kl_cov"],
        ["not exact for the policy loss kl_cov", "use tool_loss_norm=all"],
    ),
    "distillation": (["distillation.enabled=true"], ["distillation.enabled=true", "turn one of them off"]),
    "costs of tools that are not told apart": (
        ["+algorithm.hdpo.tool_costs.search=3", "actor_rollout_ref.rollout.agent.default_agent_loop=tool_agent"],
        ["agent loop tool_agent does not tell which tools were called", "default_agent_loop=hdpo_tool_agent"],
    ),
    "separate_async with a batch of another size": (
        [SEPARATE, "data.train_batch_size=16"],
        ["data.train_batch_size=16, and trainer_mode=separate_async needs", "which is 32"],
    ),
    "separate_async without GPUs to generate on": (
        [SEPARATE, "actor_rollout_ref.rollout.nnodes=0"],
        ["there are none: actor_rollout_ref.rollout.nnodes=0", "set actor_rollout_ref.rollout.nnodes and"],
    ),
    "separate_async without a way for its weights": (
        [SEPARATE, "actor_rollout_ref.rollout.checkpoint_engine.backend=naive"],
        ["checkpoint_engine.backend=naive cannot bring weights", "set it to nccl"],
    ),
    "misspelt setting": (
        ["+algorithm.hdpo.w_tols=0.1"],
        ["unknown setting algorithm.hdpo.w_tols", "did you mean algorithm.hdpo.w_tool?"],
    ),
    "bad value": (["+algorithm.hdpo.w_tool=-1"], ["algorithm.hdpo.w_tool must be a finite number >= 0, found -1"]),
    "a value for the group": (["+algorithm.hdpo=0.15"], ["write for example +algorithm.hdpo.w_tool=0.15"]),
}


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("case", CASES)
def test_refused_with_what_to_do(case, name):
    overrides, parts = CASES[case]
    message = refusal(*overrides, name=name)
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    "overrides",
    [
        [
            "algorithm.filter_groups.enable=true",
            "algorithm.filter_groups.metric=hdpo_signal",
            "reward.reward_manager.name=hdpo",
            "actor_rollout_ref.rollout.agent.default_agent_loop=hdpo_tool_agent",
        ],
        [
            "algorithm.filter_groups.enable=true",
            "algorithm.filter_groups.metric=hdpo_signal",
            "reward.custom_reward_function.path=reports_it.py",
        ],
        [
            "reward.reward_model.enable=true",
            "reward.reward_model.enable_resource_pool=true",
            "reward.custom_reward_function.path=judge.py",
        ],
        [*OWN_MANAGER, *JUDGE],
        COLOCATED_JUDGE,
        [*OWN_MANAGER, "+reward.reward_kwargs.judge=never"],
        [
            *OWN_MANAGER,
            *OWN_POOL,
            "+reward.reward_kwargs.judge=when_undecided",
            "reward.reward_model.rollout.free_cache_engine=false",
        ],
        ["+algorithm.hdpo.tool_loss_norm=qualifying"],
        ["actor_rollout_ref.actor.policy_loss.loss_mode=kl_cov"],
        ["actor_rollout_ref.actor.shuffle=true"],
        ["algorithm.use_kl_in_reward=true"],
        ["actor_rollout_ref.actor.use_kl_loss=true"],
    ],
)
def test_what_lies_next_to_a_refusal_passes(overrides):
    check_run(composed(*RUN, *overrides))


def test_all_problems_are_reported_at_once():
    message = refusal("actor_rollout_ref.rollout.n=1", "critic.enable=true", "trainer.v1.trainer_mode=mine")
    assert message.startswith("HDPO cannot run with this config:\n  - ")
    assert message.count("\n  - ") == 3


def test_another_verl_is_refused(monkeypatch):
    monkeypatch.setattr("verl.__version__", "0.10.0")
    assert "verl 0.10.0 is installed; verl-hdpo supports 0.9.x, and 0.10.0.dev where it fits; pip" in refusal()


@pytest.mark.parametrize("version", ["0.9.0", "0.9.1", "0.9.2.dev0", "0.9.5.post1"])
def test_every_0_9_is_taken(monkeypatch, version):
    monkeypatch.setattr("verl.__version__", version)
    check_run(composed(*RUN))


def test_a_missing_transfer_queue_is_named(monkeypatch):
    monkeypatch.setattr(host_check.importlib.util, "find_spec", lambda name: None)
    assert "pip install 'TransferQueue>=0.1.10'" in refusal()


def test_another_estimator_is_left_alone():
    config = composed("algorithm.adv_estimator=grpo", "trainer.use_v1=false", "actor_rollout_ref.rollout.n=1")
    assert run_settings(config) is None
    assert check_run(config) is None


def test_settings_that_another_estimator_leaves_unused_are_checked_and_warned_of(caplog):
    """One command line for both sides of a comparison is fine; a misspelt observe is not."""
    with caplog.at_level(logging.WARNING, logger="verl_hdpo"):
        check_run(composed("algorithm.adv_estimator=grpo", "+algorithm.hdpo.w_tool=0.1"))
    assert "adv_estimator=grpo makes no use of it; set adv_estimator=hdpo" in caplog.text
    with pytest.raises(SettingsError, match=r"did you mean algorithm\.hdpo\.observe"):
        check_run(composed("algorithm.adv_estimator=grpo", "+algorithm.hdpo.obsrve=true"))
    with pytest.raises(SettingsError, match="must be a group of settings"):
        check_run(composed("algorithm.adv_estimator=grpo", "+algorithm.hdpo=0.15"))


def test_observing_needs_a_place_to_look_but_nothing_of_the_algorithm():
    observe = ("algorithm.adv_estimator=grpo", "+algorithm.hdpo.observe=true")
    config = composed(*observe, "actor_rollout_ref.rollout.n=1", "critic.enable=true")
    assert check_run(config).hdpo == HDPOSettings(observe=True)
    with pytest.raises(SettingsError, match=r"trainer_mode=mine"):
        check_run(composed(*observe, "trainer.v1.trainer_mode=mine"))


@pytest.mark.parametrize("name", ["count_calls", "max_tool_calls", "tool_timeout", "max_images", "max_image_pixels"])
def test_a_setting_that_the_agent_loop_ignores_is_warned_of(name, caplog):
    value = "executed" if name == "count_calls" else 3
    loop = "actor_rollout_ref.rollout.agent.default_agent_loop"
    with caplog.at_level(logging.WARNING, logger="verl_hdpo"):
        check_run(composed(*RUN, f"+algorithm.hdpo.{name}={value}", f"{loop}=hdpo_tool_agent"))
        assert not caplog.messages
        check_run(composed(*RUN, f"+algorithm.hdpo.{name}={value}", f"{loop}=tool_agent"))
    assert caplog.messages[0].startswith(f"algorithm.hdpo.{name} has no effect in agent loop tool_agent")
    assert f"set {loop}=hdpo_tool_agent" in caplog.messages[0]


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_loop_that_calls_no_tools_is_warned_of(name, caplog):
    with caplog.at_level(logging.WARNING, logger="verl_hdpo"):
        check_run(composed(*RUN, f"algorithm.adv_estimator={name}", MANAGER))
        assert not caplog.messages
        loop = "actor_rollout_ref.rollout.agent.default_agent_loop=single_turn_agent"
        check_run(composed(*RUN, f"algorithm.adv_estimator={name}", MANAGER, loop))
    assert "single_turn_agent, verl's default, calls no tools: T is 0" in caplog.text


NO_CALLS = {
    "verl's default loop": (["actor_rollout_ref.rollout.agent.default_agent_loop=single_turn_agent"], "calls no tools"),
    "no tools": (["actor_rollout_ref.rollout.multi_turn.function_tool_path=null"], "no tools are configured"),
    "one turn": (["actor_rollout_ref.rollout.multi_turn.max_assistant_turns=1"], "ends with the model's first turn"),
    "no calls in a turn": (["actor_rollout_ref.rollout.multi_turn.max_parallel_calls=0"], "no tool call is run"),
    "no calls at all": (["+algorithm.hdpo.max_tool_calls=0"], "no tool call is run"),
}


@pytest.mark.parametrize("case", NO_CALLS)
def test_a_run_that_makes_no_tool_calls_is_warned_of(case, caplog):
    overrides, text = NO_CALLS[case]
    with caplog.at_level(logging.WARNING, logger="verl_hdpo"):
        check_run(composed(*RUN, *overrides))
    assert [text in message for message in caplog.messages] == [True]


def test_a_loop_of_the_owner_s_may_have_tools_and_turns_of_its_own(caplog):
    with caplog.at_level(logging.WARNING, logger="verl_hdpo"):
        loop = "actor_rollout_ref.rollout.agent.default_agent_loop=mine"
        check_run(composed(*RUN, loop, "actor_rollout_ref.rollout.multi_turn.function_tool_path=null"))
    assert not caplog.messages


def test_what_the_data_say_of_agent_loops_is_what_counts():
    """A default that no row uses is no reason to refuse a run, and advice to set it would do nothing."""
    config = composed(*RUN, MANAGER, "actor_rollout_ref.rollout.agent.default_agent_loop=tool_agent")
    run = run_settings(config)
    assert [problem.loop for problem in problems(config, run)] == ["tool_agent"]
    named = AgentLoops(("hdpo_tool_agent",), ("hdpo_tool_agent",), "change the column")
    assert not list(problems(config, run, named))
    named = AgentLoops(("tool_agent", "mine"), ("mine",), "change the column")
    assert [problem.advice for problem in problems(config, run, named)] == ["change the column"]


@pytest.mark.parametrize("name", RIVALS)
@pytest.mark.parametrize("mode", TRAINER_MODES)
def test_every_rival_passes_on_every_trainer(name, mode, caplog):
    with caplog.at_level(logging.WARNING, logger="verl_hdpo"):
        check_run(composed(*RUN, f"algorithm.adv_estimator={name}", MANAGER, f"trainer.v1.trainer_mode={mode}"))
    assert not caplog.messages


@pytest.mark.parametrize("name", RIVALS)
def test_a_rival_is_refused_where_it_cannot_act(name):
    message = refusal(
        f"algorithm.adv_estimator={name}",
        MANAGER,
        "actor_rollout_ref.rollout.n=1",
        "critic.enable=true",
        "trainer.v1.trainer_mode=mine",
        "distillation.enabled=true",
        "algorithm.filter_groups.enable=true",
        "algorithm.filter_groups.metric=hdpo_signal",
    )
    assert message.startswith(f"algorithm.adv_estimator={name} cannot run with this config:")
    assert message.count("\n  - ") == 5
    for part in (f"{name} has no critic", "use 2 or more", "turn the filter off", f"policy loss that {name} acts"):
        assert part in message


def test_ikea_needs_to_be_told_of_the_format():
    ikea, naive = "algorithm.adv_estimator=ikea", "reward.reward_manager.name=naive"
    assert "naive reports nothing" in " ".join(refusal(ikea, naive).split())
    for enough in ("reward.reward_manager.name=hdpo", "+algorithm.ikea.format_reward=null"):
        check_run(composed(*RUN, ikea, naive, enough))
    check_run(composed(*RUN, ikea, naive, "reward.custom_reward_function.path=reward.py"))


@pytest.mark.parametrize("name", RIVALS)
def test_kl_in_the_reward_needs_an_estimator_that_looks_at_the_reward(name):
    kl = ("algorithm.use_kl_in_reward=true", f"algorithm.adv_estimator={name}")
    if ALGORITHMS[name].uses_reward:
        check_run(composed(*RUN, *kl))
    else:
        message = refusal(*kl)
        assert f"{name} makes a reward of its own" in message
        assert "use actor_rollout_ref.actor.use_kl_loss=true instead" in message


def test_settings_of_a_rival_are_checked_whether_it_is_chosen_or_not(caplog):
    own = "+algorithm.grpo_penalty"
    config = composed(*RUN, "algorithm.adv_estimator=grpo_penalty", f"{own}.a=0.5", f"{own}.form=linear")
    own_settings = run_settings(config).algorithm
    assert (own_settings.a, own_settings.form) == (0.5, "linear")
    for chosen in ("grpo_penalty", "hdpo", "grpo"):
        with pytest.raises(SettingsError, match=r"did you mean algorithm\.grpo_penalty\.gated"):
            check_run(composed(*RUN, f"algorithm.adv_estimator={chosen}", f"{own}.gate=true"))
    with caplog.at_level(logging.WARNING, logger="verl_hdpo"):
        check_run(composed(*RUN, f"{own}.a=0.5"))
    assert "algorithm.grpo_penalty is set, but algorithm.adv_estimator=hdpo makes no use of it" in caplog.text


def test_how_outcomes_are_read_is_said_under_hdpo_for_every_rival(caplog):
    """One word differs between two runs of a comparison; whatever else is set stays where it is."""
    shared = ("+algorithm.hdpo.correct_key=score", "+algorithm.hdpo.w_tool=0.3", "+algorithm.hdpo.norm_by_std=false")
    shared += ("reward.custom_reward_function.path=reward.py",)
    with caplog.at_level(logging.WARNING, logger="verl_hdpo"):
        for name in ALGORITHMS:
            config = composed(*RUN, *shared, f"algorithm.adv_estimator={name}")
            assert check_run(config).hdpo == HDPOSettings(correct_key="score", w_tool=0.3, norm_by_std=False)
    assert not caplog.messages


def test_verl_s_own_estimators_have_no_settings_here():
    assert run_settings(composed("algorithm.adv_estimator=grpo", "+algorithm.hdpo.observe=true")).algorithm is None
    assert run_settings(composed("algorithm.adv_estimator=gdpo")) is None
