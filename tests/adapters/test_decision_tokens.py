"""``tool_tokens=decision``: from the agent loop's spans to one advantage per token, and what is refused."""

from __future__ import annotations

import copy

import pytest
import torch
from bare_trainer import make_trainer
from batches import MIXED, Row, advantage_step
from composed import composed
from scripted_loop import FINAL, call, echo, function_tool, run_loop, text_of
from test_check import RUN, refusal
from test_loss import AGG_MODES, SPLITS, Batch, actor, same, two_channels

from verl_hdpo.adapters.check import check_run
from verl_hdpo.algorithm.decisions import deciding_tokens, decision_advantages, sign_errors
from verl_hdpo.algorithm.qualifying import HOMOGENEOUS_LOSSES
from verl_hdpo.outcomes.decision_spans import DECISION_SPANS_KEY
from verl_hdpo.outcomes.outcome import OutcomeError

pytestmark = [pytest.mark.usefixtures("transfer_queue"), pytest.mark.slow]
TOOLS = [function_tool(echo)]
DECISION = "+algorithm.hdpo.tool_tokens=decision"


def rows_with(spans):
    rows = copy.deepcopy(MIXED)
    for row, own in zip(rows, spans, strict=True):
        row.extra_fields[DECISION_SPANS_KEY] = own
    return rows


def test_the_advantage_is_on_trained_tokens_within_the_spans():
    mask = torch.tensor([1, 1, 0, 0, 1, 1, 1])
    decides = [deciding_tokens([[0, 1], [3, 6]], mask), deciding_tokens([], torch.zeros(1))]
    [row, padding] = decision_advantages(torch.tensor([-2.0, 0.0]), decides)
    assert row.tolist() == [-2, 0, 0, 0, -2, -2, 0] and padding.tolist() == [0]
    assert row.dtype == torch.float32
    assert deciding_tokens([[5, 99]], mask).tolist() == [False] * 5 + [True] * 2


def test_a_sign_error_is_a_token_that_does_not_decide_and_that_efficiency_turns_round():
    """The second row's and the third's."""
    accuracy, both = torch.tensor([1.0, 1.0, 0.0, -1.0]), torch.tensor([0.5, -0.5, 0.2, -1.2])
    assert sign_errors(accuracy, both, torch.tensor([2, 2, 0, 2])) == pytest.approx(2 / 6)
    assert sign_errors(accuracy, both, torch.tensor([3, 3, 3, 3])) == pytest.approx(6 / 12)
    assert sign_errors(accuracy, both, torch.tensor([0, 0, 0, 0])) == 0.0


def test_the_trainer_writes_one_number_per_token_beside_verls_advantages():
    """Token 1 of each row is an observation."""
    spans = [[[0, 1]], [[0, 2], [2, 4]], [[0, 4]], [[0, 4]], [[0, 1]], [[4, 5]]]
    padding = Row("pad", 0, padding=True, length=2)
    rows = [*rows_with(spans), padding]
    batch, metrics, data = advantage_step(make_trainer(DECISION), rows)
    assert "tool_advantages" in batch.fields and metrics["hdpo/tool/sign_errors"] == 0
    _, heavy, _ = advantage_step(make_trainer(DECISION, "+algorithm.hdpo.w_tool=5"), copy.deepcopy(rows))
    assert heavy["hdpo/tool/sign_errors"] == pytest.approx(2 / 9)  # the second row's, whose call is pushed down
    found = [row.tolist() for row in data["tool_advantages"].unbind()]
    first, second, third = 1.1209, -0.3203, -0.8006  # as without, in test_trainer.py
    expected = [[first, 0, 0, 0], [second, 0, second, second, 0, 0], [third, 0, third, third], [0.0] * 4, [0.0] * 4,
                [0.0] * 5, [0.0] * 2]  # fmt: skip
    assert [len(row) for row in found] == [len(row) for row in expected]
    for got, wanted in zip(found, expected, strict=True):
        assert got == pytest.approx(wanted, abs=1e-4)
    _, _, plain = advantage_step(make_trainer(), copy.deepcopy(MIXED))
    assert torch.equal(data["advantages"].values()[: len(plain["advantages"].values())], plain["advantages"].values())


def test_the_tokens_that_decide_are_told_where_a_run_asks_for_them():
    """Of each turn those up to the opening of its call or answer, in the tokens of the response."""
    texts = ["let me see " + call("echo"), "so " + FINAL]
    output, _, _ = run_loop(texts, TOOLS, hdpo={"tool_tokens": "decision"})
    assert [text_of(output.response_ids[start:end]) for start, end in output.extra_fields["decision_spans"]] == [
        "let me see <tool_call>", "so <answer>",
    ]  # fmt: skip
    assert "decision_spans" not in run_loop(texts, TOOLS)[0].extra_fields
    assert (
        "decision_spans"
        not in run_loop(texts, TOOLS, hdpo={"tool_tokens": "decision"}, adv_estimator="otc")[0].extra_fields
    )
    output, _, _ = run_loop(["so it is #4"], TOOLS, hdpo={"tool_tokens": "decision", "answer_opening": "#"})
    [(start, end)] = output.extra_fields["decision_spans"]
    assert text_of(output.response_ids[start:end]) == "so it is #"


@pytest.mark.parametrize("what", ["no spans", "several outputs"])
def test_a_rollout_that_does_not_say_where_it_decides_ends_the_run(what):
    rows = rows_with([[[0, 1]]] * len(MIXED))
    if what == "no spans":
        del rows[2].extra_fields[DECISION_SPANS_KEY]
    else:
        again = copy.deepcopy(rows[1])
        again.key = "a_1_1"
        rows.append(again)
    with pytest.raises(
        OutcomeError, match=r"tool_tokens=decision needs to know where a rollout decides.*hdpo_tool_agent"
    ):
        advantage_step(make_trainer(DECISION), rows)


class Decided(Batch):
    """The same rows, their efficiency advantage on every other token."""

    def __init__(self, seed):
        super().__init__(seed)
        spans = [[[at, at + 1] for at in range(0, len(mask), 2)] for mask in self.masks]
        self.per_token = decision_advantages(self.tool, [*map(deciding_tokens, spans, self.masks)])

    def micro_batch(self, rows, leaves, batch_num_tokens, dp_size):
        output, data = super().micro_batch(rows, leaves, batch_num_tokens, dp_size)
        data["tool_advantages"] = torch.nested.as_nested_tensor([self.per_token[r] for r in rows], layout=torch.jagged)
        return output, data


@pytest.mark.parametrize("mode", AGG_MODES)
@pytest.mark.parametrize("loss_mode", ["vanilla", "gspo", "cispo"])
def test_the_loss_does_not_depend_on_how_rows_are_split(mode, loss_mode):
    batch, config = Decided(1), actor(mode, loss_mode)
    whole = batch.gradient(two_channels(), config)
    for split in SPLITS[1:]:
        same(batch.gradient(two_channels(), config, split), whole)
    same(batch.gradient(two_channels(), config, SPLITS[1], ranks=[[0, 2, 4, 6], [1, 3, 5, 7]]), whole)


@pytest.mark.parametrize("loss_mode", HOMOGENEOUS_LOSSES)
def test_tokens_that_do_not_decide_have_the_gradient_of_accuracy_alone_and_the_others_that_of_all(loss_mode):
    """Per token, since a leaf of log-probabilities per token is what is differentiated; gspo's ratio joins a row's."""
    batch, config = Decided(2), actor(loss_mode=loss_mode)
    decides = torch.cat([row != 0 for row in batch.per_token])
    assert 0 < decides.sum() < len(decides)
    found = batch.gradient(two_channels(), config)[1]
    everywhere = Batch(2).gradient(two_channels(), config)[1]
    accuracy = Batch(2).gradient(two_channels(w_tool=0.0), config)[1]
    torch.testing.assert_close(found[decides], everywhere[decides], atol=1e-7, rtol=1e-5)
    torch.testing.assert_close(found[~decides], accuracy[~decides], atol=1e-7, rtol=1e-5)


def test_advantages_of_another_shape_are_refused():
    batch = Decided(0)
    batch.per_token = [row[:-1] if len(row) > 1 else row for row in batch.per_token]
    with pytest.raises(ValueError, match="one float per row or per token"):
        batch.gradient(two_channels(), actor())


def test_a_run_with_the_packages_agent_loop_passes():
    check_run(composed(*RUN, DECISION))


@pytest.mark.parametrize(
    ("overrides", "why"),
    [
        (("+algorithm.hdpo.combine=advantage",), "with combine=advantage there is but one loss"),
        (
            ("actor_rollout_ref.actor.policy_loss.loss_mode=geo_mean",),
            "geo_mean a token without an advantage has a loss",
        ),
        (
            ("actor_rollout_ref.rollout.agent.default_agent_loop=tool_agent",),
            "agent loop tool_agent does not tell which",
        ),
        (("actor_rollout_ref.rollout.multi_turn.format=gpt-oss",), "in the format gpt-oss no text opens a call"),
    ],
)
def test_where_it_would_be_something_else_it_is_refused(overrides, why):
    assert why in refusal(DECISION, *overrides)
