"""Trainings with images: the user's, and up to eight that tools return in one trajectory."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from leftovers import nothing_left
from run_overrides import OWN_PARTS, SEPARATE_ASYNC
from vision_task import EXAMPLE, MOST_CALLS

from verl_hdpo.runs.cpu_images import image_environment

SAME = 1e-4
"""Greatest difference of a token's probability, in vLLM and in the trainer; 2e-5 was seen."""
TURNS = MOST_CALLS + 1
AHEAD = [*SEPARATE_ASYNC, "actor_rollout_ref.actor.ppo_mini_batch_size=4", "actor_rollout_ref.actor.optim.lr=0"]
"""The trainer is updates ahead of vLLM; without a learning rate both still have the same weights."""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    task = tmp_path_factory.mktemp("vision") / "task"
    command = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("vision_task.py")), str(task)]
    subprocess.run(command, env={**os.environ, **image_environment(EXAMPLE)}, check=True)
    return task


@pytest.mark.parametrize("mode", [["trainer.v1.trainer_mode=sync"], AHEAD], ids=["sync", "separate_async"])
def test_images_of_user_and_tools_are_the_same_to_vllm_and_trainer(train, pictures, mode):
    """vLLM expands each image's placeholder itself; the trainer is given features and placeholders by verl's loop.

    An image that one of them lacked, or had in another place, would change the probabilities of all later tokens.
    """
    rollout = "actor_rollout_ref.rollout"
    with nothing_left():
        run = train(
            "vision",
            *OWN_PARTS,
            *mode,
            f"actor_rollout_ref.model.path={pictures / 'model'}",
            f"data.train_files={pictures / 'train.parquet'}",
            f"data.val_files={pictures / 'validation.parquet'}",
            "data.max_response_length=320",
            f"+{rollout}.engine_kwargs.vllm.limit_mm_per_prompt={{image:{TURNS},video:0}}",
            f"{rollout}.multi_turn.max_assistant_turns={TURNS}",
            f"{rollout}.multi_turn.function_tool_path=null",
            f"{rollout}.multi_turn.tool_config_path={EXAMPLE / 'tools.yaml'}",
            f"{rollout}.calculate_log_probs=True",
            env=image_environment(EXAMPLE),
        ).succeeded()
    assert sorted(run.steps) == [1, 2]
    assert max(metrics["num_turns/max"] for metrics in run.steps.values()) == 2 * TURNS, "one has eight images of tools"
    for metrics in run.steps.values():
        for tool in ("zoom", "python"):
            assert metrics[f"hdpo/tools/{tool}/executed"] > 0
        assert 0 < metrics["hdpo/tool_use_rate"] < 1
        assert metrics["training/rollout_probs_diff_max"] < SAME
        assert math.isfinite(metrics["actor/grad_norm"])
        assert metrics["actor/grad_norm"] > 0
        assert not [name for name in metrics if "rollouts_lost" in name and metrics[name]]
