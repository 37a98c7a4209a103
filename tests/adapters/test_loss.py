"""The two-channel loss through verl's own loss contract: its value, its gradient, and what they must not depend on.

The "model" is a leaf tensor of log-probabilities, so gradients are with respect to the policy's log-probabilities.
Engines (FSDP, Megatron) are not exercised here.
"""

import itertools

import pytest
import torch
from tensordict import TensorDict
from verl.trainer.ppo.core_algos import POLICY_LOSS_REGISTRY
from verl.utils import tensordict_utils as tu
from verl.workers.config import ActorConfig
from verl.workers.config.actor import PolicyLossConfig
from verl.workers.utils.losses import ppo_loss

from verl_hdpo.adapters.loss import two_channel_loss
from verl_hdpo.algorithm.qualifying import HOMOGENEOUS_LOSSES, mini_batches, qualifying_scale

AGG_MODES = ["token-mean", "token-sum", "seq-mean-token-sum", "seq-mean-token-mean", "seq-mean-token-sum-norm"]
SPLITS = [
    [[0, 1, 2, 3, 4, 5, 6, 7]],
    [[i] for i in range(8)],
    [[0], [1, 2, 3, 4, 5, 6, 7]],
    [[0, 1, 2], [3, 4], [5, 6, 7]],
]


def actor(loss_agg_mode="token-mean", loss_mode="vanilla", **kwargs):
    return ActorConfig(
        strategy="fsdp",
        rollout_n=1,
        ppo_micro_batch_size_per_gpu=1,
        loss_agg_mode=loss_agg_mode,
        loss_scale_factor=13 if loss_agg_mode.endswith("norm") else None,
        policy_loss=PolicyLossConfig(loss_mode=loss_mode, dro_beta=0.1, kl_cov_ratio=0.2),
        **kwargs,
    )


class Batch:
    """Eight rows as they lie in TransferQueue at ``update_actor``; the last is verl's padding row."""

    def __init__(self, seed=0, spread=0.3):
        g = torch.Generator().manual_seed(seed)
        lengths = [*torch.randint(3, 12, (7,), generator=g).tolist(), 1]
        self.prompts = [torch.ones(int(n), dtype=torch.int64) for n in torch.randint(2, 6, (8,), generator=g)]
        self.masks = [torch.ones(n, dtype=torch.int64) for n in lengths]
        for mask in self.masks[:7:2]:
            mask[1] = 0  # a tool's observation
        self.masks[7][:] = 0
        self.old = [-1 - torch.rand(n, generator=g) for n in lengths]
        self.log_probs = [o + spread * torch.randn(len(o), generator=g) for o in self.old]
        self.acc = torch.randn(8, generator=g)
        self.correct = torch.tensor([1, 1, 0, 1, 0, 1, 1, 0], dtype=torch.bool)
        self.tool = torch.randn(8, generator=g) * self.correct

    def micro_batch(self, rows, leaves, batch_num_tokens, dp_size):
        def jagged(values):
            return torch.nested.as_nested_tensor([values[r] for r in rows], layout=torch.jagged)

        whole = [
            torch.cat([torch.zeros(len(p) - 1), lp, torch.zeros(1)]) for p, lp in zip(self.prompts, leaves, strict=True)
        ]
        data = TensorDict(
            {
                "prompts": jagged(self.prompts),
                "responses": jagged(self.masks),
                "response_mask": jagged(self.masks),
                "old_log_probs": jagged(self.old),
                "advantages": jagged([a * m for a, m in zip(self.acc, self.masks, strict=True)]),
                "tool_advantages": self.tool[rows],
            },
            batch_size=len(rows),
        )
        for key, value in dict(dp_size=dp_size, batch_num_tokens=batch_num_tokens, global_batch_size=8).items():
            tu.assign_non_tensor_data(data, key, value)
        return {"log_probs": jagged(whole)}, data

    def gradient(self, loss_fn, config, split=SPLITS[0], ranks=None):
        """(loss, gradient per token) accumulated over micro-batches, and averaged over ranks as DDP does."""
        leaves = [lp.clone().requires_grad_() for lp in self.log_probs]
        tokens = int(sum(m.sum() for m in self.masks))
        ranks = [list(range(8))] if ranks is None else ranks
        total = torch.zeros(())
        for rank, rows in itertools.product(ranks, split):
            mine = [r for r in rows if r in rank]
            if mine:
                output, data = self.micro_batch(mine, leaves, tokens, len(ranks))
                loss, _ = loss_fn(config=config, model_output=output, data=data)
                total = total + loss / len(ranks)
        total.backward()
        return total.item(), torch.cat([x.grad if x.grad is not None else torch.zeros_like(x) for x in leaves])


def two_channels(w_acc=1.0, w_tool=0.15):
    return lambda config, **kwargs: two_channel_loss(config, w_acc, w_tool, **kwargs)


def plain_loss(batch, w_acc, w_tool, qualifying=False):
    """Equation by equation, with no help from verl: dual-clipped surrogates, averaged over all response tokens."""
    leaves = [lp.clone().requires_grad_() for lp in batch.log_probs]

    def surrogate(advantage, old, new):
        ratio = (new - old).exp()
        clipped = torch.maximum(-advantage * ratio, -advantage * ratio.clamp(0.8, 1.2))
        return torch.minimum(-advantage * 3.0, clipped) if advantage < 0 else clipped

    totals = {"acc": 0.0, "tool": 0.0}
    for i, (old, new, mask) in enumerate(zip(batch.old, leaves, batch.masks, strict=True)):
        for name, advantages in (("acc", batch.acc), ("tool", batch.tool)):
            totals[name] = totals[name] + (surrogate(advantages[i], old, new) * mask).sum()
    tokens = sum(m.sum() for m in batch.masks)
    tool_tokens = sum(m.sum() for m, c in zip(batch.masks, batch.correct, strict=True) if c) if qualifying else tokens
    loss = w_acc * totals["acc"] / tokens + w_tool * totals["tool"] / tool_tokens
    loss.backward()
    return loss.item(), torch.cat([x.grad for x in leaves])


def same(a, b, tolerance=1e-6):
    assert a[0] == pytest.approx(b[0], abs=tolerance, rel=1e-6)
    torch.testing.assert_close(a[1], b[1], atol=tolerance, rtol=1e-6)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("w_acc", "w_tool"), [(1.0, 0.15), (0.5, 2.0), (0.0, 1.0)])
def test_is_the_papers_formula(seed, w_acc, w_tool):
    batch = Batch(seed)
    same(batch.gradient(two_channels(w_acc, w_tool), actor()), plain_loss(batch, w_acc, w_tool))


@pytest.mark.parametrize("seed", range(3))
def test_qualifying_denominator_is_the_tokens_of_q(seed):
    batch = Batch(seed)
    expected = plain_loss(batch, 1.0, 0.15, qualifying=True)
    tokens = torch.tensor([int(m.sum()) for m in batch.masks])
    batch.tool = batch.tool * qualifying_scale(mini_batches(8, 8, 1), batch.correct, tokens, "token-mean").float()
    for split in SPLITS:
        same(batch.gradient(two_channels(), actor(), split), expected)


# Not the same for every split in verl itself: clip_cov and kl_cov choose tokens, and geo_mean averages sequences,
# per micro-batch.
PER_MICRO_BATCH = {"clip_cov", "kl_cov", "geo_mean"}


@pytest.mark.parametrize("loss_mode", sorted(set(POLICY_LOSS_REGISTRY) - {"bypass_mode"} - PER_MICRO_BATCH))
@pytest.mark.parametrize("agg_mode", AGG_MODES)
def test_gradient_is_the_same_for_every_split_and_number_of_ranks(loss_mode, agg_mode):
    batch, config = Batch(), actor(agg_mode, loss_mode)
    whole = batch.gradient(two_channels(), config)
    for split in SPLITS[1:]:
        same(batch.gradient(two_channels(), config, split), whole)
    same(batch.gradient(two_channels(), config, SPLITS[1], ranks=[[0, 2, 4, 6], [1, 3, 5, 7]]), whole)


@pytest.mark.parametrize("loss_mode", sorted(set(POLICY_LOSS_REGISTRY) - {"bypass_mode"}))
def test_without_efficiency_weight_it_is_verls_loss_exactly(loss_mode):
    batch, config = Batch(), actor(loss_mode=loss_mode, entropy_coeff=0.0)
    ours, verls = batch.gradient(two_channels(1.0, 0.0), config), batch.gradient(ppo_loss, config)
    assert ours[0] == verls[0]
    assert torch.equal(ours[1], verls[1])


def test_losses_normalised_per_micro_batch_are_not_called_homogeneous():
    assert not PER_MICRO_BATCH & set(HOMOGENEOUS_LOSSES)


@pytest.mark.parametrize("loss_mode", HOMOGENEOUS_LOSSES)
def test_the_losses_called_homogeneous_are(loss_mode):
    batch, config = Batch(), actor(loss_mode=loss_mode)
    one = batch.gradient(ppo_loss, config)
    batch.acc = 3.0 * batch.acc
    three = batch.gradient(ppo_loss, config)
    same(three, (3 * one[0], 3 * one[1]), 1e-5)


@pytest.mark.parametrize("loss_mode", ["kl_cov", "dro"])
def test_the_losses_not_called_homogeneous_are_not(loss_mode):
    batch, config = Batch(), actor(loss_mode=loss_mode)
    one = batch.gradient(ppo_loss, config)
    batch.acc = 3.0 * batch.acc
    assert (batch.gradient(ppo_loss, config)[1] - 3 * one[1]).abs().max() > 1e-4


def test_at_ratio_one_two_losses_equal_one_on_the_sum_and_after_clipping_they_differ():
    def both(spread):
        batch = Batch(spread=spread)
        two = batch.gradient(two_channels(), actor())[1]
        batch.acc = batch.acc + 0.15 * batch.tool
        return (two - batch.gradient(ppo_loss, actor())[1]).abs().max()

    assert both(0.0) < 1e-8
    assert both(0.5) > 1e-3


def test_masked_rows_are_outside_the_loss_and_its_denominator():
    batch = Batch()
    for row in (1, 4):  # unknown outcomes
        batch.masks[row][:] = 0
    _, gradient = batch.gradient(two_channels(), actor())
    same((0, gradient), (0, plain_loss(batch, 1.0, 0.15)[1]))
    lengths = [len(m) for m in batch.masks]
    for row in (1, 4):
        assert not gradient.split(lengths)[row].any()


def test_a_mini_batch_of_unknown_outcomes_has_loss_zero_not_nan():
    batch = Batch()
    for mask in batch.masks:
        mask[:] = 0
    loss, gradient = batch.gradient(two_channels(), actor())
    assert loss == 0.0
    assert not gradient.any()


def test_every_micro_batch_reports_the_same_metrics_even_one_of_padding_alone():
    batch, config = Batch(), actor()
    names = set()
    for rows in ([0, 1], [7]):
        output, data = batch.micro_batch(rows, batch.log_probs, 40, 1)
        names.add(frozenset(two_channel_loss(config, 1.0, 0.15, output, data)[1]))
    assert len(names) == 1
    assert {"hdpo/tool/pg_loss", "hdpo/tool/pg_clipfrac", "actor/pg_loss", "actor/pg_clipfrac"} <= next(iter(names))


def test_a_tool_advantage_per_token_is_refused():
    batch = Batch()
    output, data = batch.micro_batch([0, 1], batch.log_probs, 40, 1)
    data["tool_advantages"] = torch.zeros(2, 1)
    with pytest.raises(ValueError, match="one float per row"):
        two_channel_loss(actor(), 1.0, 0.15, output, data)


def test_mini_batches_are_cut_as_verls_workers_cut_them():
    """Two ranks with four rows each, mini-batches of four: each takes the ranks' first, then second two rows."""
    assert mini_batches(8, 4, 2).tolist() == [0, 0, 1, 1, 0, 0, 1, 1]
    with pytest.raises(ValueError, match="do not divide"):
        mini_batches(8, 3, 1)


def test_qualifying_scale_by_hand():
    mini_batch, tokens = torch.tensor([0, 0, 0, 1, 1]), torch.tensor([2, 3, 5, 4, 0])
    q = torch.tensor([True, True, False, False, True])
    assert qualifying_scale(mini_batch, q, tokens, "token-mean").tolist() == [2.0, 2.0, 2.0, 0.0, 0.0]
    assert qualifying_scale(mini_batch, q, tokens, "seq-mean-token-mean").tolist() == [1.5, 1.5, 1.5, 0.0, 0.0]
    assert qualifying_scale(mini_batch, q, tokens, "token-sum").tolist() == [1.0] * 5
