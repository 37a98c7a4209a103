"""The loss and both advantages through verl's trainer, Ray, TransferQueue and ``ActorRolloutRefWorker``.

What test_engines.py leaves out: the loss pickled to the workers, the batch padded, balanced and dispatched, and its
fields fetched by each rank.
"""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from comparison import error, gradient_of
from engines import HERE, python_path
from hang import HANG_SECONDS
from layouts import LAYOUTS
from loss_settings import SETTINGS
from ray_runs import CALLS, EPOCHS, GROUPS, RATE, RUNS
from rollouts import PADDING, UNKNOWN
from safetensors.torch import load_file

from verl_hdpo.runs.cpu_settings import ENVIRONMENT


@pytest.fixture(scope="module")
def updated(directory, tmp_path_factory):
    output = tmp_path_factory.mktemp("actor")
    env = {**os.environ, **ENVIRONMENT, "PYTHONPATH": python_path()}
    command = [sys.executable, "-W", "ignore", str(HERE / "ray_update.py"), str(directory / "dense"), str(output)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=HANG_SECONDS)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return output


def standardised(values):
    return (values - values.mean()) / (values.std() + 1e-6)


@pytest.fixture
def scored(rollouts):
    """The rollouts, both channels' advantages from the definitions; the padding row takes no part."""
    rollouts = rollouts["dense"]
    known = [row for row in range(PADDING) if row != UNKNOWN]
    acc, tool = torch.zeros(len(rollouts.acc_B)), torch.zeros(len(rollouts.acc_B))
    for group in sorted(set(GROUPS)):
        rows = [row for row in known if GROUPS[row] == group]
        acc[rows] = standardised(rollouts.correct_B[rows].float())
        if len(q := [row for row in rows if rollouts.correct_B[row]]) > 1:
            tool[q] = standardised(torch.tensor([1 / (CALLS[row] + 1) for row in q]))
    return replace(rollouts, acc_B=acc, tool_B=tool)


@pytest.mark.parametrize("name", RUNS)
def test_two_epochs_of_an_update_are_the_references(updated, scored, make_reference, name):
    """In the first epoch no token is clipped; in the second some are, in both channels."""
    model, setting = make_reference(LAYOUTS["fsdp2"]), SETTINGS[name]
    with torch.no_grad():
        scored.old_log_probs = [model.log_probs(p, r)[0] for p, r in zip(scored.prompts, scored.responses, strict=True)]
    start = {parameter: p.detach().clone() for parameter, p in model.parameters.items()}
    losses, tool_losses = [], []
    for _ in range(EPOCHS):
        update = model.update(scored, setting)
        losses.append(update.loss)
        tool_losses.append(update.tool_loss)
        model.descend(update.gradient, RATE)
    expected = {parameter: (start[parameter] - p.detach()) / RATE for parameter, p in model.parameters.items()}

    weights = {kind: load_file(updated / kind / "huggingface" / "model.safetensors") for kind in ("initial", name)}
    assert (
        error(gradient_of(weights["initial"], weights[name], RATE), expected) < 1e-5
    )  # weights of about 1 are rounded
    metrics = torch.load(updated / f"{name}.pt")
    assert metrics["actor/loss"] == pytest.approx(sum(losses) / EPOCHS, abs=2e-6)
    assert metrics["hdpo/tool/pg_loss"] == pytest.approx(sum(tool_losses) / EPOCHS, abs=2e-6)
    assert metrics["hdpo/unknown_rate"] == pytest.approx(1 / PADDING)
