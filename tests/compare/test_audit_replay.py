"""What an audit says of algorithms: hand-worked, and the estimators' own numbers."""

import math

import pytest
import torch
from planted import Answer, clean, verifiers

from verl_hdpo.algorithm.estimators import ESTIMATORS
from verl_hdpo.algorithm.scalars import RolloutScalars
from verl_hdpo.compare.audit.replay import replay
from verl_hdpo.compare.audit.run import audit
from verl_hdpo.compare.pricing.algorithm import price_of_variant
from verl_hdpo.compare.pricing.simulation import Conditions
from verl_hdpo.compare.variant import parse_variants
from verl_hdpo.evaluation.dumps.reader import read_rollouts
from verl_hdpo.settings.algorithms import ALGORITHMS

ALGOS = "grpo,grpo_penalty,tool_gdpo,hdpo,priced"


@pytest.mark.parametrize("name", ["grpo_penalty", "tool_gdpo", "priced", "hdpo"])
def test_advantages_are_the_estimators_own(name, tmp_path):
    """Six prompts with four rollouts, and one rollout whose outcome is not known."""
    scene = [*clean(), Answer(0, None, 2)]
    rollouts = read_rollouts(verifiers(scene, tmp_path)).rollouts
    made = replay(rollouts, parse_variants(name))
    scalars = RolloutScalars(
        torch.tensor([float(bool(one.right)) for one in scene]),
        torch.tensor([one.prompt for one in scene]),
        torch.tensor([one.right is not None for one in scene]),
        torch.tensor([one.right is True for one in scene]),
        torch.tensor([float(one.calls) for one in scene], dtype=torch.float64),
    )
    settings = ALGORITHMS[name]()
    acc_B, tool_B = ESTIMATORS[name](scalars, **settings.parameters)
    expected_B = acc_B if tool_B is None else settings.w_acc * acc_B + settings.w_tool * tool_B
    # the reader puts groups together: line numbers, from 1, lead back
    by_line = {int(key.rpartition(":")[2]): value for key, value in made.by_algorithm[name].items()}
    assert [by_line[at + 1] for at in range(len(scene))] == pytest.approx(expected_B.tolist(), abs=1e-6)
    assert by_line[len(scene)] == 0


def test_one_group_by_hand(tmp_path):
    """Right with a call, right without, wrong without. GRPO: both right ones go up. HDPO with w_tool = 1 adds -0.71
    to the first, whose accuracy advantage is 0.58: it goes down. A wrong one goes down in both."""
    scene = [Answer(0, True, 1), Answer(0, True, 0), Answer(0, False, 0)]
    found = audit(verifiers(scene, tmp_path), "hdpo[w_tool=1]")
    (source,) = found.sources
    assert (source.source, source.rollouts, source.groups) == ("cities", 3, 1)
    assert source.tool_use == pytest.approx(1 / 3)
    assert (source.needless.examples, source.missed.examples) == (("results:1",), ("results:3",))
    grpo, hdpo = source.algorithms
    assert (grpo.label, grpo.up, grpo.down, grpo.needless_down, grpo.against_grpo.count) == ("grpo", 2, 1, 0, 0)
    assert (hdpo.up, hdpo.down, hdpo.needless_down, hdpo.against_grpo.examples) == (1, 2, 1, ("results:1",))
    assert source.disputed == hdpo.against_grpo


def test_groups_without_signal_by_channel(tmp_path):
    """All right with equal calls: neither. All right, calls differ: efficiency alone. One right: accuracy alone."""
    neither = [Answer(0, True, 1), Answer(0, True, 1)]
    efficiency = [Answer(1, True, 1), Answer(1, True, 0)]
    accuracy = [Answer(2, True, 1), Answer(2, False, 0)]
    (source,) = audit(verifiers([*neither, *efficiency, *accuracy], tmp_path), ALGOS).sources
    assert source.without_accuracy.count == 2
    assert source.without_efficiency.count == 2
    assert source.without_any.examples == ("results:1",)
    silent = {row.label: row.silent_groups for row in source.algorithms}
    assert silent == {"grpo": 2, "grpo_penalty": 1, "tool_gdpo": 1, "hdpo": 1, "priced": 1}


def test_the_price_is_that_of_the_measured_shares(tmp_path):
    """Of each prompt's four, two call; one of them is right."""
    (source,) = audit(verifiers(clean(), tmp_path), ALGOS).sources
    assert (source.case.right, source.case.direct, source.case.use, source.case.size) == (0.5, 0.5, 0.5, 4)
    for variant, row in zip(parse_variants(ALGOS), source.algorithms, strict=True):
        assert row.price == price_of_variant(variant, Conditions(0.5, 0.5, 4))
    prices = {row.label: row.price for row in source.algorithms}
    assert prices["grpo"] == pytest.approx(0, abs=1e-4) and prices["priced"] == pytest.approx(0.1, abs=1e-4)
    assert math.isinf(prices["tool_gdpo"]) or prices["tool_gdpo"] > prices["hdpo"]


def test_where_nobody_calls_the_price_is_not_known(tmp_path):
    (source,) = audit(verifiers([Answer(0, True), Answer(0, False)], tmp_path), "hdpo").sources
    assert [row.price for row in source.algorithms] == [None, None]
