"""An asynchronous trainer mode, with HDPO's own agent loop and reward manager."""

import math

OWN_PARTS = [
    "algorithm.adv_estimator=hdpo",
    "reward.reward_manager.name=hdpo",
    "reward.custom_reward_function.path=null",
    "actor_rollout_ref.rollout.agent.default_agent_loop=hdpo_tool_agent",
]


WITH_KL_AND_FILTER = [
    "algorithm.use_kl_in_reward=True",
    "algorithm.kl_ctrl.kl_coef=0.01",
    "algorithm.filter_groups.enable=True",
    "algorithm.filter_groups.metric=hdpo_signal",
]


def test_colocate_async_trains_on_two_ranks_with_kl_in_reward_and_groups_filtered(train):
    """The synchronous mode runs in test_switch.py, separate_async in test_deaths.py."""
    mode = "trainer.v1.trainer_mode=colocate_async"
    run = train("colocate-async", *OWN_PARTS, mode, *WITH_KL_AND_FILTER, world_size=2).succeeded()
    assert sorted(run.steps) == [1, 2]
    for metrics in run.steps.values():
        assert metrics["hdpo/ledger_rate"] == 1.0
        assert metrics["hdpo/unknown_rate"] == 0.0
        assert math.isfinite(metrics["actor/grad_norm"])
        assert metrics["hdpo/tool_calls/executed"] > 0
        assert "hdpo/tool/pg_loss" in metrics
        assert math.isfinite(metrics["actor/reward_kl_penalty"])
        assert metrics["hdpo/tool/groups_with_signal"] > 0
