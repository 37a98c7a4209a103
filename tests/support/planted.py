"""Dumps of rollouts in three frameworks' formats, clean or with one defect planted.

A scene is a list of plain answers. A writer turns it into a file as the framework writes it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import pyarrow
from dumps import write_dump
from pyarrow import parquet

LONG = "The question asks for a city. " * 10


@dataclass(frozen=True)
class Answer:
    """One rollout: what was asked, whether it called, whether that ran, how it ended."""

    prompt: int
    right: bool | None
    calls: int = 0
    ran: bool = True
    words: str = ""
    format: float = 1.0
    error: str = ""
    truncated: bool = False


def clean(prompts=6):
    """Of each prompt: right with a call, right without, wrong without, wrong with. Format is obeyed by some."""
    made = []
    for prompt in range(prompts):
        for at, (right, calls) in enumerate(((True, 1), (True, 0), (False, 0), (False, 1))):
            words = f"{LONG}Thought {at} of {prompt}."
            made.append(Answer(prompt, right, calls, words=words, format=float((at + prompt) % 3 > 0)))
    return made


def _replaced(scene, **given):
    return [replace(scene[0], **given), *scene[1:]]


SCENES = {
    "failure trained": lambda: _replaced(clean(), right=False, error="TimeoutError"),
    "unknown outcome scored": lambda: _replaced(clean(), right=None),
    "calls that never ran": lambda: _replaced(clean(), ran=False),
    "duplicated rollouts": lambda: [*clean(), clean()[1]],
    "groups of one": lambda: [*clean(), Answer(99, True, words="x")],
    "constant format reward": lambda: [replace(one, format=1.0) for one in clean()],
    "truncated answers": lambda: _replaced(clean(), truncated=True),
    "reward follows length": lambda: [
        replace(one, calls=0, words=("far " * 60 if one.right else "no ") + str(at)) for at, one in enumerate(clean(12))
    ],
}
"""Kind of defect -> a scene that has it and no other."""


def _call(number):
    return {"name": "search", "arguments": json.dumps({"query": f"city {number}"})}


def text_of(one):
    """The completion as text, tools' answers in it."""
    called = "".join(
        f"<tool_call>\n{json.dumps(_call(number))}\n</tool_call>\n"
        + ("user\n<tool_response>\nLima\n</tool_response>\nassistant\n" if one.ran else "")
        for number in range(one.calls)
    )
    return f"{called}{one.words}<answer>Lima" + ("" if one.truncated else "</answer>")


def messages_of(one):
    """The completion as verifiers has it."""
    said = []
    for number in range(one.calls):
        said.append({"role": "assistant", "content": "", "tool_calls": [json.dumps({"id": "0", **_call(number)})]})
        said += [{"role": "tool", "content": "Lima", "tool_call_id": "0"}] if one.ran else []
    return [*said, {"role": "assistant", "content": f"{one.words}<answer>Lima</answer>"}]


def verl(scene, folder):
    """verl's dump of a GRPO run."""
    rows = [(f"u{one.prompt}_{at}_0", text_of(one), float(bool(one.right))) for at, one in enumerate(scene)]
    infos = {
        "acc": [float(bool(one.right)) for one in scene],
        "outcome_known": [float(one.right is not None) for one in scene],
        "format_reward": [one.format for one in scene],
        "error": [one.error for one in scene],
    }
    write_dump(folder, 1, rows, infos)
    return folder


def verifiers(scene, folder):
    """verifiers' results; a metric tells what is right."""
    path = folder / "results.jsonl"
    rows = [
        {
            "example_id": one.prompt,
            "task": "cities",
            "prompt": [{"role": "user", "content": f"City {one.prompt}?"}],
            "completion": messages_of(one),
            "answer": "Lima",
            "reward": float(bool(one.right)),
            "error": one.error and {"error": one.error, "error_chain_repr": one.error, "error_chain_str": one.error},
            "is_truncated": one.truncated,
            "metrics": {
                "correct_answer": None if one.right is None else float(one.right),
                "format_reward_func": one.format,
                "total_tool_calls": float(one.calls),
            },
        }
        for one in scene
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def trl(scene, folder):
    """TRL's table of completions."""
    path = folder / "completions_00001.parquet"
    columns = {
        "step": [1] * len(scene),
        "prompt": [f"City {one.prompt}?" for one in scene],
        "completion": [text_of(one) for one in scene],
        "accuracy_reward": [None if one.right is None else float(one.right) for one in scene],
        "format_reward": [one.format for one in scene],
        "advantage": [0.5] * len(scene),
    }
    parquet.write_table(pyarrow.table(columns), path)
    return path


WRITERS = {"verl": verl, "verifiers": verifiers, "trl": trl}
UNSAYABLE = {("trl", "failure trained")}
"""What a format has no place for."""
