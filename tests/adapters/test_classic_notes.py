"""What the classic trainer writes beside its dump, as ``verl-hdpo look`` reads it."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from batches import MIXED, Row, padded
from composed import composed
from tiny import tiny_tokenizer
from verl.trainer import main_ppo_v0  # noqa: F401, which plugin.py waits for
from verl.trainer.ppo import ray_trainer

from verl_hdpo.adapters.advantage_step import AdvantageStep
from verl_hdpo.adapters.classic_trainer import ClassicTrainer
from verl_hdpo.adapters.padded_batch import PaddedBatch
from verl_hdpo.adapters.rollout_notes import RolloutNotes
from verl_hdpo.adapters.run_settings import run_settings
from verl_hdpo.evaluation.dumps.reader import read_rollouts

PROMPT = [{"role": "user", "content": "2+2?"}]
ROWS = [*MIXED, Row("a", 4, acc=0.0, known=0.0, calls=7)]


def bare_classic_trainer(folder):
    """As a run would get it, without verl's set-up, which takes workers."""
    config = composed(
        "algorithm.adv_estimator=hdpo",
        "actor_rollout_ref.rollout.n=4",
        "trainer.use_v1=false",
        "+algorithm.hdpo.max_unknown_rate=1",
        f"trainer.rollout_data_dir={folder}",
    )
    trainer = object.__new__(ClassicTrainer)
    trainer.config, trainer.use_critic, trainer._begun, trainer._metrics = config, False, None, {}
    trainer.hdpo, trainer.notes = AdvantageStep(run_settings(config), config), RolloutNotes(config)
    trainer.actor_rollout_wg = SimpleNamespace(_dispatch_info={"actor": [0]})
    return trainer


def column(values):
    return np.array([*values, None], dtype=object)[:-1]


@pytest.fixture
def rollouts(tmp_path):
    """The rollouts of a step, in an order that balancing has changed, and the batch that they were in."""
    folder = tmp_path / "dump"
    trainer = bare_classic_trainer(folder)
    trainer.tokenizer, trainer.global_steps = tiny_tokenizer(), 3
    trainer._init_dump_executor()
    batch = padded([*ROWS[::2], *ROWS[1::2]])
    batch.non_tensor_batch["raw_prompt"] = column([PROMPT] * len(ROWS))
    batch.non_tensor_batch["reward_model"] = column([{"ground_truth": "4"}] * len(ROWS))
    scores = batch.batch["rm_scores"]
    batch.batch["token_level_scores"], batch.batch["token_level_rewards"] = scores, scores
    trainer.begin_advantages(batch)
    stock = partial(ray_trainer.compute_advantage.__wrapped__, batch, "hdpo", config=trainer.config.algorithm)
    trainer.finish_advantages(batch, stock)
    trainer._log_rollout_data(batch, {"acc": [0.5] * len(ROWS)}, {}, str(folder))
    trainer._shutdown_dump_executor()
    by_id, keys = {one.id: one for one in read_rollouts(folder).rollouts}, PaddedBatch(batch).keys()
    return [by_id[f"3:{key}"] for key in keys], batch


def test_a_dump_says_why_one_rollout_went_up_and_another_down(rollouts):
    found, batch = rollouts
    rows = [*ROWS[::2], *ROWS[1::2]]
    assert [one.outcome for one in found] == [
        "correct" if row.correct else "wrong" if row.extra_fields["reward_extra_info"]["outcome_known"] else "unknown"
        for row in rows
    ]
    assert [one.calls for one in found] == [row.calls for row in rows]
    assert [one.tool_advantage for one in found] == pytest.approx(batch.batch["tool_advantages"].tolist())
    assert len({one.tool_advantage for one in found}) > 2
    accuracy = (batch.batch["advantages"].sum(dim=1) / batch.batch["response_mask"].sum(dim=1).clamp(min=1)).tolist()
    assert [one.advantage for one in found] == pytest.approx(accuracy, abs=1e-5)
    assert {(one.prompt[0].text, one.reference, one.step, one.estimator) for one in found} == {("2+2?", "4", 3, "hdpo")}


def test_its_rows_are_grouped_by_prompt_though_verl_writes_no_key_there(rollouts):
    found, _ = rollouts
    groups = [one.group for one in found]
    assert {groups.count(group) for group in groups} == {5, 2}
    assert len({one.id for one in found}) == len(ROWS)
