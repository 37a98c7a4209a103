"""``truncated``: whether a rollout was cut off, by what its file says or by a tag that was opened and never closed."""

from __future__ import annotations

from verl_hdpo.evaluation.dumps.rollout import Rollout

FLAGS = ("is_truncated", "truncated", "response_truncated")
REASONS = ("finish_reason", "stop_reason", "stop_condition")
LIMITS = ("length", "max_tokens", "max_length", "prompt_too_long", "max_completion_tokens")
TAGS = ("think", "answer")


def truncated(one: Rollout) -> bool:
    """By a flag, else by the reason that generation stopped, else by the last turn's tags."""
    flags = [one.extras[key] for key in FLAGS if one.extras.get(key) is not None]
    if flags:
        return any(flag not in (0, "0", "false", "False", "") for flag in flags)
    reasons = [str(one.extras[key]) for key in REASONS if one.extras.get(key)]
    if reasons:
        return any(reason.rpartition(".")[2].lower() in LIMITS for reason in reasons)
    last = one.turns[-1] if one.turns else None
    if last is None or last.role != "assistant":
        return False
    return any(last.text.rfind(f"<{tag}>") > last.text.rfind(f"</{tag}>") for tag in TAGS)
