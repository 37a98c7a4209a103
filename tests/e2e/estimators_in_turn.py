"""Loaded by verl in each of its processes (VERL_USE_EXTERNAL_MODULES): every step of the run takes the next estimator.

Starting verl, Ray and vLLM takes a minute or two and a step a few seconds, so one run serves all estimators. All is as
in a run of each: verl looks the estimator up by its name, and its actor trains on the result. What each was given, and
what reached TransferQueue, is written to the file that ESTIMATORS_RECORD names, one JSON object per step.
"""

import functools
import json
import os

from wrapt import register_post_import_hook


def take_turns(module):
    import transfer_queue as tq

    from verl_hdpo.adapters.run_settings import run_settings
    from verl_hdpo.algorithm.estimators import ESTIMATORS

    rivals = [name for name in ESTIMATORS if name != "hdpo"]
    seen = {}

    def recording(function):
        @functools.wraps(function)
        def advantages(rollouts, **settings):
            seen["rollouts"] = {name: value.tolist() for name, value in vars(rollouts).items()}
            return function(rollouts, **settings)

        return advantages

    for name in rivals:
        ESTIMATORS[name] = recording(ESTIMATORS[name])

    compute_advantage = module._HDPOTrainer._compute_advantage

    def _compute_advantage(self, batch, metrics):
        name = rivals[(self.global_steps - 1) % len(rivals)]
        self.config.algorithm.adv_estimator = name
        self.hdpo.settings = run_settings(self.config)
        batch = compute_advantage(self, batch, metrics)
        fields = ["advantages", "response_mask"]
        data = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=fields)
        rows = list(zip(data["advantages"].unbind(), data["response_mask"].unbind(), strict=True))
        written = {
            "step": self.global_steps,
            "estimator": name,
            "fields": sorted(batch.fields),
            "advantages": [row[mask.bool()].unique().tolist() for row, mask in rows],
            "padding": [bool(tag.get("is_padding", False)) for tag in batch.tags],
            **seen,
        }
        with open(os.environ["ESTIMATORS_RECORD"], "a") as record:
            record.write(json.dumps(written) + "\n")
        return batch

    module._HDPOTrainer._compute_advantage = _compute_advantage


register_post_import_hook(take_turns, "verl_hdpo.adapters.trainer")
