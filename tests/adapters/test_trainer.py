"""The trainer's advantage step on a real TransferQueue: what is read, what is written, and who takes part.

No worker group runs here; ``_compute_advantage`` is verl's own, extended, on an object that skips verl's set-up.
"""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from bare_trainer import make_trainer
from batches import MIXED, Row, advantage_step, per_row
from composed import composed
from plain_estimators import PLAIN
from plain_estimators import Row as PlainRow
from verl.trainer.ppo.v1 import get_trainer_cls
from verl.trainer.ppo.v1.trainer_base import PPOTrainer

from verl_hdpo.algorithm.estimators import ESTIMATORS
from verl_hdpo.outcomes.ledger import LEDGER_KEY, ToolLedger, ToolTally
from verl_hdpo.outcomes.outcome import OutcomeError
from verl_hdpo.outcomes.watch import TooManyUnknown

pytestmark = [pytest.mark.usefixtures("transfer_queue"), pytest.mark.slow]
RIVALS = [name for name in ESTIMATORS if name != "hdpo"]


def test_writes_both_channels_and_names_them_in_the_meta_that_workers_fetch():
    batch, metrics, data = advantage_step(make_trainer(), MIXED)
    assert {"advantages", "returns", "tool_advantages"} <= set(batch.fields)
    # acc (1, 1, 1, 0): mean .75, unbiased std .5; acc (0, 1): +-.7071
    np.testing.assert_allclose(per_row(data, "advantages"), [0.5, 0.5, 0.5, -1.5, -0.7071, 0.7071], atol=1e-4)
    # r_tool (1, 1/2, 1/3) over Q: mean 11/18, std .3469; one correct rollout in b says nothing
    expected = [1.1209, -0.3203, -0.8006, 0, 0, 0]
    torch.testing.assert_close(data["tool_advantages"], torch.tensor(expected), atol=1e-4, rtol=0)
    assert metrics["hdpo/tool_use_rate"] == pytest.approx(4 / 6)
    assert metrics["hdpo/qualifying_rate"] == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert metrics["hdpo/s/accuracy"] == pytest.approx(4 / 6)


def test_accuracy_channel_is_stock_grpo_bit_for_bit_with_several_outputs_and_padding():
    rows = [
        *MIXED,
        Row("a", 1, acc=0.0, index=1, length=3),  # the last output of that session: it decides
        Row("c", 0, acc=1.0),
        Row("pad", 0, padding=True, length=1),
        Row("c", 1, acc=0.0),
    ]
    rows[8].length = 2
    _, _, ours = advantage_step(make_trainer(), rows)
    _, _, stock = advantage_step(make_trainer(estimator="grpo"), rows)
    assert torch.equal(ours["advantages"].values(), stock["advantages"].values())
    assert "tool_advantages" not in stock


def test_rows_of_one_session_share_its_efficiency_advantage_and_padding_has_none():
    rows = [
        Row("a", 0, calls=0),
        Row("a", 1, calls=9, acc=0.0),
        Row("a", 1, calls=2, index=1),
        Row("pad", 0, padding=True),
    ]
    _, _, data = advantage_step(make_trainer(), rows)
    torch.testing.assert_close(data["tool_advantages"], torch.tensor([0.7071, -0.7071, -0.7071, 0]), atol=1e-4, rtol=0)


def test_unknown_outcomes_leave_statistics_loss_and_denominators():
    unknown = Row("a", 4, acc=0.0, known=0.0, calls=7, score=-50.0)
    _, metrics, data = advantage_step(make_trainer(), [*MIXED, unknown])
    _, _, without = advantage_step(make_trainer(), MIXED)
    assert torch.equal(data["tool_advantages"][:6], without["tool_advantages"])
    for ours, theirs in zip(data["advantages"].unbind()[:6], without["advantages"].unbind(), strict=True):
        assert torch.equal(ours, theirs)
    for name in ("response_mask", "loss_mask", "advantages"):
        assert not data[name].unbind()[6].any()
    assert data["loss_mask"].unbind()[0].tolist() == [1, 0, 1, 1]
    assert metrics["hdpo/unknown_rate"] == pytest.approx(1 / 7)
    assert metrics["hdpo/accuracy"] == pytest.approx(4 / 6)


def test_all_unknown_is_no_advantage_anywhere():
    _, metrics, data = advantage_step(make_trainer(), [Row("a", i, known=0.0) for i in range(4)])
    for field in ("advantages", "response_mask", "loss_mask"):
        assert not data[field].values().any(), field
    assert metrics["hdpo/unknown_rate"] == 1.0
    assert "hdpo/accuracy" not in metrics


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("score", [float("nan"), float("inf"), -float("inf")])
def test_a_reward_that_is_not_finite_is_an_unknown_outcome(name, score):
    """Under any reward manager; neither the group nor, whitened, the batch nor verl's own metrics see it."""
    spoilt = Row("a", 4, acc=0.0, calls=2, score=score)
    _, metrics, data = advantage_step(make_trainer(estimator=name), [*MIXED, spoilt])
    _, _, without = advantage_step(make_trainer(estimator=name), MIXED)
    for ours, theirs in zip(data["advantages"].unbind()[:6], without["advantages"].unbind(), strict=True):
        assert torch.equal(ours, theirs)
    for field in ("advantages", "response_mask", "loss_mask", "rm_scores"):
        assert not data[field].unbind()[6].any(), field
    assert metrics["hdpo/unknown_rate"] == pytest.approx(1 / 7)
    assert metrics["hdpo/unknown/reward_not_finite"] == pytest.approx(1 / 7)
    assert all(math.isfinite(value) for value in metrics.values())


def test_a_lone_survivor_has_no_advantage_and_the_lost_are_counted():
    trainer = make_trainer(
        "data.train_batch_size=2", "actor_rollout_ref.rollout.n=2", "+algorithm.hdpo.max_lost_rate=1"
    )
    _, metrics, data = advantage_step(trainer, [*MIXED[4:], Row("c", 0)])
    assert per_row(data, "advantages")[2] == 0
    assert data["tool_advantages"][2] == 0
    assert metrics["hdpo/rollouts_lost/missing"] == metrics["hdpo/rollouts_missing"] == 0 + 1


def test_lost_rollouts_change_nothing_for_the_others_and_are_counted_by_cause():
    lost = Row("a", 4, acc=0.0, calls=9)
    lost.extra_fields["rollout_lost"] = "image"
    _, metrics, data = advantage_step(make_trainer(), [*MIXED, lost])
    _, _, without = advantage_step(make_trainer(), MIXED)
    assert torch.equal(data["tool_advantages"][:6], without["tool_advantages"])
    assert not data["loss_mask"].unbind()[6].any()
    assert metrics["hdpo/rollouts_lost/image"] == 1


def test_a_run_that_loses_too_much_stops_and_says_why():
    trainer = make_trainer("data.train_batch_size=3", "+algorithm.hdpo.rate_window=2")
    with pytest.raises(
        TooManyUnknown, match=r"have an unknown outcome.*max_unknown_rate=0.2.*missing.*tool_unavailable"
    ):
        for _ in range(3):
            rows = [Row(uid, number) for uid in "ab" for number in range(4)]
            rows[0].extra_fields[LEDGER_KEY] = ToolLedger(1, unavailable=1).to_dict()
            advantage_step(trainer, rows)


def test_combine_advantage_writes_one_field():
    overrides = ("+algorithm.hdpo.combine=advantage", "+algorithm.hdpo.w_acc=2", "+algorithm.hdpo.w_tool=0.5")
    batch, _, data = advantage_step(make_trainer(*overrides), MIXED)
    assert "tool_advantages" not in batch.fields
    np.testing.assert_allclose(per_row(data, "advantages")[:3], [1 + 0.56045, 1 - 0.16015, 1 - 0.4003], atol=1e-4)


def test_qualifying_norm_scales_by_the_tokens_of_q():
    trainer = make_trainer(
        "+algorithm.hdpo.tool_loss_norm=qualifying",
        "actor_rollout_ref.actor.ppo_mini_batch_size=3",
        "actor_rollout_ref.rollout.n=2",
    )
    trainer.actor_rollout_wg = SimpleNamespace(_dispatch_info={"actor": [0]})
    _, _, scaled = advantage_step(trainer, MIXED)
    _, _, plain = advantage_step(make_trainer(), MIXED)
    tokens = [row.length - 1 for row in MIXED]
    factor = sum(tokens) / (tokens[0] + tokens[1] + tokens[2] + tokens[5])
    torch.testing.assert_close(scaled["tool_advantages"], plain["tool_advantages"] * factor)


def test_without_normalisation_by_std():
    _, _, data = advantage_step(make_trainer("algorithm.norm_adv_by_std_in_grpo=False"), MIXED)
    np.testing.assert_allclose(per_row(data, "advantages")[:4], [0.25, 0.25, 0.25, -0.75], atol=1e-6)
    torch.testing.assert_close(data["tool_advantages"][:3], torch.tensor([7 / 18, -2 / 18, -5 / 18]))


def plain(name, rows, **knobs):
    """The plain implementation on what those rows report; one row per rollout."""
    return PLAIN[name](
        [
            PlainRow(r.score, ord(r.uid), bool(info["outcome_known"]), bool(r.correct), float(r.calls))
            for r in rows
            for info in [r.extra_fields["reward_extra_info"]]
        ],
        **knobs,
    )


@pytest.mark.parametrize("name", RIVALS)
def test_a_rival_writes_its_own_advantage_and_no_second_channel(name):
    rows = [*MIXED, Row("a", 4, acc=0.0, known=0.0, calls=7, score=-50.0)]
    batch, metrics, data = advantage_step(make_trainer(estimator=name), rows)
    assert "tool_advantages" not in batch.fields
    np.testing.assert_allclose(per_row(data, "advantages")[:6], plain(name, rows)[:6], atol=1e-4)
    for field in ("response_mask", "loss_mask", "advantages"):
        assert not data[field].unbind()[6].any()
    assert data["advantages"].dtype == torch.float32
    assert metrics["hdpo/tool_use_rate"] == pytest.approx(5 / 7)
    assert metrics["hdpo/unknown_rate"] == pytest.approx(1 / 7)
    assert metrics["hdpo/s/accuracy"] == pytest.approx(4 / 6)


@pytest.mark.parametrize("name", RIVALS)
def test_a_rival_knows_padding_and_sessions_of_several_outputs(name):
    """As if only the last output of each session were there; its earlier ones share its advantage."""
    rows = [
        Row("a", 0, calls=0),
        Row("a", 1, calls=9, acc=0.0),
        Row("pad", 0, padding=True),
        Row("a", 1, calls=2, index=1, length=6),
        Row("a", 2, calls=1, acc=0.0),
    ]
    _, _, data = advantage_step(make_trainer(estimator=name), rows)
    first, second, third = plain(name, [rows[0], rows[3], rows[4]])
    expected = [first, second, 0, second, third]
    got = [row[0].item() for row in data["advantages"].unbind()]
    np.testing.assert_allclose(got, expected, atol=1e-4)


def test_a_rival_takes_its_own_settings_and_the_shared_ones():
    own = ("+algorithm.grpo_penalty.a=2", "+algorithm.grpo_penalty.gated=true")
    trainer = make_trainer(*own, "+algorithm.hdpo.norm_by_std=false", estimator="grpo_penalty")
    _, _, data = advantage_step(trainer, MIXED)
    rewards = np.array([3, 2, 5 / 3, 0])  # group a: 1 + 2/(T + 1) for the correct
    np.testing.assert_allclose(per_row(data, "advantages")[:4], rewards - rewards.mean(), atol=1e-5)


@pytest.mark.parametrize("name", ["hdpo", "grpo_penalty"])
def test_costs_of_tools_take_the_place_of_calls(name):
    costly, _, _ = rows = [Row("a", 0, calls=1), Row("a", 1, calls=3), Row("a", 2, acc=0.0)]
    costly.extra_fields[LEDGER_KEY] = ToolLedger(1, tools={"search": ToolTally(executed=1)}).to_dict()
    field = {"hdpo": "tool_advantages", "grpo_penalty": "advantages"}[name]

    def first_two(*overrides):
        _, metrics, data = advantage_step(make_trainer(*overrides, estimator=name), rows)
        values = [row.flatten()[0].item() for row in data[field].unbind()[:2]]
        return values, metrics

    (cheap, dear), metrics = first_two()
    assert cheap > dear
    assert "hdpo/tool_cost/mean" not in metrics
    (dear, cheap), metrics = first_two("+algorithm.hdpo.tool_costs={search: 7, calc: 0.5}")
    assert cheap > dear
    assert metrics["hdpo/tool_cost/mean"] == pytest.approx((7 + 1.5) / 3)
    (one, other), _ = first_two("+algorithm.hdpo.tool_costs={search: 3}")
    assert one == pytest.approx(other)  # three calls of cost 1, one call of cost 3
    assert (one == 0) == (name == "hdpo")


def test_costs_need_a_ledger():
    rows = [Row("a", i) for i in range(2)]
    for row in rows:
        del row.extra_fields[LEDGER_KEY]
    with pytest.raises(OutcomeError, match="tool_costs needs to know which tools"):
        advantage_step(make_trainer("+algorithm.hdpo.tool_costs={search: 3}"), rows)


def test_verls_own_gdpo_cannot_run_on_this_trainer():
    """Why there is a tool_gdpo. Once verl's runs here, the docs that say otherwise have to change."""
    overrides = ["+algorithm.gdpo_reward_keys=[acc]"]
    with pytest.raises(KeyError, match="prompts"):
        advantage_step(make_trainer(*overrides, estimator="gdpo"), MIXED)


def test_a_group_that_arrives_short_keeps_its_statistics_and_is_counted():
    trainer = make_trainer("data.train_batch_size=3", "actor_rollout_ref.rollout.n=4")
    _, metrics, data = advantage_step(trainer, MIXED)
    assert (metrics["hdpo/groups_incomplete"], metrics["hdpo/rollouts_missing"]) == (2, 2 + 4)
    assert metrics["hdpo/group_size"] == 4
    assert data["tool_advantages"][:3].sum().item() == pytest.approx(0, abs=1e-6)
    assert metrics["hdpo/qualifying_rate"] == pytest.approx((3 / 4 + 1 / 2) / 2)


def test_several_updates_between_weight_syncs_are_one_step_of_metrics():
    """verl's own ``step`` and aggregator, around updates of 6 and of 2 rollouts; "s" is a data source."""
    trainer = make_trainer("data.train_batch_size=4")
    trainer.parameter_sync_step = 2
    trainer.prepare_step = dict
    updates = iter([MIXED, [Row("c", 0, calls=9, source="minimal"), Row("c", 1, calls=0, source="minimal")]])

    def stock_step_once(self, metrics, timing_raw, sample_batch_size):
        batch, ours, _ = advantage_step(self, next(updates))
        metrics.update(ours)
        return batch

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PPOTrainer, "_step_once", stock_step_once)
        trainer.step(metrics := {}, {})
    assert metrics["hdpo/tool_use_rate"] == pytest.approx((6 * 4 / 6 + 2 * 1 / 2) / 8)
    assert metrics["hdpo/tool_calls/max"] == 9
    assert metrics["hdpo/minimal/tool_use_rate"] == 0.5
    # Five of eight called a tool and four of those are right; a mean of the updates' rates would be (6 * 3/4 + 2) / 8.
    assert metrics["hdpo/accuracy_given_tool"] == pytest.approx(4 / 5)
    assert metrics["hdpo/rollouts_missing"] == 2 + (2 + 4)


def test_observing_a_grpo_run_adds_metrics_and_nothing_else():
    observed, metrics, data = advantage_step(make_trainer("+algorithm.hdpo.observe=True", estimator="grpo"), MIXED)
    stock, stock_metrics, stock_data = advantage_step(make_trainer(estimator="grpo"), MIXED)
    assert metrics["hdpo/tool_use_rate"] == pytest.approx(4 / 6)
    assert not any(name.startswith("hdpo/") for name in stock_metrics)
    assert sorted(observed.fields) == sorted(stock.fields)
    assert torch.equal(data["advantages"].values(), stock_data["advantages"].values())


def test_a_user_s_own_trainer_stays_what_it_is_where_hdpo_is_not_asked_for(monkeypatch):
    """A subclass of what the registry holds, which has to work as a subclass of verl's class."""

    class Mine(get_trainer_cls("sync")):
        pass

    monkeypatch.setattr(PPOTrainer, "__init__", lambda self, config: setattr(self, "config", config))
    trainer = Mine(config=composed("actor_rollout_ref.rollout.n=4", "algorithm.adv_estimator=grpo"))
    assert type(trainer) is Mine
    trainer.parameter_sync_step = 1
    _, metrics, data = advantage_step(trainer, MIXED)
    _, _, stock = advantage_step(make_trainer(estimator="grpo"), MIXED)
    assert not any(name.startswith("hdpo/") for name in metrics)
    assert torch.equal(data["advantages"].values(), stock["advantages"].values())
