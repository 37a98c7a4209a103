"""Three questions for ``verl-hdpo eval``, a scripted model of known habits that answers them, and its figures."""

from __future__ import annotations

import json
import re

QUESTIONS = {"known": (2, 2), "needed": (70, 81), "missed": (30, 51)}


def write(prompt: str, request: dict) -> str:
    """Knows 2+2 and calls for it all the same; calls for 70+81, which it does not know; guesses at 30+51."""
    kind, a, b = re.findall(r"(\w+): (\d+)\+(\d+)\?", prompt)[-1]
    if result := re.search(r"<tool_response>\n(\w+)\n", prompt):
        return f"<answer>{result[1]}</answer>"
    call = f'\n{{"name": "plus", "arguments": {{"a": {a}, "b": {b}}}}}\n</tool_call>'
    if prompt.endswith("<tool_call>"):
        return call
    if kind != "missed" and "plus" in prompt and not request.get("logit_bias"):
        return f"<tool_call>{call}"
    return f"<answer>{4 if kind == 'known' else 0}</answer>"


def row(kind: str, a: int, b: int) -> dict:
    return {
        "data_source": kind,
        "prompt": [{"role": "user", "content": f"{kind}: {a}+{b}?"}],
        "reward_model": {"style": "rule", "ground_truth": str(a + b)},
        "extra_info": {"index": a},
    }


def values(tmp_path, label="model", source="all") -> dict[str, float]:
    figures = json.loads((tmp_path / "out" / "figures.json").read_text())["models"][label][source]
    return {name: estimate["value"] for name, estimate in figures.items()}
