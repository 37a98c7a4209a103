"""A batch rewarded with the colocated reward model as its judge, on a real TransferQueue and by verl's own managers.

Only Ray's actors are left out: the reward worker runs here, and its judge is a server of the test's.
"""

import asyncio
from types import SimpleNamespace

import pytest
import ray
import torch
import transfer_queue as tq
from composed import composed
from judge_servers import asked_about, verdict
from local_service import serving
from tensordict import NonTensorStack, TensorDict
from tiny import tiny_tokenizer
from transfer_queue import KVBatchMeta
from verl.experimental.reward_loop.reward_loop import RewardLoopManager, RewardLoopWorker
from verl.trainer.ppo.reward import load_reward_manager
from verl.trainer.ppo.v1 import get_trainer_cls
from verl.trainer.ppo.v1.trainer_base import PPOTrainer

from verl_hdpo.adapters.reward_manager import HDPORewardManager
from verl_hdpo.outcomes.batch import Outcomes
from verl_hdpo.outcomes.ledger import LEDGER_KEY, MODEL_SPANS_KEY, ToolLedger
from verl_hdpo.settings.outcomes import OutcomeSettings

pytestmark = [pytest.mark.usefixtures("transfer_queue"), pytest.mark.slow]
COLOCATED = [
    "algorithm.adv_estimator=grpo",
    "reward.reward_manager.name=hdpo",
    "reward.reward_model.enable=true",
    "reward.reward_model.model_path=judge",
    "+reward.reward_kwargs.judge=always",
]
ANSWERS = {"a_0_0": "the first output", "a_0_1": "<answer>right</answer>", "a_1_0": "<answer>no</answer>", "b_0_0": ""}
"""Of each row; ``a_0`` has two outputs, the last of which holds the answer."""


def put():
    tokenizer = tiny_tokenizer()
    texts = [tokenizer.encode(answer or "nothing") for answer in ANSWERS.values()]

    def jagged(rows):
        return torch.nested.as_nested_tensor([torch.tensor(row) for row in rows], layout=torch.jagged)

    ledger = ToolLedger()
    ledger.record("python", "executed")
    extra = [{MODEL_SPANS_KEY: [[0, len(ids)]], LEDGER_KEY: ledger.to_dict(), "row": i} for i, ids in enumerate(texts)]
    size = len(texts)
    fields = {
        "prompts": jagged([[1] * (i + 1) for i in range(size)]),
        "responses": jagged(texts),
        "raw_prompt": NonTensorStack(*[[{"role": "user", "content": "What?"}]] * size),
        "reward_model": NonTensorStack(*[{"ground_truth": ["truth", "fact"], "style": "rule"}] * size),
        "data_source": NonTensorStack(*["s"] * size),
        "extra_info": NonTensorStack(*[{"index": i} for i in range(size)]),
        "extra_fields": NonTensorStack(*extra),
        "num_turns": torch.tensor([2] * size),
    }
    keys = list(ANSWERS)
    tq.kv_batch_put(keys=keys, partition_id="train", fields=TensorDict(fields, batch_size=size), tags=[{}] * size)
    return KVBatchMeta(keys=keys, tags=[{}] * size, partition_id="train", fields=sorted(fields))


def trainer_with(url, slept):
    config = composed(*COLOCATED)
    worker = object.__new__(RewardLoopWorker)
    worker.config = config

    def rewards(chunk):
        async def run():
            worker.reward_manager = load_reward_manager(config, tiny_tokenizer(), reward_router_address=url)
            try:
                return await worker.compute_score_batch(chunk)
            finally:
                await worker.reward_manager.checker.judge.close()

        assert slept == ["awake"]
        return ray.put(asyncio.run(run()))

    manager = object.__new__(RewardLoopManager)
    manager.reward_loop_workers = [SimpleNamespace(compute_score_batch=SimpleNamespace(remote=rewards))]
    manager.reward_manager_cls = HDPORewardManager
    manager.reward_model_manager = SimpleNamespace(
        wake_up=lambda: slept.append("awake"), sleep=lambda: slept.append("asleep")
    )
    trainer = object.__new__(get_trainer_cls("sync"))
    trainer.config, trainer.hdpo, trainer.reward_loop_manager = config, None, manager
    return trainer


def test_every_rollout_is_judged_by_its_last_output_and_its_rows_share_what_came_of_it():
    def judge(asked):
        return verdict("correct" if asked_about(asked.body)[3] == "right" else "wrong")

    batch, slept = put(), []
    try:
        with serving(judge) as (service, url):
            trainer = trainer_with(url.removeprefix("http://"), slept)
            assert trainer._compute_reward_colocate(batch, metrics={}) is batch
        data = tq.kv_batch_get(keys=batch.keys, partition_id="train")
    finally:
        tq.kv_clear(keys=batch.keys, partition_id="train")
    assert slept == ["awake", "asleep"]
    assert sorted(asked_about(asked.body)[1:] for asked in service.asked) == [
        ("What?", ["truth", "fact"], "no"), ("What?", ["truth", "fact"], "right"),
    ]  # fmt: skip
    lengths = [len(response) for response in data["responses"].unbind()]
    scores = data.pop("rm_scores").unbind()
    assert [len(row) for row in scores] == lengths and [float(row[:-1].sum()) for row in scores] == [0.0] * 4
    assert [round(float(row[-1]), 6) for row in scores] == [1.0, 1.0, 0.1, 0.0]
    extra_fields = data.pop("extra_fields").tolist()
    assert [fields["row"] for fields in extra_fields] == [0, 1, 2, 3]
    outcomes = Outcomes.read(extra_fields, [2] * 4, OutcomeSettings())
    assert outcomes.known_B.tolist() == [True] * 4 and outcomes.correct_B.tolist() == [True, True, False, False]
    assert outcomes.sources == ("judge", "judge", "judge", "no_answer")
    assert outcomes.tool_calls_B.tolist() == [1] * 4


def test_another_reward_manager_is_left_to_verl(monkeypatch):
    trainer = trainer_with("127.0.0.1:1", [])
    trainer.config.reward.reward_manager.name = "naive"
    monkeypatch.setattr(PPOTrainer, "_compute_reward_colocate", lambda *_, **__: "verl's own")
    assert trainer._compute_reward_colocate(None) == "verl's own"
