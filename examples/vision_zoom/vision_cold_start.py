"""The cold start: a small Qwen3-VL learns to read digits, to call its tools, and to do so on nearly every picture.

As in the quickstart: dialogues that teach the calls and the habit, and direct answers to readable pictures, whose
decision to answer is masked from the loss.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from cold_start import Recipe, fit, labels_of, loss_of
from kept_build import Report
from model import make_model
from pictures import QUESTION, REGIONS, Picture, draw, enlarged
from PIL import Image
from processor import (
    IMAGE,
    NO_TEXT,
    PYTHON_CALL,
    VISION_END,
    VISION_START,
    ZOOM_CALL,
    box_text,
    make_processor,
    make_tokenizer,
)
from tokenizer import END, START
from transformers import Qwen3VLForConditionalGeneration, Qwen3VLProcessor
from zoom import Zoom

from verl_hdpo.tools.base import schema_of
from verl_hdpo.tools.python import PythonTool

NEEDED = 0.7
"""Share of pictures that need a tool, among the dialogues that teach the habit."""
RECIPE = Recipe(
    hidden=96,
    steps=1000,
    lr=3e-3,
    habit_rows=24,
    known_rows=8,
    direct={"not_needed": 0.03, "needed": 0.002},
    sharpen=0.4,
)

Way = Literal["direct", "zoom", "python"]


def schemas() -> list[dict[str, Any]]:
    """Of the tools in ``tools.yaml``, as verl hands them to the chat template."""
    tools = (schema_of(None, signature) for signature in (Zoom.signature, PythonTool.signature))
    return [tool.model_dump(exclude_unset=True, exclude_none=True) for tool in tools]


@dataclass(frozen=True)
class Dialogue:
    """``way`` is how the model deals with the picture."""

    picture: Picture
    way: Way

    @property
    def images(self) -> list[Image.Image]:
        """The user's, and the tool's."""
        image, region = self.picture.image, self.picture.region
        match self.way:
            case "direct":
                return [image]
            case "zoom":
                return [image, enlarged(image, region)]
            case "python":
                return [image, image.crop(REGIONS[region])]

    @property
    def messages(self) -> list[dict[str, Any]]:
        first, *shown = [{"type": "image", "image": image} for image in self.images]
        user = {"role": "user", "content": [first, {"type": "text", "text": QUESTION}]}
        final = {"role": "assistant", "content": f"<answer>{self.picture.digit}</answer>"}
        if self.way == "direct":
            return [user, final]
        region = self.picture.region
        arguments = {"region": region} if self.way == "zoom" else {"code": f"image_1.crop(({box_text(region)}))"}
        function = {"name": self.way, "arguments": arguments}
        call = {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": function}]}
        text = [{"type": "text", "text": NO_TEXT}] if self.way == "python" else []
        return [user, call, {"role": "tool", "content": [*shown, *text]}, final]

    @property
    def text(self) -> str:
        """``messages`` after the system turn, as the chat template renders them (jinja is slow)."""
        image = f"{VISION_START}{IMAGE}{VISION_END}"
        match self.way:
            case "direct":
                call = ""
            case "zoom":
                call = self._call(self.picture.region.join(ZOOM_CALL), image)
            case "python":
                call = self._call(box_text(self.picture.region).join(PYTHON_CALL), f"{image}{NO_TEXT}")
        answer = f"<answer>{self.picture.digit}</answer>{END}\n"
        return f"{START}user\n{image}{QUESTION}{END}\n{START}assistant\n{call}{answer}"

    @staticmethod
    def _call(call: str, response: str) -> str:
        return (
            f"<tool_call>{call}</tool_call>{END}\n"
            f"{START}user\n<tool_response>{response}</tool_response>{END}\n{START}assistant\n"
        )


class Encoder:
    """Dialogues to the model's inputs, and labels of shape (rows, tokens); only the assistant's tokens are learned."""

    def __init__(self, processor: Qwen3VLProcessor):
        self._processor, tokenizer = processor, processor.tokenizer
        self._end = tokenizer.convert_tokens_to_ids(END)
        self._assistant = tokenizer(f"{START}assistant\n").input_ids
        rendered = self._render([{"role": "user", "content": "?"}])
        self._system = rendered[: rendered.index(f"{START}user")]
        for way in get_args(Way):
            dialogue = Dialogue(draw("needed", random.Random(0)), way)
            if self._system + dialogue.text != self._render(dialogue.messages):
                raise AssertionError("Dialogue.text differs from the chat template")

    def _render(self, messages: list[dict[str, Any]]) -> str:
        return self._processor.apply_chat_template(messages, tools=schemas(), tokenize=False)

    def __call__(
        self, dialogues: Sequence[Dialogue], learn_decision: bool
    ) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        inputs = self._processor(
            text=[self._system + dialogue.text for dialogue in dialogues],
            images=[dialogue.images for dialogue in dialogues],
            padding=True,
            padding_side="right",
            return_tensors="pt",
        )
        rows = inputs["input_ids"].tolist()
        labels = [labels_of(row, self._assistant, self._end, learn_decision) for row in rows]
        return dict(inputs), torch.tensor(labels)


def train(recipe: Recipe, seed: int, report: Report) -> tuple[Qwen3VLForConditionalGeneration, Qwen3VLProcessor]:
    """Build the model and train it; everything follows from ``seed``."""
    torch.manual_seed(seed)
    rng = random.Random(seed)
    tokenizer = make_tokenizer(schemas())
    processor, model = make_processor(tokenizer), make_model(tokenizer, recipe.hidden, recipe.layers)
    encode = Encoder(processor)
    decisions = torch.tensor(tokenizer.convert_tokens_to_ids(["<tool_call>", "<answer>"]))

    due = {kind: 0.0 for kind in recipe.direct}

    def habit() -> Dialogue:
        picture = draw("needed" if rng.random() < NEEDED else "not_needed", rng)
        due[picture.kind] += recipe.direct[picture.kind]  # evenly: where they are drawn, chance decides what is learned
        if due[picture.kind] >= 1:
            due[picture.kind] -= 1
            return Dialogue(picture, "direct")
        return Dialogue(picture, rng.choice(("zoom", "python")))

    def losses(temperature: float) -> list[torch.Tensor]:
        calls = encode([habit() for _ in range(recipe.habit_rows)], learn_decision=True)
        known = [Dialogue(draw("not_needed", rng), "direct") for _ in range(recipe.known_rows)]
        found = []
        for inputs, labels in (calls, encode(known, learn_decision=False)):
            ids = inputs.pop("input_ids")
            found.append(loss_of(model, ids, labels, decisions, temperature, **inputs))
        return found

    fit(model, recipe, losses, report)
    return model, processor
