"""A training with images: the user's, and those that tools return."""

import math
import os
import subprocess
import sys
from pathlib import Path

from leftovers import nothing_left
from run_overrides import OWN_PARTS
from vision_task import EXAMPLE

from verl_hdpo.runs.cpu_images import image_environment

SAME = 1e-4
"""Greatest difference of a token's probability, in vLLM and in the trainer; 2e-5 was seen."""


def test_images_of_user_and_tools_are_the_same_to_vllm_and_trainer(train, tmp_path):
    """vLLM expands each image's placeholder itself; the trainer is given features and placeholders by verl's loop.

    An image that one of them lacked, or had in another place, would change the probabilities of all later tokens.
    """
    environment = image_environment(EXAMPLE)
    task = tmp_path / "task"
    command = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("vision_task.py")), str(task)]
    subprocess.run(command, env={**os.environ, **environment}, check=True)
    rollout = "actor_rollout_ref.rollout"
    with nothing_left():
        run = train(
            "vision",
            *OWN_PARTS,
            f"actor_rollout_ref.model.path={task / 'model'}",
            f"data.train_files={task / 'train.parquet'}",
            f"data.val_files={task / 'validation.parquet'}",
            f"{rollout}.multi_turn.function_tool_path=null",
            f"{rollout}.multi_turn.tool_config_path={EXAMPLE / 'tools.yaml'}",
            f"{rollout}.calculate_log_probs=True",
            env=environment,
        ).succeeded()
    assert sorted(run.steps) == [1, 2]
    for metrics in run.steps.values():
        for tool in ("zoom", "python"):
            assert metrics[f"hdpo/tools/{tool}/executed"] > 0
        assert 0 < metrics["hdpo/tool_use_rate"] < 1
        assert metrics["training/rollout_probs_diff_max"] < SAME
        assert math.isfinite(metrics["actor/grad_norm"])
        assert metrics["actor/grad_norm"] > 0
        assert not [name for name in metrics if "rollouts_lost" in name and metrics[name]]
