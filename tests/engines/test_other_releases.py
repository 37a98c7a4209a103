"""A few layouts in the supported releases of verl that are not installed; tests/support/against.py runs them all."""

import os

import pytest
from comparison import assert_same_update, gradient_of
from layouts import LAYOUTS, Job
from verl_versions import SUPPORTED, UNDER_TEST, installed, unpacked

from verl_hdpo.runs.cpu_settings import ENVIRONMENT

pytestmark = pytest.mark.skipif(UNDER_TEST in os.environ, reason="runs once, from the installed release")


@pytest.fixture(scope="module", params=[release for release in SUPPORTED if release != installed()])
def other_engines(request, start_engines):
    engines = start_engines(ENVIRONMENT, unpacked(request.param))
    assert engines.verl == request.param
    return engines


@pytest.mark.parametrize("name", ["fsdp2-dp2", "fsdp2-sp2", "megatron-tp2", "megatron-dp2"])
def test_updates_are_the_references_there_too(other_engines, reference, name):
    ranks = other_engines(name)
    initial = ranks[0][0]
    for position, outcome in enumerate(ranks[0][1]):
        if outcome.job == Job(outcome.job.setting, outcome.job.split):
            metrics = next(o.metrics for _, outcomes in ranks if (o := outcomes[position]).metrics)
            gradient = gradient_of(initial, outcome.weights, outcome.job.rate)
            assert_same_update(gradient, metrics, reference(LAYOUTS[name], outcome.job.setting))
