"""``Trajectory``: a row as the checks see it: its question, what the model ran, what came back, and its answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from verl_hdpo.grading.extract import extract_answer
from verl_hdpo.runs.row_images import PLACEHOLDER

CALL = re.compile(r"<tool_call>\s*(.*?)\s*</tool_call>", re.DOTALL)
PYTHON = ("python", "code_interpreter", "python_interpreter")


@dataclass(frozen=True)
class Step:
    """One run of code.

    Attributes:
        code: what the model wrote.
        seen: the text of the turn that answered it.
        shown: images in that turn; None where other runs were answered there too.
        images: of the conversation before the run.
    """

    code: str
    seen: str
    shown: int | None
    images: int


@dataclass(frozen=True)
class Trajectory:
    """A row of ``messages`` (for a cold start) or ``prompt`` (for RL).

    Attributes:
        messages: with ``<image>`` for each image.
        images: their files.
        reference: the ground truth; of a cold start the trajectory's own answer.
    """

    messages: Sequence[Mapping[str, Any]]
    images: Sequence[bytes]
    reference: Any

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Trajectory:
        messages = row.get("messages") or row.get("prompt") or []
        said = [str(message["content"]) for message in messages if message["role"] == "assistant"]
        reference = (row.get("reward_model") or {}).get("ground_truth")
        images = [image["bytes"] for image in row.get("images") or ()]
        return cls(messages, images, extract_answer(said) if reference is None else reference)

    @property
    def question(self) -> list[Mapping[str, Any]]:
        """The turns before the model's first, without the system prompt."""
        found = []
        for message in self.messages:
            if message["role"] == "assistant":
                break
            found += [message] if message["role"] != "system" else []
        return found

    def steps(self) -> Iterator[Step]:
        """What was run, in order; calls of other tools are passed over."""
        images = 0
        for number, message in enumerate(self.messages):
            if message["role"] == "assistant":
                after = takewhile(lambda one: one["role"] != "assistant", self.messages[number + 1 :])
                seen = [str(one["content"]) for one in after]
                codes = list(_codes(message))
                alone = len(codes) == len(seen)  # else all the answers are in one turn
                for at, code in enumerate(codes):
                    text = seen[at] if alone else "\n".join(seen)
                    yield Step(code, text.replace(PLACEHOLDER, ""), text.count(PLACEHOLDER) if alone else None, images)
            images += str(message["content"]).count(PLACEHOLDER)


def _codes(message: Mapping[str, Any]) -> Iterator[str]:
    calls = [call.get("function") for call in message.get("tool_calls") or ()]
    for text in [] if calls else CALL.findall(str(message["content"])):
        try:
            calls.append(json.loads(text))
        except ValueError:
            continue  # a call that never ran
    for call in calls:
        arguments = call.get("arguments") if isinstance(call, Mapping) else None
        if isinstance(arguments, str):
            try:
                arguments = json.loads(arguments)
            except ValueError:
                continue
        if isinstance(arguments, Mapping) and call.get("name") in PYTHON and isinstance(arguments.get("code"), str):
            yield arguments["code"]
