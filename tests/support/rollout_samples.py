"""Rollouts made up for the page: any number of them, of every kind, and one with hostile texts."""

from __future__ import annotations

from dataclasses import replace

from verl_hdpo.evaluation.dumps.rollout import Call, Rollout, Turn
from verl_hdpo.outcomes.ledger import ToolLedger, ToolTally

DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
DOT_URI = f"data:image/png;base64,{DOT}"
"""An image of one pixel."""


def group(number, step=1, words=40):
    """Four rollouts of one prompt: called and right, right without a call, wrong without a call, unknown or lost."""
    name = f"{step}:g{number}"
    asked = (Turn("user", f"Question {number}: what is {number} times 7?"),)
    filler = " ".join(f"word{number * 31 + at}" for at in range(words))
    tool = "calculator" if number % 3 else "search"
    call = Call(tool, f'{{"expression": "{number} * 7"}}', "executed", 0.25)
    base = Rollout(
        id=f"{name}_0", phase="train", source=f"source{number % 5}", step=step, group=name, number=0, prompt=asked,
        turns=(), reference=str(number * 7), file="dump/1.jsonl", estimator="hdpo", counted="ledger",
    )  # fmt: skip
    right = {"outcome": "correct", "accuracy": 1.0, "reward": 1.0, "r_acc": 1.0, "verdict": "exact", "advantage": 0.577}
    called = replace(
        base,
        turns=(
            Turn("assistant", filler, "Let me think.", (call,)),
            Turn("tool", str(number * 7)),
            Turn("assistant", f"<answer>{number * 7}</answer>"),
        ),
        calls=1, r_tool=0.5, tool_advantage=-0.707, answer=str(number * 7),
        ledger=ToolLedger(1, 0, {tool: ToolTally(executed=1, seconds=0.25)}), **right,
    )  # fmt: skip
    told = (Turn("assistant", f"{filler} <answer>{number * 7}</answer>"),)
    direct = replace(base, id=f"{name}_1", number=1, turns=told, calls=0, r_tool=1.0, tool_advantage=0.707, **right)
    wrong = replace(
        base, id=f"{name}_2", number=2, turns=(Turn("assistant", "I do not know."),), calls=0, outcome="wrong",
        accuracy=0.0, reward=0.0, r_acc=0.0, r_tool=0.0, advantage=-1.155, tool_advantage=0.0, verdict="no_answer",
    )  # fmt: skip
    last = replace(base, id=f"{name}_3", number=3, calls=0, advantage=0.0, tool_advantage=0.0)
    if number % 2:
        last = replace(last, outcome="unknown", verdict="judge_error", turns=(Turn("assistant", "Perhaps."),))
    else:
        last = replace(last, outcome="lost", lost="TimeoutError", verdict="lost")
    return [called, direct, wrong, last]


def many(count, words=40):
    """``count`` rollouts, 100 to a step."""
    return [one for number in range(count // 4) for one in group(number, 1 + number // 25, words)][:count]


HOSTILE = {
    "html": "<script>document.title = 'owned'</script><img src=x onerror=\"document.title='owned'\"><b>bold</b>",
    "end": "</script><script>document.title = 'owned'</script><!-- <!--title-->",
    "ansi": "\x1b[31mred\x1b[0m \x1b]0;owned\x07 bell",
    "rtl": "abc \u202egnp.exe\u202c \u0627\u0644\u0639\u0631\u0628\u064a\u0629",
    "hidden": "a\u200bb\u2028c\ufeff",
    "half": "\ud800 half of a character",
    "long": "x" * 300_000,
}


def hostile():
    """One rollout per hostile text, which stands in every field that a text can stand in."""
    made = []
    for number, (name, text) in enumerate(HOSTILE.items()):
        call = Call(text, text, "failed")
        said = (
            Turn("assistant", text, text, (call,)),
            Turn("tool", text, images=(text, "javascript:alert(1)", DOT_URI)),
        )
        made.append(
            Rollout(
                id=f"{name}:{text[:200]}", phase="train", source=text[:500], step=1, group="g", number=number,
                prompt=(Turn("system", text), Turn("user", text)), turns=said, reference=text, outcome="correct",
                reward=1.0, verdict=text, answer=text, calls=1, counted="text", estimator=text[:500], file=text,
                ledger=ToolLedger(1, 0, {text: ToolTally(failed=1)}), extras={text: text},
            )
        )  # fmt: skip
    return made
