"""verl's three V1 trainer modes, with HDPO's own agent loop and reward manager."""

import math

import pytest

OWN_PARTS = [
    "algorithm.adv_estimator=hdpo",
    "reward.reward_manager.name=hdpo",
    "reward.custom_reward_function.path=null",
    "actor_rollout_ref.rollout.agent.default_agent_loop=hdpo_tool_agent",
]
SEPARATE = [
    "trainer.v1.trainer_mode=separate_async",
    "actor_rollout_ref.hybrid_engine=False",
    "actor_rollout_ref.rollout.nnodes=1",
    "actor_rollout_ref.rollout.n_gpus_per_node=1",
    "++ray_kwargs.ray_init.num_gpus=3",
    "actor_rollout_ref.rollout.checkpoint_engine.backend=shm",
    "actor_rollout_ref.rollout.checkpoint_engine.custom_backend_module=verl_hdpo.cpu.checkpoint_engine",
    "trainer.v1.separate_async.parameter_sync_step=1",
]
# The synchronous mode runs in test_switch.py, on one rank and on two.
MODES = {"colocate_async": ["trainer.v1.trainer_mode=colocate_async"], "separate_async": SEPARATE}


@pytest.mark.parametrize("mode", MODES)
def test_asynchronous_modes_train_on_two_ranks(train, mode):
    run = train(mode, *OWN_PARTS, *MODES[mode], world_size=2).succeeded()
    assert sorted(run.steps) == [1, 2]
    for metrics in run.steps.values():
        assert metrics["hdpo/ledger_rate"] == 1.0
        assert metrics["hdpo/unknown_rate"] == 0.0
        assert math.isfinite(metrics["actor/grad_norm"])
        assert metrics["hdpo/tool_calls/executed"] > 0
        assert "hdpo/tool/pg_loss" in metrics
