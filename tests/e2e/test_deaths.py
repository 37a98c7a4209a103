"""Parts of a run killed outright in mid-step: it goes on where verl can, and ends with a checkpoint where it cannot."""

import contextlib
import math
import time

import psutil
import pytest
from run_overrides import OWN_PARTS
from run_processes import processes_of_runs

BASE = [
    *OWN_PARTS,
    "actor_rollout_ref.actor.ppo_mini_batch_size=4",
    "algorithm.rollout_correction.rollout_is=token",
    "trainer.save_freq=1",
    "trainer.resume_mode=auto",
]
KL_AND_FILTER = [
    "algorithm.use_kl_in_reward=True",
    "algorithm.kl_ctrl.kl_coef=0.01",
    "algorithm.filter_groups.enable=True",
    "algorithm.filter_groups.metric=hdpo_signal",
]
# Two updates per weight sync: rollouts are stale, partial ones are resumed, importance weights correct for both.
STALE = [
    "trainer.v1.trainer_mode=separate_async",
    "actor_rollout_ref.hybrid_engine=False",
    "actor_rollout_ref.rollout.nnodes=1",
    "actor_rollout_ref.rollout.n_gpus_per_node=1",
    "++ray_kwargs.ray_init.num_gpus=3",
    "actor_rollout_ref.rollout.checkpoint_engine.backend=shm",
    "actor_rollout_ref.rollout.checkpoint_engine.custom_backend_module=verl_hdpo.cpu.checkpoint_engine",
    "trainer.v1.separate_async.parameter_sync_step=2",
]
# Each as Ray or vLLM names its processes, and the trainer mode that they die in.
FATAL = {
    "training workers": ("ray::WorkerDict", ["trainer.v1.trainer_mode=sync"]),
    "agent-loop workers": ("ray::AgentLoopWorkerTQ", ["trainer.v1.trainer_mode=colocate_async", *KL_AND_FILTER]),
    "vLLM servers": ("VLLM::EngineCore", STALE),
}
SECONDS_TO_END = 600


class Killer:
    """Kills processes of a kind, half a second into the step that follows: ``some`` of them, by default all."""

    def __init__(self, name, some=None):
        self.name, self.some, self.at = name, some, None

    def __call__(self):
        time.sleep(0.5)
        processes = processes_of_runs(self.name)[: self.some]
        assert processes, f"{self.name} had ended before it was to be killed"
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):  # Ray may be quicker with the others
                process.kill()
        self.at = time.monotonic()


def check(metrics, overrides):
    assert math.isfinite(metrics["actor/grad_norm"])
    assert math.isfinite(metrics["hdpo/tool/pg_loss"])
    assert metrics["hdpo/ledger_rate"] == 1
    assert metrics["hdpo/unknown_rate"] == 0
    assert metrics["hdpo/tool_calls/executed"] > 0
    if "algorithm.use_kl_in_reward=True" in overrides:
        assert math.isfinite(metrics["actor/reward_kl_penalty"])
    if "algorithm.filter_groups.enable=True" in overrides:
        assert metrics["hdpo/tool/groups_with_signal"] > 0


@pytest.mark.timeout(3600)
def test_one_training_goes_through_four_deaths_and_trains_no_step_twice(train):
    """On two FSDP2 ranks. Three deaths end a run, whose checkpoint the next one resumes; the fourth verl gets over.

    Each death is in another trainer mode; a checkpoint serves all of them.
    """
    done = 0
    for part, (name, mode) in FATAL.items():
        killer = Killer(name)
        run = train(
            part.replace(" ", "-"),
            *BASE,
            *mode,
            f"trainer.total_training_steps={done + 50}",  # far off, however fast its steps
            world_size=2,
            after_step={done + 1: killer},
        )
        assert killer.at is not None, f"{part}: the run did not get to step {done + 1}, only to {sorted(run.steps)}"
        assert run.code != 0
        assert time.monotonic() - killer.at < SECONDS_TO_END
        assert not processes_of_runs()
        tail = run.log.read_text()[-20000:]
        assert "a worker died" in tail or "Error: " in tail, f"{part}: {tail[-2000:]}"
        assert list(run.steps) == list(range(done + 1, done + 1 + len(run.steps)))
        for metrics in run.steps.values():
            check(metrics, mode)
        # verl saves a step before it logs it, so one that was saved and not logged may follow the last that was.
        done = int((run.checkpoints / "latest_checkpointed_iteration.txt").read_text())

    killer = Killer("ray::RewardLoopWorker", some=1)
    run = train(
        "to-the-end",
        *BASE,
        *STALE,
        "reward.num_workers=3",
        f"trainer.total_training_steps={done + 10}",  # rollouts of the first few may be there before the death
        world_size=2,
        after_step={done + 1: killer},
    ).succeeded()
    assert killer.at is not None
    assert list(run.steps) == list(range(done + 1, done + 11))
    # Groups that lost a rollout with the reward worker were dropped and refilled, so those that are left are whole.
    assert sum(metrics.get("training/rollout_failure/evicted_samples", 0) for metrics in run.steps.values()) > 0
    for metrics in run.steps.values():
        check(metrics, STALE)
        assert metrics["hdpo/groups_incomplete"] == metrics["hdpo/rollouts_missing"] == 0
