"""This package's loss in verl's own engines, against one loss over the whole mini-batch and plain autograd.

Stock ``TrainingWorker``, FSDP, FSDP2 and Megatron engine, over gloo on the CPU, with real optimizer steps. The rows
include one of unknown outcome and one of verl's padding.
"""

import pytest
import torch
from comparison import TOLERANCE, assert_same_update, error, gradient_of
from layouts import CONTROLLED, LAYOUTS, STOCK_JOBS, TWO_STEPS, UNKNOWN_JOB, WRONG_LOSSES, Job, Split
from loss_settings import AGG_MODES, SETTINGS
from reference import CLIP
from rollouts import PADDING, ROWS, UNKNOWN

FLOORED = "megatron-cp2-per-token-loss"
"""Here verl itself rounds: see ``test_verl_rounds_token_counts_...``."""
EXACT = [name for name in LAYOUTS if name != FLOORED]
CASES = [(layout, setting) for layout in EXACT for setting in LAYOUTS[layout].settings]


def found(engines, name, wanted):
    """(gradient, metrics, calls of the loss on each rank) of each job that ``wanted`` picks."""
    ranks = engines(name)
    initial = ranks[0][0]
    picked = []
    for position, outcome in enumerate(ranks[0][1]):
        if wanted(outcome.job):
            same = [outcomes[position] for _, outcomes in ranks]
            metrics = next(o.metrics for o in same if o.metrics is not None)
            gradient = gradient_of(initial, outcome.weights, outcome.job.rate)
            picked.append((outcome.job, gradient, metrics, [o.calls for o in same]))
    assert picked, "no such job was run"
    return picked


@pytest.mark.parametrize(("name", "setting"), CASES, ids=[f"{name}-{setting}" for name, setting in CASES])
def test_update_is_the_references_whatever_the_split(engines, reference, name, setting):
    expected = reference(LAYOUTS[name], setting)
    for job, gradient, metrics, _ in found(engines, name, lambda job: job == Job(setting, job.split)):
        try:
            assert_same_update(gradient, metrics, expected)
            if SETTINGS[setting].combine == "loss" and SETTINGS[setting].w_tool:
                assert metrics["hdpo/tool/pg_loss"][0] == pytest.approx(expected.tool_loss, abs=1e-6, rel=1e-5)
        except AssertionError as problem:
            pytest.fail(f"micro-batches of {job.split}: {problem}", pytrace=False)


@pytest.mark.parametrize("name", EXACT)
def test_loss_is_called_for_each_micro_batch_where_the_log_probs_are(engines, name):
    """By the last pipeline stage, with every row of the rank's share once, attached to the graph."""
    layout = LAYOUTS[name]
    share = ROWS // layout.dp
    for job, _, _, calls in found(engines, name, lambda job: job == Job(job.setting, job.split)):
        stages = [ranks for ranks in calls if ranks]
        assert len(stages) == layout.world // layout.pp
        for stage in stages:
            assert sum(rows for rows, _, _ in stage) == share
            assert all(attached for _, _, attached in stage)
            if job.split.rows:
                assert len(stage) == max(share // job.split.rows, 1)


@pytest.mark.parametrize("name", LAYOUTS)
def test_without_tool_weight_it_is_verls_own_loss_bit_for_bit(engines, name):
    (_, ours, *_), (_, stock, *_) = found(engines, name, lambda job: job in STOCK_JOBS)
    assert all(torch.equal(ours[parameter], stock[parameter]) for parameter in stock)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_mini_batch_of_unknown_outcomes_changes_nothing(engines, name):
    [(_, gradient, metrics, _)] = found(engines, name, lambda job: job == UNKNOWN_JOB)
    assert not any(g.any() for g in gradient.values())
    assert metrics["loss"] == [0.0]
    assert metrics["grad_norm"] == [0.0]


@pytest.mark.parametrize("name", EXACT)
def test_two_mini_batches_are_two_steps_each_with_its_own_denominators(engines, make_reference, rollouts, name):
    """A rank takes its share of the rows in order: of two ranks, the first step gets rows 0, 1 and 4, 5."""
    layout = LAYOUTS[name]
    shares = torch.arange(ROWS).chunk(layout.dp)
    steps = [torch.cat([share.chunk(2)[step] for share in shares]).tolist() for step in range(2)]
    model, setting, batch = make_reference(layout), SETTINGS[TWO_STEPS.setting], rollouts[layout.model]
    start = {parameter: p.detach().clone() for parameter, p in model.parameters.items()}
    losses = []
    for rows in steps:
        update = model.update(batch, setting, rows)
        losses.append(update.loss)
        model.descend(update.gradient, TWO_STEPS.rate)
    expected = {
        parameter: (start[parameter] - p.detach()) / TWO_STEPS.rate for parameter, p in model.parameters.items()
    }
    [(_, gradient, metrics, _)] = found(engines, name, lambda job: job == TWO_STEPS)
    assert error(gradient, expected) < 2 * TOLERANCE  # the weights that it is read from are rounded at a rate of 1
    assert metrics["loss"] == pytest.approx(losses, abs=2e-6)


@pytest.mark.parametrize("name", CONTROLLED)
@pytest.mark.parametrize("loss", WRONG_LOSSES)
def test_the_comparison_catches_wrong_losses(engines, reference, name, loss):
    """FSDP never sees the number of micro-batches, so only on Megatron can a loss be multiplied by it."""
    expected = reference(LAYOUTS[name], "qualifying")
    [(_, gradient, metrics, _)] = found(engines, name, lambda job: job.loss == loss)
    if (name, loss) == ("fsdp2", "times_number_of_micro_batches"):
        assert_same_update(gradient, metrics, expected)
        return
    with pytest.raises(AssertionError):
        assert_same_update(gradient, metrics, expected)
    assert error(gradient, expected.gradient) > 1000 * TOLERANCE


def test_verl_rounds_token_counts_down_under_context_parallelism_with_per_token_loss(engines, reference):
    """verl/workers/engine/megatron/transformer_impl.py counts tokens // cp per micro-batch: the gradient is longer.

    The factor is tokens / (cp * sum of the floors), the same for every loss; nothing of it is ours.
    """
    layout = LAYOUTS[FLOORED]
    for job, gradient, _, calls in found(engines, FLOORED, lambda job: job == Job(job.setting, job.split)):
        tokens = [n for _, n, _ in calls[0]]
        factor = sum(tokens) / (layout.cp * sum(n // layout.cp for n in tokens))
        expected = reference(layout, job.setting).gradient
        assert error(gradient, {parameter: factor * g for parameter, g in expected.items()}) < 2 * TOLERANCE
        if job.split == Split(rows=1):
            assert factor > 1.01, "some row has an odd number of tokens"


def test_all_ways_to_aggregate_and_combine_are_among_the_settings():
    run = [SETTINGS[setting] for _, setting in CASES]
    assert {s.agg_mode for s in run} == set(AGG_MODES)
    assert {s.combine for s in run} == {"loss", "advantage"}
    assert {s.tool_loss_norm for s in run} == {"all", "qualifying"}
    assert {name for _, name in CASES} == set(SETTINGS)


def test_the_rollouts_are_a_fair_test(rollouts, reference, make_reference):
    """Both channels have tokens clipped on either side, none so close to a bound that rounding decides."""
    model, rollouts = make_reference(LAYOUTS["fsdp2"]), rollouts["dense"]
    trained = [row for row in range(ROWS) if rollouts.tokens_B[row]]
    assert trained == [row for row in range(ROWS) if row not in (UNKNOWN, PADDING)]
    ratio = {}
    for row in trained:
        log_prob = model.log_probs(rollouts.prompts[row], rollouts.responses[row])[0].detach()
        ratio[row] = (log_prob - rollouts.old_log_probs[row]).exp()[rollouts.masks[row] > 0]
    for advantage_B in (rollouts.acc_B, rollouts.tool_B):
        assert any((ratio[row] > 1 + CLIP).any() for row in trained if advantage_B[row] > 0)
        assert any((ratio[row] < 1 - CLIP).any() for row in trained if advantage_B[row] < 0)
    ratios = torch.cat([*ratio.values()])
    assert min((ratios - bound).abs().min() for bound in (1 - CLIP, 1 + CLIP)) > 1e-5

    gradient = reference(LAYOUTS["fsdp2"], "paper").gradient
    largest = max(g.abs().max() for g in gradient.values())
    assert min(g.abs().max() for g in gradient.values()) > 1e-3 * largest, "a parameter without a gradient"
