"""A mini-batch with images in verl's FSDP2 engine: one gradient, however it is split into micro-batches.

Its first row has ten turns and eight images of tools. Rows without images stand beside rows with several. The reference
is Hugging Face's model, which makes its own position ids, in double precision.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from comparison import error, gradient_of
from free_port import free_port
from vision_rollouts import COMPARED

from verl_hdpo.runs.cpu_images import image_environment
from verl_hdpo.runs.cpu_settings import ENVIRONMENT

HERE = Path(__file__).parent
RANKS = {"packed": 1, "padded": 1, "two ranks": 2}
TOLERANCE, BETWEEN_SPLITS = 2e-5, 5e-6
"""Of the gradient's largest element. From the reference, whose positions and buffers are of single precision too, all
differ by the same 6e-6 to 8e-6."""


def environment(**variables):
    path = image_environment(HERE, HERE.parent / "support")
    return {**os.environ, **ENVIRONMENT, **path, "TORCH_COMPILE_DISABLE": "1", **variables}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vision")
    script = str(HERE / "vision_rollouts.py")
    subprocess.run([sys.executable, "-W", "ignore", script, str(folder)], env=environment(), check=True)
    return folder


@pytest.fixture(scope="module")
def trained(folder):
    """``trained(layout)``: initial weights and outcomes."""

    def run(name):
        world = RANKS[name]
        ranks = {"WORLD_SIZE": str(world), "LOCAL_WORLD_SIZE": str(world), "MASTER_PORT": str(free_port())}
        command = [sys.executable, "-W", "ignore", str(HERE / "vision_worker.py"), str(folder), name]
        started = [
            subprocess.Popen(command, env=environment(RANK=str(rank), LOCAL_RANK=str(rank), **ranks))
            for rank in range(world)
        ]
        try:
            assert [process.wait(1800) for process in started] == [0] * world
        finally:
            for process in started:
                process.kill()
        return torch.load(folder / f"{name}.pt", weights_only=False)

    return run


@pytest.mark.parametrize("layout", RANKS)
def test_the_gradient_is_that_of_the_whole_whatever_the_split(folder, trained, layout):
    expected = torch.load(folder / "expected.pt", weights_only=False)
    initial, outcomes = trained(layout)
    assert {outcome.job.setting for outcome in outcomes} == set(COMPARED)
    first = {}
    for outcome in outcomes:
        gradient = gradient_of(initial, outcome.weights, outcome.job.rate)
        update = expected[outcome.job.setting]
        where = f"{outcome.job.setting}, micro-batches of {outcome.job.split}"
        assert error(gradient, update.gradient) < TOLERANCE, where
        assert error(gradient, first.setdefault(outcome.job.setting, gradient)) < BETWEEN_SPLITS, where
        assert outcome.metrics["loss"][0] == pytest.approx(update.loss, abs=1e-5), where
    vision = [name for name in initial if ".visual." in name]
    largest = max(update.gradient[name].abs().max() for name in vision)
    assert largest > 1000 * TOLERANCE * max(g.abs().max() for g in update.gradient.values())
    splits = {len(outcome.calls) for outcome in outcomes}
    assert len(splits) >= 3, "the splits are hardly different"
