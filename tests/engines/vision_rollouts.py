"""A mini-batch with images, a tiny Qwen3-VL, and the gradient of the whole: ``vision_rollouts.py FOLDER``.

A process of its own: it needs torchvision, and verl must not have patched the model. Rows have no image, one, several
of different sizes, and, the first, ten turns with eight images of tools.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from loss_settings import SETTINGS
from reference import TEMPERATURE, Reference
from rollouts import PADDING, ROWS, UNKNOWN, Rollouts
from torch import Tensor

EXAMPLES = Path(__file__).parents[2] / "examples"
WORDS = 200
"""Token ids below this are bytes; the vision tokens are above."""
COMPARED = ("paper", "qualifying")


@dataclass
class VisionRows:
    """What each row has besides its tokens: pixels of all its images, and their grids; empty where it has none."""

    inputs: list[dict[str, Tensor]]
    image_token: int


class VisionReference(Reference):
    """Hugging Face's own Qwen3-VL in double precision, which makes its position ids itself."""

    def __init__(self, path: Path, rows: list[tuple[list[int], dict[str, Tensor]]], image_token: int):
        from transformers import Qwen3VLForConditionalGeneration

        self.model = Qwen3VLForConditionalGeneration.from_pretrained(
            path, dtype=torch.float64, attn_implementation="eager"
        )
        self.parameters = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        self._inputs = {tuple(ids): inputs for ids, inputs in rows}
        self._image_token = image_token

    def log_probs(self, prompt: Tensor, response: Tensor) -> tuple[Tensor, Tensor]:
        ids = torch.cat([prompt, response])
        inputs = self._inputs[tuple(ids.tolist())]
        kinds = (ids == self._image_token).long()[None]
        logits = self.model(ids[None], mm_token_type_ids=kinds, **inputs).logits[0] / TEMPERATURE
        log_p = torch.log_softmax(logits[len(prompt) - 1 : -1], dim=-1)
        return log_p.gather(-1, response[:, None])[:, 0], -(log_p.exp() * log_p).sum(-1)


def write(folder: Path) -> None:
    """Model, processor, rollouts and the reference's gradients."""
    sys.path[:0] = [str(EXAMPLES / "vision_zoom"), str(EXAMPLES / "quickstart")]
    from model import make_model
    from PIL import Image
    from processor import make_processor, make_tokenizer

    torch.manual_seed(0)
    torch.set_num_threads(1)
    g = torch.Generator().manual_seed(0)
    tokenizer = make_tokenizer([])
    processor = make_processor(tokenizer)
    processor.image_processor.size = type(processor.image_processor.size)(shortest_edge=32**2, longest_edge=96**2)
    processor.save_pretrained(folder / "model")
    model = make_model(tokenizer, hidden=32, layers=2)
    torch.nn.init.normal_(model.model.language_model.embed_tokens.weight)  # as in tiny_model
    model.save_pretrained(folder / "model")
    names = ("<|vision_start|>", "<|image_pad|>", "<|vision_end|>")
    start, pad, end = tokenizer.convert_tokens_to_ids([*names])

    def words(number: int) -> list[int]:
        return torch.randint(3, WORDS, (number,), generator=g).tolist()

    def image(images: list[Image.Image]) -> list[int]:
        width, height = (int(side) for side in torch.randint(20, 120, (2,), generator=g))
        noise = torch.randint(0, 256, (height, width, 3), generator=g, dtype=torch.uint8)
        images.append(Image.fromarray(noise.numpy()))
        grid = processor.image_processor(images=images[-1:], return_tensors="pt")["image_grid_thw"]
        return [start, *[pad] * int(grid.prod() // processor.image_processor.merge_size**2), end]

    # Images of the user, and of the tool after each of the model's turns but the last.
    shapes = [(1, [1] * 8 + [0]), (0, []), (1, []), (2, [1]), (1, [2, 1]), (0, [0]), (1, [1]), (1, [])]
    assert len(shapes) == ROWS
    prompts, responses, masks, inputs = [], [], [], []
    for users, tools in shapes:
        images: list[Image.Image] = []
        prompt = words(3) + [token for _ in range(users) for token in image(images)] + words(2)
        response, mask = words(4), [1] * 4
        for shown in tools:
            seen = words(1) + [token for _ in range(shown) for token in image(images)] + words(1)
            response += seen + words(3)
            mask += [0] * len(seen) + [1] * 3
        made = processor.image_processor(images=images, return_tensors="pt") if images else {}
        inputs.append({name: made[name] for name in ("pixel_values", "image_grid_thw") if images})
        for rows, row in ((prompts, prompt), (responses, response), (masks, mask)):
            rows.append(torch.tensor(row))
    for row in (UNKNOWN, PADDING):
        masks[row][:] = 0
    whole = [torch.cat(pair).tolist() for pair in zip(prompts, responses, strict=True)]
    doubles = [{name: value.double() if value.is_floating_point() else value for name, value in one.items()}
               for one in inputs]  # fmt: skip
    reference = VisionReference(folder / "model", [*zip(whole, doubles, strict=True)], pad)
    correct_B = torch.tensor([1, 1, 0, 1, 1, 0, 0, 0], dtype=torch.bool)
    trained_B = torch.tensor([bool(mask.any()) for mask in masks])
    with torch.no_grad():
        log_probs = [reference.log_probs(*pair)[0].float() for pair in zip(prompts, responses, strict=True)]
    old = [values + 0.3 * torch.randn(len(values), generator=g) for values in log_probs]
    batch = Rollouts(
        prompts=prompts, responses=responses, masks=masks, old_log_probs=old, ref_log_probs=old,
        importance_weights=[torch.ones(len(values)) for values in old],
        acc_B=torch.randn(ROWS, generator=g) * trained_B, tool_B=torch.randn(ROWS, generator=g) * correct_B,
        correct_B=correct_B, cost_B=torch.zeros(ROWS).double(), decides=masks,
    )  # fmt: skip
    expected = {name: reference.update(batch, SETTINGS[name]) for name in COMPARED}
    torch.save((batch, VisionRows(inputs, pad)), folder / "rollouts.pt")
    torch.save(expected, folder / "expected.pt")


if __name__ == "__main__":
    from vision_rollouts import write as write_importable  # pickled classes belong to a module that others can import

    write_importable(Path(sys.argv[1]))
