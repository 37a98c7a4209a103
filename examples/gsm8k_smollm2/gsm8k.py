"""GSM8K: whole questions for RL, and its annotated solutions as dialogues for the cold start."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INSTRUCTION = "End with <answer>number</answer>."
HUB_ID = "openai/gsm8k"
_STEP = re.compile(r"<<([^<>=]+)=([^<>=]+)>>")

Message = dict[str, Any]


@dataclass(frozen=True)
class Problem:
    """``solution`` is GSM8K's own, with its ``<<48/2=24>>`` annotations and without its last line, ``#### answer``."""

    question: str
    solution: str
    answer: str

    @property
    def user(self) -> Message:
        return {"role": "user", "content": f"{self.question}\n{INSTRUCTION}"}

    def row(self, index: int) -> dict[str, Any]:
        """The question in the columns that verl's RLHFDataset reads."""
        return {
            "data_source": "gsm8k",
            "prompt": [self.user],
            "ability": "math",
            "reward_model": {"style": "rule", "ground_truth": self.answer},
            "extra_info": {"index": index},
        }


def load(source: str) -> list[Problem]:
    """Problems of a jsonl file with GSM8K's two columns, or of a data set of the Hugging Face hub.

    Raises:
        ValueError: there is no such file, or a line of it is no problem.
    """
    if Path(source).is_file():
        with open(source) as lines:
            return [_parsed(line, f"{source}, line {n}") for n, line in enumerate(lines, 1) if line.strip()]
    if source.endswith((".jsonl", ".json")) or source.startswith((".", "/")):
        raise ValueError(f"--data {source}: no such file; give GSM8K's train.jsonl or a hub id such as {HUB_ID}")
    import datasets

    try:
        rows = datasets.load_dataset(source, "main", split="train")
    except Exception as error:
        raise ValueError(
            f"--data {source}: not a file, and not to be had from the Hugging Face hub ({error}); "
            f"without access to the hub, download GSM8K's train.jsonl elsewhere and give its path"
        ) from error
    return [_problem(row, f"{source}, row {n}") for n, row in enumerate(rows)]


def _parsed(line: str, where: str) -> Problem:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ValueError(f"{where}: no JSON: {error}") from None
    return _problem(row, where)


def _problem(row: Message, where: str) -> Problem:
    solution, marker, answer = str(row.get("answer", "")).rpartition("####")
    if not marker or "question" not in row:
        raise ValueError(f"{where}: expected GSM8K's question and answer ('... #### 72'), found {sorted(row)}")
    return Problem(row["question"].strip(), solution.strip(), answer.strip().replace(",", ""))


def direct_dialogue(problem: Problem) -> list[Message]:
    """The solution written down in one turn, without the calculator."""
    final = f"{_STEP.sub('', problem.solution)}\n<answer>{problem.answer}</answer>"
    return [problem.user, {"role": "assistant", "content": final}]


def calling_dialogue(problem: Problem, tool: str, calculate: Callable[[str], str]) -> list[Message] | None:
    """The solution with every annotation as a call: the text up to it, the call, its result, and on from there.

    None if there is no annotation, or the tool's result is not the annotated one (GSM8K rounds some).
    """
    messages, at = [problem.user], 0
    for step in _STEP.finditer(problem.solution):
        expression, result = step[1].strip(), step[2].strip()
        if not _gives(calculate, expression, result):
            return None
        function = {"name": tool, "arguments": {"expression": expression}}
        before = problem.solution[at : step.start()].strip()
        call = {"role": "assistant", "content": before, "tool_calls": [{"type": "function", "function": function}]}
        messages += [call, {"role": "tool", "content": result}]
        at = step.end()
    if len(messages) == 1:
        return None
    final = f"{problem.solution[at:].strip()}\n<answer>{problem.answer}</answer>"
    return [*messages, {"role": "assistant", "content": final}]


def _gives(calculate: Callable[[str], str], expression: str, result: str) -> bool:
    try:
        return calculate(expression) == result
    except ValueError:  # not what the calculator can work out
        return False


def steps(problem: Problem) -> int:
    return len(_STEP.findall(problem.solution))


def split(problems: Sequence[Problem], order: Sequence[int], most_steps: int) -> tuple[list[Problem], list[Problem]]:
    """The problems in ``order``: short ones of the first half for the cold start, the whole second half for RL."""
    half = len(order) // 2
    first = [problems[i] for i in order[:half]]
    return [p for p in first if 1 <= steps(p) <= most_steps], [problems[i] for i in order[half:]]
