"""``verl-hdpo migrate``: what it prints is a command that verl composes, and each change has its reason."""

from __future__ import annotations

import shlex

import pytest
from click.testing import CliRunner

from verl_hdpo.adapters.composed_config import compose
from verl_hdpo.cli.main import main
from verl_hdpo.runs.migration.estimators import CHANGED, SAME
from verl_hdpo.runs.migration.launchers import LAUNCHER, LAUNCHERS
from verl_hdpo.runs.migration.old_command import start_of

TOOLS = "actor_rollout_ref.rollout.multi_turn.tool_config_path=tools.yaml"


def migrated(*words: str, start: tuple[str, ...] = ("python3",)) -> tuple[str, str, list[str]]:
    """What changed, what is left, and the new overrides, which ``start`` must precede."""
    result = CliRunner().invoke(main, ["migrate", "--", *words])
    assert result.exit_code == 0, result.output
    comments = "\n".join(line[1:].strip() for line in result.output.splitlines() if line.startswith("#"))
    command = shlex.split(result.output.replace("\\\n", ""), comments=True)
    assert command[: len(start) + 2] == [*start, "-m", LAUNCHER]
    changed, _, left = comments.partition("Left to you:")
    return changed, left, command[len(start) + 2 :]


def test_a_fully_asynchronous_run():
    changed, left, overrides = migrated(
        *["python3", "-m", "verl.experimental.fully_async_policy.fully_async_main"],
        *["--config-path=config", "--config-name=fully_async_ppo_trainer.yaml"],
        *["algorithm.adv_estimator=rloo", "data.train_batch_size=0", "data.gen_batch_size=1"],
        *["rollout.nnodes=2", "rollout.n_gpus_per_node=4", "rollout.total_rollout_steps=512"],
        *["actor_rollout_ref.actor.ppo_mini_batch_size=32", "async_training.trigger_parameter_sync_step=4"],
        *["async_training.require_batches=2", "async_training.staleness_threshold=0.5", TOOLS],
    )
    config = compose("ppo_trainer", None, None, overrides)
    assert config.trainer.v1.trainer_mode == "separate_async" and config.algorithm.adv_estimator == "hdpo"
    assert (config.actor_rollout_ref.rollout.nnodes, config.actor_rollout_ref.rollout.n_gpus_per_node) == (2, 4)
    # Two mini-batches at a time, four times between updates of the rollout engine, 32 prompts each.
    assert config.trainer.v1.separate_async.parameter_sync_step == 8 and config.data.train_batch_size == 8 * 32
    assert config.actor_rollout_ref.rollout.checkpoint_engine.backend == "nccl"
    assert config.data.gen_batch_size is None
    assert CHANGED["rloo"] in changed
    assert "async_training.staleness_threshold=0.5: set trainer.v1.sampler.max_off_policy_threshold" in left


def test_a_run_that_is_one_step_off():
    *_, overrides = migrated(
        *["python3", "-m", "verl.experimental.one_step_off_policy.main_ppo", "rollout.nnodes=1", TOOLS],
        *["data.train_batch_size=64", "actor_rollout_ref.actor.ppo_mini_batch_size=16"],
    )
    config = compose("ppo_trainer", None, None, overrides)
    assert config.trainer.v1.separate_async.parameter_sync_step == 4 and config.data.train_batch_size == 64


def test_dapo():
    changed, left, overrides = migrated(
        *["python3", "-m", "recipe.dapo.main_dapo", "algorithm.adv_estimator=grpo", TOOLS],
        *["+reward_model.overlong_buffer.enable=True", "reward_model.reward_manager=dapo"],
        *["custom_reward_function.path=reward.py", "algorithm.filter_groups.metric=acc"],
    )
    config = compose("ppo_trainer", None, None, overrides)
    assert config.algorithm.filter_groups.enable and config.algorithm.filter_groups.metric == "hdpo_signal"
    assert config.reward.reward_manager.name == "dapo" and config.reward.custom_reward_function.path == "reward.py"
    assert config.reward.reward_kwargs.overlong_buffer_cfg.enable
    assert "V1 filters groups itself" in changed and "hdpo_signal is reported by" in left


def test_keys_are_moved_dropped_or_left_to_the_owner_each_with_its_reason():
    changed, left, overrides = migrated(
        *["algorithm.adv_estimator=grpo", "trainer.use_legacy_worker_impl=disable", TOOLS],
        *["critic.fsdp.param_offload=True", "trainer.critic_warmup=5"],
        *["data.sampler.class_path=pkg://mine", "trainer.mine=1"],
        *["actor_rollout_ref.actor.fsdp_config.grad_offload=True", "actor_rollout_ref.rollout.name=sglang"],
    )
    config = compose("ppo_trainer", None, None, overrides)
    assert not config.critic.fsdp.param_offload and config.actor_rollout_ref.rollout.name == "sglang"
    assert "critic.fsdp.param_offload=True trainer.critic_warmup=5 -> (nothing)\nHDPO has no critic" in changed
    assert "trainer.use_legacy_worker_impl=disable -> (nothing)" in changed
    assert "verl offloads gradients with param_offload" in changed
    assert "data.sampler.class_path=pkg://mine: set trainer.v1.sampler.custom_sampler" in left
    assert "trainer.mine=1: remove it" in left


def test_what_is_as_it_must_be_stays():
    given = ["algorithm.adv_estimator=grpo_penalty", "actor_rollout_ref.rollout.name=vllm", TOOLS, "data.seed=3"]
    given.append("actor_rollout_ref.rollout.agent.default_agent_loop=my_loop")
    changed, left, overrides = migrated(*given)
    assert overrides == given and not changed and "check the result" in left


def test_a_run_without_tools_is_told_so_and_a_rollout_engine_is_named():
    _, left, overrides = migrated("algorithm.adv_estimator=grpo")
    assert "no tools: name them by" in left and "actor_rollout_ref.rollout.name=vllm" in overrides


@pytest.mark.parametrize("name", LAUNCHERS)
def test_every_launcher_of_the_table_is_taken(name):
    changed, *_ = migrated("python3", "-m", f"{name}.main", TOOLS)
    assert f"{name}.main -> {LAUNCHER}" in changed


def test_a_trainer_of_its_own_is_refused():
    result = CliRunner().invoke(main, ["migrate", "--", "python3", "-m", "recipe.prime.main_prime", "a=1"])
    assert result.exit_code == 2 and "recipe.prime.main_prime is a trainer of its own" in result.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give the old command"),
        (["--", ""], "give the old command"),
        (["--", "bash", "-x", "run_old.sh"], "run_old.sh is a script; give the python command in it"),
        (["A=1", "./run_old.sh", "a=1"], "./run_old.sh is a script"),
        (["--", "sbatch", "job", "a=1"], "job is a script"),
        (["--", "bash", "wrap.sh", "python3", "-m", LAUNCHER], "wrap.sh is a script"),
    ],
)
def test_what_is_no_python_command_is_refused(words, said):
    result = CliRunner().invoke(main, ["migrate", *words])
    assert result.exit_code == 2 and "Usage:" in result.output and said in result.output


def test_words_that_are_no_settings_are_left_to_the_owner_in_plain_words():
    _, left, overrides = migrated("$", "python3", "-m", LAUNCHER, "tail", "data.seed=[1,", "reward.a=run.sh", TOOLS)
    for word in ("$", "tail", "data.seed=[1,"):
        assert f"{word}: left out: it is no setting" in left and word not in overrides
    assert "reward.a=run.sh: remove it" in left and "EOF" not in left and "mismatched" not in left


@pytest.mark.parametrize(
    "start",
    [
        ("A=1", "B=two words", "python"),
        ("env", "A=1", "/opt/my env/bin/python3.11", "-u"),
        ("torchrun", "--nproc_per_node=1"),
        ("ray", "job", "submit", "--working-dir", ".", "--", "python3"),
    ],
)
def test_variables_and_the_interpreter_stay(start):
    migrated(*start, "-m", LAUNCHER, TOOLS, start=start)


def test_options_of_the_interpreter_stay_where_the_path_of_the_launcher_is_given():
    migrated("python", "-u", "/opt/verl/verl/trainer/main_ppo.py", TOOLS, start=("python", "-u"))


def test_a_value_of_a_variable_is_quoted_and_its_name_is_not():
    assert start_of(["A=b c", "python", "-m", LAUNCHER], LAUNCHER) == ("A='b c' python", [])


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ([], True),
        (["actor_rollout_ref.rollout.n=1"], True),
        (["actor_rollout_ref.rollout.n=8"], False),
        (["+actor_rollout_ref.rollout.n_agent=5"], False),
        (["actor_rollout_ref.rollout.n=${data.val_batch_size}", "data.val_batch_size=4"], False),
        (["actor_rollout_ref.rollout.n=8", "data.seed=text"], False),  # cannot be composed
    ],
)
def test_several_rollouts_of_a_prompt_are_asked_for_where_there_is_one(given, asked):
    _, left, _ = migrated(*given, TOOLS)
    assert ("set actor_rollout_ref.rollout.n to 2 or more" in left) == asked


@pytest.mark.parametrize(
    ("given", "now"),
    [
        ("actor_rollout_ref.rollout.mode=sync", "actor_rollout_ref.rollout.mode=async"),
        ("actor_rollout_ref.rollout.name=hf", "actor_rollout_ref.rollout.name=vllm"),
        ("actor_rollout_ref.rollout.load_format=dummy_dtensor", "actor_rollout_ref.rollout.load_format=dummy"),
        ("reward_model.reward_manager=prime", "reward.reward_manager.name=naive"),
        ("algorithm.hdpo.w_tool=0.2", "+algorithm.hdpo.w_tool=0.2"),
        (
            "actor_rollout_ref.actor.ppo_micro_batch_size=64",
            "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=8",
        ),
    ],
)
def test_a_value_that_verl_has_no_more_is_replaced(given, now):
    changed, _, overrides = migrated(given, TOOLS)
    assert now in overrides and given not in overrides and f"-> {now}" in changed


@pytest.mark.parametrize("name", ["batch", "thread", "wikiRL"])
def test_a_reward_manager_that_verl_does_not_have_is_left_to_the_owner(name):
    _, left, overrides = migrated(f"reward_model.reward_manager={name}", TOOLS)
    assert f"reward.reward_manager.name={name}" in overrides and f"reward.reward_manager.name={name}: " in left
    own = "reward_model.reward_loop_source=importlib"
    _, left, _ = migrated(f"reward_model.reward_manager={name}", own, TOOLS)
    assert f"name={name}" not in left


def test_an_estimator_that_nobody_has_is_told():
    changed, _, overrides = migrated("algorithm.adv_estimator=grpoo", TOOLS)
    assert "grpoo is no estimator of verl; did you mean grpo?" in changed
    assert "algorithm.adv_estimator=hdpo" in overrides and "the one word" not in changed
    changed, _, overrides = migrated("algorithm.adv_estimator=mine", TOOLS)
    assert "mine is no estimator of verl; known: " in changed and "algorithm.adv_estimator=hdpo" in overrides


def test_every_estimator_of_verls_is_in_the_table():
    from verl.trainer.ppo.core_algos import AdvantageEstimator

    assert {member.value for member in AdvantageEstimator} == {*CHANGED, *SAME}
