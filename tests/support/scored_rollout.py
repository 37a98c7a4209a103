"""A rollout as verl's agent loop sends it, and what the reward manager ``hdpo`` makes of it."""

import asyncio

import numpy as np
import torch
from omegaconf import OmegaConf
from tensordict import TensorDict
from tiny import tiny_tokenizer
from verl import DataProto

from verl_hdpo.adapters.reward_manager import HDPORewardManager
from verl_hdpo.outcomes.ledger import ToolLedger
from verl_hdpo.outcomes.report import ANSWER_KEY, SOURCE_KEY

KEYS = [
    "acc", "format", "outcome_known", "accuracy_reward", "tool_reward", "tool_calls", "tool_used", "hdpo_signal",
    "tool_executed", "tool_failed", "tool_timed_out", "tool_dropped",
]  # fmt: skip
IN_THREADS = {"function_processes": 0}
"""For functions that are in no file, which processes would load."""
RIGHT = "<answer>4</answer><|im_end|>"
WRONG = "<answer>5</answer><|im_end|>"


def config(reward_kwargs=None, hdpo=None, custom_path=None, adv_estimator="grpo"):
    reward = {"custom_reward_function": {"path": custom_path, "name": "compute_score"}}
    reward |= {"reward_manager": {"source": "register", "name": "hdpo"}}
    reward |= {} if reward_kwargs is None else {"reward_kwargs": reward_kwargs}
    algorithm = {"adv_estimator": adv_estimator} | ({} if hdpo is None else {"hdpo": hdpo})
    return OmegaConf.create({"reward": reward, "algorithm": algorithm})


def ledger_with(**outcomes):
    ledger = ToolLedger(outcomes.pop("rounds", 1), outcomes.pop("unavailable", 0))
    for outcome, n in outcomes.items():
        for _ in range(n):
            ledger.record("python", outcome)
    return ledger


def rollout(*pieces, ground_truth="4", ledger=None, spans=True, num_turns=None, special_tags=False, **row):
    """One row as verl's agent loop sends it; ``pieces`` alternate model text and tool text."""
    tokenizer = tiny_tokenizer(special_tags)
    ids, model = [], []
    for i, piece in enumerate(pieces):
        piece_ids = tokenizer.encode(piece)
        if i % 2 == 0:
            model.append([len(ids), len(ids) + len(piece_ids)])
        ids += piece_ids
    fields = {"model_spans": model} if spans else {}
    if ledger is not None:
        fields["tool_ledger"] = ledger.to_dict()
    pad = 3  # verl pads on the right where rollouts of different lengths meet
    responses = torch.tensor([ids + [tokenizer.pad_token_id] * pad])
    mask = torch.tensor([[1] * (2 + len(ids)) + [0] * pad])
    values = {
        "data_source": "sums",
        "reward_model": {"ground_truth": ground_truth, "style": "rule"},
        "extra_info": {"index": 7},
        "raw_prompt": [{"role": "system", "content": "s"}, {"role": "user", "content": "2+2?"}],
        "__num_turns__": num_turns if num_turns is not None else len(pieces) + 1,
        "tool_extra_fields": fields,
        **row,
    }
    batch = {"prompts": torch.zeros(1, 2, dtype=torch.long), "responses": responses, "attention_mask": mask}
    return DataProto(
        batch=TensorDict(batch, batch_size=1), non_tensor_batch={k: np.array([v]) for k, v in values.items()}
    )


def score(data, compute_score=None, checker=None, special_tags=False, **settings):
    if compute_score is not None:
        settings["custom_path"] = "rewards.py"
        settings["reward_kwargs"] = IN_THREADS | settings.get("reward_kwargs", {})

    async def run():
        manager = HDPORewardManager(config(**settings), tiny_tokenizer(special_tags), compute_score, checker=checker)
        return await manager.run_single(data)

    result = asyncio.run(run())
    info = result["reward_extra_info"]
    assert isinstance(info.pop(SOURCE_KEY), str) and isinstance(info.pop(ANSWER_KEY), str)
    assert list(info) == KEYS and all(type(value) is float for value in info.values())
    return result["reward_score"], info


def unknown(result):
    reward, info = result
    assert info["outcome_known"] == info["acc"] == info["accuracy_reward"] == info["hdpo_signal"] == 0.0
    return reward == 0.0
