"""What verl's workers trip over after the start, told before; each refusal is verl's own."""

from __future__ import annotations

import pytest
from run_findings import ROLLOUT, findings, marked, only

from verl_hdpo.runs.migration.values import VALUES

ACTOR = "actor_rollout_ref.actor"
REMOVE_PADDING = {"actor_rollout_ref.model.use_remove_padding": "true"}
FIXED = {f"{ACTOR}.use_dynamic_bsz": "false", f"{ACTOR}.ppo_mini_batch_size": 8}

REFUSED = {
    "a rollout mode that verl removed": ({f"{ROLLOUT}.mode": "sync"}, f"{ROLLOUT}: Rollout mode 'sync' has been"),
    "a rollout mode that never was": ({f"{ROLLOUT}.mode": "batch"}, f"{ROLLOUT}.mode=batch"),
    "experts over too few GPUs": ({f"{ROLLOUT}.expert_parallel_size": 8}, "expert_parallel_size must be equal"),
    "a pipeline in vLLM": ({f"{ROLLOUT}.pipeline_model_parallel_size": 2}, "pipeline_model_parallel_size > 1"),
    "a KL estimate of none": (
        {f"{ACTOR}.use_kl_loss": "true", f"{ACTOR}.kl_loss_type": "k4"},
        f"{ACTOR}.kl_loss_type=k4",
    ),
    "a KL estimate of none in the reward": (
        {"algorithm.use_kl_in_reward": "true", "algorithm.kl_penalty": "full"},
        "algorithm.kl_penalty=full",
    ),
    "a load format of old": ({f"{ROLLOUT}.load_format": "dummy_dtensor"}, f"{ROLLOUT}.load_format=dummy_dtensor"),
    "more tensor parallelism than GPUs": ({f"{ROLLOUT}.tensor_model_parallel_size": 16}, "do not divide the 8"),
    "tensor parallelism that does not divide": ({f"{ROLLOUT}.tensor_model_parallel_size": 3}, "do not divide the 8"),
    "sequences over too few GPUs": (
        {f"{ACTOR}.ulysses_sequence_parallel_size": 3, **REMOVE_PADDING},
        f"{ACTOR}.ulysses_sequence_parallel_size=3",
    ),
    "the engine's own sequence parallelism": (
        {f"{ACTOR}.fsdp_config.ulysses_sequence_parallel_size": 16, **REMOVE_PADDING},
        f"{ACTOR}.fsdp_config.ulysses_sequence_parallel_size=16",
    ),
    "a way to go on of none": ({"trainer.resume_mode": "resume"}, "trainer.resume_mode=resume: verl has no such"),
    "a correction of none": (
        {"algorithm.rollout_correction.rollout_is": "tokens", f"{ROLLOUT}.calculate_log_probs": "true"},
        "rollout_is=tokens: verl has no such choice",
    ),
    "a validation without a rollout": ({f"{ROLLOUT}.val_kwargs.n": 0}, "a validation has no rollout"),
    "no checkpoint to go on from": ({"trainer.resume_mode": "resume_path"}, "trainer.resume_from_path is not set"),
    "a folder of no step": (
        {"trainer.resume_mode": "resume_path", "trainer.resume_from_path": "."},
        "verl wants global_step_ in its name",
    ),
    "memory in percent": ({f"{ROLLOUT}.gpu_memory_utilization": 90}, "gpu_memory_utilization=90: the rollout engine"),
    "no token to choose": ({f"{ROLLOUT}.top_p": 0}, f"{ROLLOUT}.top_p=0: the rollout engine"),
    "a validation of no token": ({f"{ROLLOUT}.val_kwargs.top_p": 1.5}, f"{ROLLOUT}.val_kwargs.top_p=1.5"),
    "a number of tokens below none": ({f"{ROLLOUT}.top_k": -2}, f"{ROLLOUT}.top_k=-2: the rollout engine"),
    "a temperature below 0": ({f"{ROLLOUT}.temperature": -1}, f"{ROLLOUT}.temperature=-1"),
    "no agent loop worker": ({f"{ROLLOUT}.agent.num_workers": 0}, "agent.num_workers=0"),
    "no reward worker": ({"reward.num_workers": 0}, "reward.num_workers=0"),
    "a mini-batch that cannot be shared out": (
        {f"{ACTOR}.ppo_mini_batch_size": 3, f"{ROLLOUT}.n": 3},
        "cannot be shared out",
    ),
    "a micro-batch that does not divide": (
        {**FIXED, f"{ACTOR}.ppo_micro_batch_size_per_gpu": 3, f"{ROLLOUT}.log_prob_micro_batch_size_per_gpu": 3},
        "ppo_micro_batch_size_per_gpu=3 does not divide",
    ),
    "the older micro-batch": (
        {
            **FIXED,
            f"{ACTOR}.ppo_micro_batch_size": 8,
            f"{ROLLOUT}.log_prob_micro_batch_size_per_gpu": 4,
        },
        f"{ACTOR}.ppo_micro_batch_size=8",
    ),
    "one dynamic batch of two": ({f"{ROLLOUT}.log_prob_use_dynamic_bsz": "false"}, "log_prob_use_dynamic_bsz=False"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_run_that_verls_workers_end_is_told_once(run, case):
    changes, text = REFUSED[case]
    assert text in only(marked("FAIL", run | changes)).found


@pytest.mark.parametrize(
    "changes",
    [
        {f"{ROLLOUT}.tensor_model_parallel_size": 8},
        {f"{ACTOR}.ulysses_sequence_parallel_size": 4, **REMOVE_PADDING},
        {f"{ROLLOUT}.load_format": "safetensors"},
        {f"{ACTOR}.kl_loss_type": "k4"},  # which is not used
        {f"{ACTOR}.use_kl_loss": "true", f"{ACTOR}.kl_loss_type": "k3+"},
        {"trainer.nnodes": 2, f"{ROLLOUT}.tensor_model_parallel_size": 16},
    ],
)
def test_what_verl_takes_is_taken(run, changes):
    assert not marked("FAIL", run | changes)


def test_a_part_of_a_checkpoint_that_verl_passes_over_is_warned_of(run):
    run[f"{ACTOR}.checkpoint.save_contents"] = "[modle,optimizer]"
    assert (
        "names modle, which verl passes over"
        in only([found for found in findings(run) if found.subject == "verl's workers"]).found
    )


def test_a_warmup_of_no_critic_is_warned_of(run):
    assert "critic_warmup=20" in only(marked("warn", run | {"trainer.critic_warmup": 20})).found


def test_a_config_class_that_gives_no_reason_is_named(run):
    found = only(marked("FAIL", run | {f"{ACTOR}.optim.lr_scheduler_type": "linear"})).found
    assert found.startswith(f"{ACTOR}.optim: ") and "FSDPOptimizerConfig refuses a value" in found


def test_a_critic_s_model_that_is_not_there_is_named(run):
    run |= {"algorithm.adv_estimator": "gae", "+algorithm.hdpo.w_tool": None}
    found = only(marked("FAIL", run))
    assert found.found.startswith("critic.model.path=") and "does not exist" in found.found


def test_the_load_formats_that_are_gone_are_gone_from_vllm():
    loaders = pytest.importorskip("vllm.model_executor.model_loader")
    assert not set(VALUES[f"{ROLLOUT}.load_format"].gone) & set(loaders._LOAD_FORMAT_TO_MODEL_LOADER)


def test_the_names_of_the_table_are_those_of_verls_registries():
    from verl.experimental.reward_loop.reward_manager.registry import REWARD_MANAGER
    from verl.workers.rollout.replica import RolloutReplicaRegistry

    assert set(VALUES["reward.reward_manager.name"].known) == set(REWARD_MANAGER)
    assert set(VALUES[f"{ROLLOUT}.name"].known) == set(RolloutReplicaRegistry._registry)
