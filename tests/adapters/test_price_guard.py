"""The guard of ``priced`` in the trainer: its prices in the advantages, its metrics, and its place in checkpoints."""

from __future__ import annotations

import logging

import pytest
import torch
from bare_trainer import make_trainer
from batches import Row, advantage_step, per_row
from verl.trainer.ppo.v1.trainer_base import PPOTrainer

from verl_hdpo.adapters.price_guard import FILE, PriceGuard

pytestmark = [pytest.mark.usefixtures("transfer_queue"), pytest.mark.slow]
ANY = ("data.train_batch_size=2", "+algorithm.hdpo.max_unknown_rate=1", "+algorithm.hdpo.max_lost_rate=1")
GUARDED = (
    *ANY,
    "+algorithm.priced.price=0.4",
    "+algorithm.priced.guard=true",
    "+algorithm.priced.guard_window=1",
    "+algorithm.priced.guard_margin=0.1",  # over what is at stake in so few answers
)


def batch(right, source="s", prompts=2):
    """Prompts of four, ``right`` of each four correct, every other with a call; one of unknown outcome beside."""
    rows = [
        Row(f"{source}{prompt}", number, acc=float(number < right), calls=number % 2, source=source)
        for prompt in range(prompts)
        for number in range(4)
    ]
    return [*rows, Row(f"{source}0", 4, known=0.0, calls=1, source=source)]


def step(trainer, rows):
    _, metrics, data = advantage_step(trainer, rows)
    return metrics, per_row(data, "advantages")


def test_no_price_is_asked_until_the_level_is_known_and_then_the_one_set():
    trainer = make_trainer(*GUARDED, estimator="priced")
    metrics, free = step(trainer, batch(2))
    assert metrics["hdpo/s/price"] == 0 and metrics["hdpo/s/guard_level"] == 0.5
    assert free == pytest.approx(step(make_trainer(*ANY, "+algorithm.priced.price=0", estimator="priced"), batch(2))[1])
    metrics, dear = step(trainer, batch(2))
    assert metrics["hdpo/s/price"] == pytest.approx(0.4)
    assert dear == pytest.approx(
        step(make_trainer(*ANY, "+algorithm.priced.price=0.4", estimator="priced"), batch(2))[1]
    )
    assert dear != pytest.approx(free)


def test_each_source_has_its_own_price_in_one_batch():
    trainer = make_trainer(*GUARDED, estimator="priced")
    step(trainer, batch(2, "old"))
    metrics, both = step(trainer, batch(2, "old") + batch(2, "new"))
    assert (metrics["hdpo/old/price"], metrics["hdpo/new/price"]) == (pytest.approx(0.4), 0)
    plain = {price: make_trainer(*ANY, f"+algorithm.priced.price={price}", estimator="priced") for price in (0.4, 0)}
    assert both == pytest.approx(step(plain[0.4], batch(2, "old"))[1] + step(plain[0], batch(2, "new"))[1])


def test_unknown_outcomes_have_no_part_in_it():
    trainer = make_trainer(*GUARDED, estimator="priced")
    step(trainer, batch(2))
    state = trainer.hdpo.guard._guard.state()
    unknown = [Row("s", number, known=0.0) for number in range(4)]
    metrics, advantages = step(trainer, unknown)
    assert trainer.hdpo.guard._guard.state() == state and not any(advantages)
    assert metrics["hdpo/s/guard_level"] == 0.5


def test_without_it_there_is_none():
    assert make_trainer(estimator="priced").hdpo.guard is None and make_trainer().hdpo.guard is None
    assert PriceGuard.of(None) is None


@pytest.mark.parametrize("mode", ["auto", "resume_path"])
def test_its_state_is_in_the_checkpoint_and_resume_is_exact(mode, tmp_path, monkeypatch):
    """verl's own part of a checkpoint is left out; it says at which step a run resumes."""
    monkeypatch.setattr(PPOTrainer, "_save_checkpoint", lambda self: None)
    monkeypatch.setattr(PPOTrainer, "_load_checkpoint", lambda self: setattr(self, "global_steps", 7))
    local = f"trainer.default_local_dir={tmp_path}"
    first = make_trainer(*GUARDED, local, estimator="priced")
    for right in (3, 3, 0):
        step(first, batch(right, prompts=30))
    first.global_steps = 7
    first._save_checkpoint()
    assert (tmp_path / "global_step_7" / FILE).is_file()
    how = [local] if mode == "auto" else [f"trainer.resume_from_path={tmp_path}/global_step_7"]
    second = make_trainer(*GUARDED, f"trainer.resume_mode={mode}", *how, estimator="priced")
    second._load_checkpoint()
    for right in (0, 1, 3):
        (metrics, one), (also, other) = (step(trainer, batch(right, prompts=30)) for trainer in (first, second))
        assert one == other and {k: v for k, v in metrics.items() if "s/" in k} == {
            k: v for k, v in also.items() if "s/" in k
        }
    assert metrics["hdpo/s/price"] < 0.4


def test_a_checkpoint_without_it_starts_it_anew_and_says_so(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(PPOTrainer, "_load_checkpoint", lambda self: setattr(self, "global_steps", 7))
    trainer = make_trainer(*GUARDED, f"trainer.default_local_dir={tmp_path}", estimator="priced")
    with caplog.at_level(logging.WARNING):
        trainer._load_checkpoint()
    assert "the guard of priced measures accuracy anew" in caplog.text
    assert step(trainer, batch(2))[0]["hdpo/s/price"] == 0


def test_the_prices_are_doubles_in_the_order_of_the_rollouts():
    trainer = make_trainer(*GUARDED, estimator="priced")
    step(trainer, batch(2))
    prices, _ = trainer.hdpo.guard.prices(trainer.hdpo.last)
    assert prices.dtype == torch.float64 and prices.tolist() == pytest.approx([0.4] * 9)
