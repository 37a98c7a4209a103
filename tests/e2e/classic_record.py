"""Loaded by verl in each of its processes (VERL_USE_EXTERNAL_MODULES): writes down what the classic trainer trains on.

A JSON object per rollout goes to the file that CLASSIC_RECORD names. Nothing is changed.
"""

import json
import os

from wrapt import register_post_import_hook


def record_updates(module):
    update_actor = module.ClassicTrainer._update_actor

    def _update_actor(self, batch):
        tensors, columns = batch.batch, batch.non_tensor_batch
        with open(os.environ["CLASSIC_RECORD"], "a") as record:
            for row, uid in enumerate(columns["uid"]):
                written = {
                    "step": self.global_steps,
                    "group": uid,
                    "reward": float(tensors["token_level_rewards"][row].sum()),
                    "known": bool(columns["outcome_known"][row]),
                    "correct": bool(columns["acc"][row] > 0.5),
                    "ledger": columns["tool_ledger"][row],
                    "mask": tensors["response_mask"][row].tolist(),
                    "advantages": tensors["advantages"][row].tolist(),
                    "tool_advantage": float(tensors["tool_advantages"][row]),
                }
                record.write(json.dumps(written) + "\n")
        return update_actor(self, batch)

    module.ClassicTrainer._update_actor = _update_actor


register_post_import_hook(record_updates, "verl_hdpo.adapters.classic_trainer")
