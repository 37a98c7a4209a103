"""GDPO cannot run on trainer V1.

``compute_gdpo_outcome_advantage`` reads the rewards' components from ``non_tensor_batch``, and ``prompts`` and
``attention_mask`` from the batch. V1's ``_compute_advantage`` fetches none of the three from TransferQueue. Every run
with ``algorithm.adv_estimator=gdpo`` ends in an error.

Package: verl
Place: verl/trainer/ppo/v1/trainer_base.py, PPOTrainer._compute_advantage
Ours: verl_hdpo/compare/variant.py: ALIASES
"""

import inspect

import numpy as np
import torch
from verl import DataProto
from verl.trainer.ppo.v1.trainer_base import PPOTrainer
from verl.trainer.ppo.v1.utils import compute_advantage_for_multi_trajectories


def is_there() -> bool:
    """With what V1 fetches the estimator raises, and V1 fetches no more than that."""
    fetched = {"token_level_rewards": torch.ones(2, 3), "response_mask": torch.ones(2, 3)}
    data = DataProto.from_dict(tensors=fetched, non_tensors={"uid": np.array(["p", "p"], dtype=object)})
    keys, config = ["p_0_0", "p_1_0"], {"gdpo_reward_keys": ["acc"]}
    source = inspect.getsource(PPOTrainer._compute_advantage)
    try:
        compute_advantage_for_multi_trajectories(data, batch_keys=keys, adv_estimator="gdpo", config=config)
    except (AssertionError, KeyError):
        return not ("gdpo" in source or "attention_mask" in source)
    return False


if __name__ == "__main__":
    print("still there" if is_there() else "mended")
