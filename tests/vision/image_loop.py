"""``hdpo_tool_agent`` with a real Qwen3-VL processor, and a scripted server that looks at requests as vLLM would."""

from __future__ import annotations

import asyncio
from itertools import groupby
from types import SimpleNamespace
from typing import Any

import torch
from PIL import Image
from processor import make_processor, make_tokenizer
from scripted_loop import schema, trainer_config
from verl.experimental.agent_loop.agent_loop import AgentLoopWorker, DictConfigWrap, ToolListWrap
from verl.tools.base_tool import BaseTool
from verl.tools.schemas import ToolResponse
from verl.utils.dataset.rl_dataset import RLHFDataset
from verl.workers.rollout.replica import TokenOutput

from verl_hdpo.adapters.agent_loop import HDPOToolAgentLoop

SMALLEST, LARGEST = 32 * 32, 128 * 128
"""Pixels of an image as the processor makes it: 1 to 16 tokens."""
USER = Image.new("RGB", (256, 256), "white")


def processor() -> Any:
    """Of images of any size, as those of real models are."""
    made = make_processor(make_tokenizer([]))
    made.image_processor.size = type(made.image_processor.size)(shortest_edge=SMALLEST, longest_edge=LARGEST)
    return made


class Draws(BaseTool):
    """``draw`` ``{x}``: the answer of that number: text and images."""

    def __init__(self, answers):
        self.tool_schema, self.name, self.answers = schema("draw"), "draw", answers

    async def execute(self, instance_id, parameters, **kwargs):
        text, images = self.answers[int(parameters["x"])]
        return ToolResponse(text=text, **({"image": images} if images else {})), 0.0, {}


class Server:
    """Answers with the next text of a script, and looks at each request.

    Attributes:
        sampled: the tokens of each answer.
    """

    def __init__(self, made, texts):
        self._processor, self._texts, self.sampled = made, list(texts), []

    async def generate(self, *, prompt_ids, image_data, **kwargs):
        runs = placeholder_runs(self._processor, prompt_ids)
        assert runs == features(self._processor, image_data), "vLLM would expand other placeholders than were counted"
        ids = self._processor.tokenizer.encode(self._texts.pop(0) + "<|im_end|>")
        self.sampled.append(ids)
        return TokenOutput(token_ids=ids, log_probs=[-0.5] * len(ids), extra_fields={})


def placeholder_runs(made, ids) -> list[int]:
    """Lengths of the runs of image tokens, which never follow each other directly."""
    return [len(list(run)) for is_image, run in groupby(ids, lambda token: token == made.image_token_id) if is_image]


def features(made, images) -> list[int]:
    """Number of features that the vision tower gives for each image."""
    if not images:
        return []
    grid = made.image_processor(images=images, return_tensors="pt")["image_grid_thw"]
    return (grid.prod(-1) // made.image_processor.merge_size**2).tolist()


def call(*numbers):
    """A turn with calls of ``draw``."""
    calls = [f'<tool_call>\n{{"name": "draw", "arguments": {{"x": "{number}"}}}}\n</tool_call>' for number in numbers]
    return "".join(calls)


def run(made, texts, answers=(), tools=None, users=(USER,), **config):
    """Output and server of one trajectory that follows the script."""

    async def trajectory():
        config_node = trainer_config(**config)
        config_node.data.continuous_token.model_family = "qwen3vl"  # verl 0.9.0; 0.9.1 goes by hf_model_type
        server = Server(made, texts)
        loop = HDPOToolAgentLoop(
            trainer_config=DictConfigWrap(config_node),
            server_manager=server,
            tokenizer=made.tokenizer,
            processor=made,
            dataset_cls=RLHFDataset,
            data_config=DictConfigWrap(config_node.data),
            hf_model_type="qwen3_vl",
            tools=ToolListWrap(tools or [Draws(answers)]),
        )
        content = [*({"type": "image", "image": image} for image in users), {"type": "text", "text": "What is it?"}]
        return await loop.run({}, raw_prompt=[{"role": "user", "content": content}]), server

    return asyncio.run(trajectory())


def trained_on(made, output) -> dict[str, torch.Tensor]:
    """What the trainer is given besides tokens: verl's own ``multi_modal_inputs``."""
    worker = SimpleNamespace(processor=made, tokenizer=made.tokenizer)
    worker._get_mm_processor_kwargs = lambda audios: {}
    ids = torch.tensor([output.prompt_ids + output.response_ids])
    return AgentLoopWorker._compute_multi_modal_inputs(worker, output, ids)


def check(made, output, server, response_length=4096) -> None:
    """Features and placeholders agree, one by one; what is trained is what was sampled."""
    ids = output.prompt_ids + output.response_ids
    images = output.multi_modal_data.get("images") or []
    inputs = trained_on(made, output)
    grid = inputs.get("image_grid_thw", torch.zeros(0, 3, dtype=torch.long))
    assert placeholder_runs(made, ids) == features(made, images)
    assert placeholder_runs(made, ids) == (grid.prod(-1) // made.image_processor.merge_size**2).tolist()
    assert len(inputs.get("pixel_values", ())) == int(grid.prod(-1).sum())
    sampled = [token for turn in server.sampled for token in turn]
    trained = [token for token, mask in zip(output.response_ids, output.response_mask, strict=True) if mask]
    assert trained == sampled[: len(trained)]
    assert len(trained) == len(sampled) or len(output.response_ids) == response_length
    assert made.image_token_id not in trained
