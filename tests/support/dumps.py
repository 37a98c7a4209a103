"""Files as runs leave them, written by verl's own code where it is verl that writes them."""

from __future__ import annotations

import json

from verl.trainer.ppo.v1 import PPOTrainerSync

from verl_hdpo.outcomes.ledger import ToolLedger, ToolTally
from verl_hdpo.outcomes.sidecar import sidecar_path

CALL = '<tool_call>\n{"name": "search", "arguments": {"query": "capital of Peru"}}\n</tool_call>'
BARE = f"I look.{CALL}\nuser\n<tool_response>\nLima\n</tool_response>\nassistant\n<answer>Lima</answer>"
"""A response with one call, as it is without its special tokens."""
SEGMENTS = [
    ["model", f"I look.{CALL}<|im_end|>"],
    ["tools", "\n<|im_start|>user\n<tool_response>\nLima\n</tool_response><|im_end|>\n<|im_start|>assistant\n"],
    ["model", "<answer>Lima</answer><|im_end|>"],
]


def write_dump(folder, step, rows, infos=None):
    """verl's ``{step}.jsonl``.

    Args:
        rows: (key, output, score) of each.
        infos: columns of ``reward_extra_info``, as for a validation.
    """
    keys, outputs, scores = (list(column) for column in zip(*rows, strict=True))
    prompts = ["user\nWhat is the capital of Peru?\nassistant\n"] * len(rows)
    extras = {**(infos or {}), "uid": keys}
    PPOTrainerSync._write_generations(prompts, outputs, ["Lima"] * len(rows), scores, extras, str(folder), step)
    return folder / f"{step}.jsonl"


def note(uid, **given):
    """A line of the sidecar: a rollout that called once and is right."""
    ledger = ToolLedger(rounds=1, tools={"search": ToolTally(executed=1, seconds=0.5)})
    return {
        "uid": uid,
        "data_source": "capitals",
        "prompt": [{"role": "user", "content": "What is the capital of Peru?"}],
        "segments": SEGMENTS,
        "call_log": [
            {
                "turn": 0,
                "name": "search",
                "arguments": '{"query": "capital of Peru"}',
                "status": "executed",
                "seconds": 0.5,
            }
        ],
        "known": True,
        "correct": True,
        "verdict": "exact",
        "lost": "",
        "calls": 1,
        "cost": 1.0,
        "ledger": ledger.to_dict(),
        "reported": {"acc": 1.0, "accuracy_reward": 1.0, "tool_reward": 0.5, "tool_calls": 1.0, "answer_seen": "Lima"},
        "advantage": 0.5,
        "tool_advantage": -0.7,
        "estimator": "hdpo",
        **given,
    }


def write_notes(dump, notes):
    path = sidecar_path(dump)
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(one) + "\n" for one in notes))
    return path
