"""Parts of a run killed outright in mid-step: it goes on where verl can, and ends with a checkpoint where it cannot."""

import contextlib
import math
import time

import psutil
import pytest
from hang import HANG_SECONDS
from run_overrides import OWN_PARTS, SEPARATE_ASYNC
from run_processes import processes_of_runs

BASE = [
    *OWN_PARTS,
    "actor_rollout_ref.actor.ppo_mini_batch_size=4",
    "algorithm.rollout_correction.rollout_is=token",  # corrects for stale rollouts
    "trainer.save_freq=1",
    "trainer.resume_mode=auto",
]
KL_AND_FILTER = [
    "algorithm.use_kl_in_reward=True",
    "algorithm.kl_ctrl.kl_coef=0.01",
    "algorithm.filter_groups.enable=True",
    "algorithm.filter_groups.metric=hdpo_signal",
]
# The trainer modes, and the part whose death ends a run there, as Ray or vLLM names its processes.
RUNS = {
    "sync": ("ray::WorkerDict", ["trainer.v1.trainer_mode=sync"]),
    "colocate_async": ("ray::AgentLoopWorkerTQ", ["trainer.v1.trainer_mode=colocate_async", *KL_AND_FILTER]),
    "separate_async": ("VLLM::EngineCore", [*SEPARATE_ASYNC, "reward.num_workers=3"]),
}
STEPS_SURVIVED = 9
"""After the death of a reward worker; rollouts of the first few may be there before it."""


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


@pytest.mark.nightly
def test_one_training_goes_through_four_deaths_and_trains_no_step_twice(train):
    """On two FSDP2 ranks, in one trainer mode after the other; a checkpoint serves all of them.

    Each mode's run is ended by a death, and the next one resumes; the last goes through another first.
    """
    done = 0
    for mode, (part, overrides) in RUNS.items():
        fatal, survived = Killer(part), Killer("ray::RewardLoopWorker", some=1)
        last = mode == list(RUNS)[-1]
        deaths = {done + 1: survived, done + 1 + STEPS_SURVIVED: fatal} if last else {done + 1: fatal}
        run = train(
            mode,
            *BASE,
            *overrides,
            f"trainer.total_training_steps={done + 50}",  # far off, however fast its steps
            world_size=2,
            after_step=deaths,
        )
        assert fatal.at is not None, f"{mode}: the run did not get to step {max(deaths)}, only to {sorted(run.steps)}"
        assert run.code != 0
        assert time.monotonic() - fatal.at < HANG_SECONDS
        assert not processes_of_runs()
        tail = run.log.read_text()[-20000:]
        assert "a worker died" in tail or "Error: " in tail, f"{mode}: {tail[-2000:]}"
        assert list(run.steps) == list(range(done + 1, done + 1 + len(run.steps)))
        for metrics in run.steps.values():
            check(metrics, overrides)
        # verl saves a step before it logs it, so one that was saved and not logged may follow the last that was.
        done = int((run.checkpoints / "latest_checkpointed_iteration.txt").read_text())
        assert done >= max(run.steps)

    # Groups that lost a rollout with the reward worker were dropped and refilled, so those that are left are whole.
    assert sum(metrics.get("training/rollout_failure/evicted_samples", 0) for metrics in run.steps.values()) > 0
    for metrics in run.steps.values():
        assert metrics["hdpo/groups_incomplete"] == metrics["hdpo/rollouts_missing"] == 0
