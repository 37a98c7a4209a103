"""Loaded by verl in each of its processes (VERL_USE_EXTERNAL_MODULES): writes down what became of every rollout.

A JSON object per rollout goes to the file that OUTCOMES_RECORD names, with the advantages of both channels and the mask
that the actor trains on. Nothing is changed.
"""

import json
import os

import numpy as np
from wrapt import register_post_import_hook


def record_outcomes(module):
    import transfer_queue as tq

    compute_advantage = module._HDPOTrainer._compute_advantage

    def _compute_advantage(self, batch, metrics):
        batch = compute_advantage(self, batch, metrics)
        rows = [row for row, tag in enumerate(batch.tags) if not tag.get("is_padding", False)]
        plain_fields = ["extra_fields", "data_source", "reward_model"]
        fields = ["responses", "advantages", "response_mask", "tool_advantages"]
        keys = [batch.keys[row] for row in rows]
        data = tq.kv_batch_get(keys=keys, partition_id=batch.partition_id, select_fields=plain_fields + fields)
        plain = {name: data.pop(name).tolist() for name in plain_fields}
        tensors = {name: data[name].unbind() for name in fields}
        with open(os.environ["OUTCOMES_RECORD"], "a") as record:
            for i, key in enumerate(keys):
                written = {
                    "step": self.global_steps,
                    "group": key.rsplit("_", 2)[0],
                    "tool": plain["data_source"][i],
                    "truth": np.asarray(plain["reward_model"][i]["ground_truth"]).tolist(),
                    "text": self.tokenizer.decode(tensors["responses"][i], skip_special_tokens=True),
                    "ledger": plain["extra_fields"][i]["tool_ledger"],
                    "lost": plain["extra_fields"][i].get("rollout_lost"),
                    "fault": plain["extra_fields"][i].get("fault"),
                    "reward": plain["extra_fields"][i]["reward_extra_info"],
                    "trained_tokens": int(tensors["response_mask"][i].sum()),
                    "advantages": tensors["advantages"][i][tensors["response_mask"][i].bool()].unique().tolist(),
                    "tool_advantage": float(tensors["tool_advantages"][i]),
                }
                record.write(json.dumps(written) + "\n")
        return batch

    module._HDPOTrainer._compute_advantage = _compute_advantage


register_post_import_hook(record_outcomes, "verl_hdpo.adapters.trainer")
