"""tests/engines on GPUs: the same rollouts, losses and layouts, in half precision with the real kernels.

Rounding is a thousand times coarser here, and a token near a clip bound may fall on its other side. What must hold is
that the update is near the reference, and a wrong one is not.
"""

import pytest
import torch
from comparison import gradient_of
from layouts import CONTROLLED, LAYOUTS, Job

NEAR = 0.1
"""Of the gradient's norm."""
FAR_WRONG = ("micro_batch_mean", "no_tool_term")


def distance(gradient, expected):
    difference = torch.stack([(gradient[name] - expected[name]).norm() for name in expected]).norm()
    return (difference / torch.stack([g.norm() for g in expected.values()]).norm()).item()


def distances(engines, name, expected, wanted):
    """Distance from the reference of each job that ``wanted`` picks."""
    initial, outcomes = engines(name)[0]
    return {
        outcome.job: distance(gradient_of(initial, outcome.weights, outcome.job.rate), expected.gradient)
        for outcome in outcomes
        if wanted(outcome.job)
    }


@pytest.mark.parametrize("name", [name for name in LAYOUTS if name != "megatron-cp2-per-token-loss"])
def test_updates_are_near_the_references(engines, reference, name):
    for setting in LAYOUTS[name].settings:
        expected = reference(LAYOUTS[name], setting)
        found = distances(engines, name, expected, lambda job, setting=setting: job == Job(setting, job.split))
        assert found
        assert max(found.values()) < NEAR, f"{setting}: {found}"


@pytest.mark.parametrize("name", CONTROLLED)
@pytest.mark.parametrize("loss", FAR_WRONG)
def test_wrong_losses_are_not(engines, reference, name, loss):
    expected = reference(LAYOUTS[name], "qualifying")
    assert min(distances(engines, name, expected, lambda job: job.loss == loss).values()) > NEAR
