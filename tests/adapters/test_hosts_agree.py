"""Both hosts make the same of the same rollouts: advantages, masks, metrics, loss and gradient, to the bit.

The classic trainer's step is verl's own: ``SeparateRayPPOTrainer._fit_compute_advantage`` is the part of
``RayPPOTrainer.fit`` between log-probs and update, as a method. No worker group runs here.
"""

import copy
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from bare_trainer import make_trainer
from batches import MIXED, PROMPT, Row, advantage_step, log_probs, padded
from composed import composed
from verl.trainer import main_ppo_v0  # noqa: F401, which plugin.py waits for
from verl.trainer.ppo import core_algos, ray_trainer
from verl.trainer.ppo.ray_trainer import RayPPOTrainer
from verl.utils import tensordict_utils as tu
from verl.utils.config import omega_conf_to_dataclass
from verl.workers.utils.losses import ppo_loss
from verl.workers.utils.padding import left_right_2_no_padding

from verl_hdpo.adapters import classic_trainer
from verl_hdpo.adapters.advantage_step import AdvantageStep
from verl_hdpo.adapters.classic_trainer import ClassicTrainer
from verl_hdpo.adapters.rollout_notes import RolloutNotes
from verl_hdpo.adapters.run_settings import run_settings
from verl_hdpo.algorithm.estimators import ESTIMATORS
from verl_hdpo.outcomes.decision_spans import DECISION_SPANS_KEY
from verl_hdpo.outcomes.ledger import LOST_KEY

pytestmark = [pytest.mark.usefixtures("transfer_queue"), pytest.mark.slow]

UNKNOWN = [*MIXED, Row("a", 4, acc=0.0, known=0.0, calls=7, score=-50.0), Row("b", 2, calls=1, length=7)]
SPOILT = [*MIXED, Row("a", 4, acc=0.0, calls=2, score=float("nan")), Row("b", 2, calls=1)]
LOST = [*UNKNOWN, Row("c", 0), Row("c", 1)]
LOST[-1].extra_fields = {**LOST[-1].extra_fields, LOST_KEY: "ImageError"}
DECIDING = copy.deepcopy(UNKNOWN)
for number, deciding in enumerate(DECIDING):
    deciding.extra_fields[DECISION_SPANS_KEY] = [[0, 1 + number % 2], [2, 9]][: 1 + number % 3]
NONE_KNOWN = [Row("a", i, known=0.0) for i in range(4)]
KL = ("algorithm.use_kl_in_reward=True", "algorithm.kl_ctrl.type=adaptive", "algorithm.kl_ctrl.horizon=10")
CORRECTED = (
    "algorithm.rollout_correction.rollout_is=token",
    "algorithm.rollout_correction.rollout_is_batch_normalize=True",
)
QUALIFYING = ("+algorithm.hdpo.tool_loss_norm=qualifying",)
HDPO = ("algorithm.adv_estimator=hdpo",)
ACTOR = ("actor_rollout_ref.actor.use_dynamic_bsz=true", "actor_rollout_ref.actor.ppo_mini_batch_size=2")
WRITTEN = ("advantages", "returns", "tool_advantages", "response_mask", "rm_scores", "rollout_is_weights")
ANY_RATE = ("+algorithm.hdpo.max_unknown_rate=1", "+algorithm.hdpo.max_lost_rate=1")


def classic_trainer_of(config):
    settings = run_settings(config)
    trainer = object.__new__(ClassicTrainer if settings else RayPPOTrainer)
    trainer.config, trainer.use_critic = config, False
    trainer.hdpo = AdvantageStep(settings, config) if settings else None
    trainer._begun, trainer._metrics, trainer.notes = None, {}, RolloutNotes(config)
    trainer.actor_rollout_wg = SimpleNamespace(_dispatch_info={"actor": [0]})
    return trainer


def with_kl(trainer):
    if trainer.config.algorithm.use_kl_in_reward:
        trainer.kl_ctrl_in_reward = core_algos.get_kl_controller(trainer.config.algorithm.kl_ctrl)
    return trainer


def classic_step(monkeypatch, trainer, rows):
    """The batch after verl's own step, and its metrics; log-probs come from no worker but are in the rows."""
    from verl.experimental.separation import ray_trainer as separation

    monkeypatch.setattr(separation, "compute_advantage", ray_trainer.compute_advantage)
    for name in ("_compute_old_log_prob", "_compute_ref_log_prob"):
        monkeypatch.setattr(RayPPOTrainer, name, lambda self, batch: None)
    batch = padded(rows)
    trainer.reward_tensor, trainer.reward_extra_infos_dict = batch.batch["rm_scores"], {}
    trainer.metrics, trainer.timing_raw = {}, {}
    token = classic_trainer._host.set(trainer if trainer.hdpo else None)
    try:
        trainer._compute_old_log_prob(batch)
        trainer._compute_ref_log_prob(batch)
        batch = separation.SeparateRayPPOTrainer._fit_compute_advantage(trainer, batch)
    finally:
        classic_trainer._host.reset(token)
    return batch, {**trainer.metrics, **trainer._metrics}


def padded_like(field, width):
    """A field of TransferQueue as the classic trainer has it."""
    if not field.is_nested:
        return field
    return torch.stack([torch.nn.functional.pad(row, (0, width - len(row))) for row in field.unbind()])


def loss_and_gradient(trainer, rows, data):
    """Of the actor's loss on one micro-batch of all rows; the model's log-probs are the leaves, padded prompt first."""
    leaves = [(log_probs("new")(row)).requires_grad_() for row in rows]
    whole = [torch.cat([torch.zeros(PROMPT - 1), leaf, torch.zeros(1)]) for leaf in leaves]
    tokens = int(data["loss_mask"].values().sum() if data["loss_mask"].is_nested else data["loss_mask"].sum())
    for key, value in dict(dp_size=1, batch_num_tokens=tokens, global_batch_size=len(rows)).items():
        tu.assign_non_tensor_data(data, key, value)
    actor = omega_conf_to_dataclass(trainer.config.actor_rollout_ref.actor)
    hdpo = getattr(trainer, "hdpo", None)
    loss_fn = hdpo.loss() if hdpo and hdpo.scores else partial(ppo_loss, actor)
    output = {"log_probs": torch.nested.as_nested_tensor(whole, layout=torch.jagged)}
    loss, metrics = loss_fn(model_output=output, data=data)
    loss.backward()
    return loss, torch.cat([leaf.grad for leaf in leaves]), {name: x.aggregate() for name, x in metrics.items()}


CASES = {
    "plain": (MIXED, ()),
    "unknown outcomes": (UNKNOWN, ()),
    "a reward that is not finite": (SPOILT, ()),
    "lost rollouts": (LOST, ANY_RATE),
    "no outcome known": (NONE_KNOWN, ANY_RATE),
    "KL in the reward": (UNKNOWN, KL),
    "rollout correction": (UNKNOWN, CORRECTED),
    "a denominator of Q": (UNKNOWN, QUALIFYING),
    "an advantage where it is decided": (DECIDING, ("+algorithm.hdpo.tool_tokens=decision",)),
    "no efficiency channel": (UNKNOWN, ("+algorithm.hdpo.w_tool=0",)),
    "combined in the advantage": (UNKNOWN, ("+algorithm.hdpo.combine=advantage",)),
    "a guarded price": (UNKNOWN, ("algorithm.adv_estimator=priced", "+algorithm.priced.guard=true")),
    "observed only": (UNKNOWN, ("algorithm.adv_estimator=grpo", "+algorithm.hdpo.observe=True")),
    "stock": (MIXED, ("algorithm.adv_estimator=grpo",)),
    **{name: (UNKNOWN, (f"algorithm.adv_estimator={name}",)) for name in ESTIMATORS if name != "hdpo"},
}


@pytest.mark.parametrize("case", CASES)
def test_to_the_bit(case, monkeypatch):
    rows, overrides = CASES[case]
    overrides = (f"data.train_batch_size={len({row.uid for row in rows})}", *ACTOR, *overrides)
    v1 = with_kl(make_trainer(*overrides))
    v1.actor_rollout_wg = SimpleNamespace(_dispatch_info={"actor": [0]})
    _, v1_metrics, queued = advantage_step(v1, rows)
    classic = with_kl(classic_trainer_of(composed("actor_rollout_ref.rollout.n=4", *HDPO, *overrides)))
    batch, metrics = classic_step(monkeypatch, classic, rows)

    assert metrics == v1_metrics
    assert ("tool_advantages" in batch.batch) == ("tool_advantages" in queued)
    width = batch.batch["responses"].shape[1]
    for name in sorted({*WRITTEN} & set(queued.keys())):
        assert torch.equal(batch.batch[name], padded_like(queued[name], width)), name
    assert torch.equal(batch.batch["token_level_scores"], batch.batch["rm_scores"])
    assert batch.batch["advantages"].isfinite().all()

    ours, theirs = (
        loss_and_gradient(trainer, rows, data)
        for trainer, data in ((classic, left_right_2_no_padding(batch.to_tensordict())), (v1, queued))
    )
    assert torch.equal(ours[0], theirs[0])
    assert torch.equal(ours[1], theirs[1])
    assert ours[2] == theirs[2]


def test_the_classic_trainer_keeps_the_guard_s_state_in_its_checkpoints(tmp_path, monkeypatch):
    monkeypatch.setattr(RayPPOTrainer, "_save_checkpoint", lambda self: None)
    monkeypatch.setattr(RayPPOTrainer, "_load_checkpoint", lambda self: setattr(self, "global_steps", 7))
    guarded = ("algorithm.adv_estimator=priced", "+algorithm.priced.guard=true")
    overrides = (*guarded, *ACTOR, "actor_rollout_ref.rollout.n=4", f"trainer.default_local_dir={tmp_path}")
    first, second = (classic_trainer_of(composed(*overrides)) for _ in range(2))
    classic_step(monkeypatch, first, MIXED)
    first.global_steps = 7
    first._save_checkpoint()
    second._load_checkpoint()
    assert second.hdpo.guard._guard.state() == first.hdpo.guard._guard.state() != {}
