"""``tests/vision``, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from verl_hdpo.runs.cpu_images import image_environment

FOLDER = Path(__file__).parents[1] / "vision"


@pytest.mark.slow
def test_images_in_the_agent_loop():
    env = {**os.environ, **image_environment(), "VERL_HDPO_WITH_TORCHVISION": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(FOLDER)]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
