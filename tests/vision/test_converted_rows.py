"""What ``verl-hdpo convert`` writes is what verl's own data sets read: every row of it."""

import base64
import copy
import json
import random

import pyarrow.parquet
import pytest
import torch
from image_loop import placeholder_runs, processor
from odd_images import odd_row
from omegaconf import OmegaConf
from PIL import Image
from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset

from verl_hdpo.evaluation.datasets.convert import convert
from verl_hdpo.evaluation.datasets.rl_rows import RlForm
from verl_hdpo.evaluation.datasets.sft_rows import SftForm

ROWS = 250
FORMS = {"rl": RlForm(mend=True), "sft": SftForm(mend=True)}


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """Odd rows, as both forms write them, in JSON as the paper's cold start has it."""
    folder, rng = tmp_path_factory.mktemp("odd"), random.Random(3)
    with open(folder / "set.jsonl", "w") as lines:
        for number in range(ROWS):
            row = odd_row(folder, number, rng)
            images = [plain(image) for image in row["images"] or ()]
            chat = [*row["prompt"], {"role": "assistant", "content": "<answer>4</answer>"}]
            lines.write(json.dumps({"messages": chat, "images": images, "answer": "4"}) + "\n")
    for name, form in FORMS.items():
        [*convert([folder / "set.jsonl"], folder / f"{name}.parquet", form, "skip")]
    return folder


def plain(image):
    if isinstance(image, dict):
        return {key: plain(value) for key, value in image.items()}
    return base64.b64encode(image).decode() if isinstance(image, bytes) else str(image)


def test_rows_for_rl(converted, dataset):
    rows = pyarrow.parquet.read_table(converted / "rl.parquet").to_pylist()
    assert ROWS / 4 < len(rows) < ROWS
    for row in rows:
        messages = dataset._build_messages(copy.deepcopy(row), key="prompt")
        images = dataset._process_multi_modal_info(messages, 16, OmegaConf.create({}))[0] or []
        assert len(images) == len(row["images"])
        assert all(isinstance(image, Image.Image) and image.mode == "RGB" for image in images)


def test_rows_for_a_cold_start(converted):
    made = processor()
    config = OmegaConf.create({"pad_mode": "no_padding", "max_length": 4096, "truncation": "error"})
    data = MultiTurnSFTDataset([str(converted / "sft.parquet")], made.tokenizer, config, made)
    rows = pyarrow.parquet.read_table(converted / "sft.parquet").to_pylist()
    assert len(data) == len(rows) > ROWS / 4
    for row, item in zip(rows, data, strict=True):
        runs = placeholder_runs(made, item["input_ids"].tolist())
        grid = item.get("multi_modal_inputs", {}).get("image_grid_thw", torch.zeros(0, 3, dtype=torch.long))
        assert runs == (grid.prod(-1) // made.image_processor.merge_size**2).tolist()
        assert len(runs) == len(row["images"])
        learned = made.tokenizer.decode(item["input_ids"][item["loss_mask"].bool()])
        assert learned.strip() == "<answer>4</answer><|im_end|>"
