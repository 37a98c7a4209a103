"""A thousand odd rows: what verl's data set makes of each, and what ``row_image_problems`` says of it."""

import copy
import random

from odd_images import odd_row
from omegaconf import OmegaConf
from PIL import Image
from verl.utils.dataset.rl_dataset import RLHFDataset

from verl_hdpo.runs.row_images import row_image_problems

ROWS = 1000


def images_of(dataset, row):
    """As the agent loop gets them.

    Raises:
        Exception: whatever verl, qwen_vl_utils and Pillow raise.
    """
    messages = dataset._build_messages(copy.deepcopy(row), key="prompt")
    return RLHFDataset._process_multi_modal_info(messages, 16, OmegaConf.create({}))[0] or []


def test_a_row_fails_in_verl_if_and_only_if_it_was_told(dataset, tmp_path):
    rng, told, kept = random.Random(1), 0, 0
    for number in range(ROWS):
        row = odd_row(tmp_path, number, rng)
        fails = [problem for problem in row_image_problems(row) if problem.mark == "FAIL"]
        try:
            images = images_of(dataset, row)
        except Exception as error:
            assert fails, f"row {number}: {error!r}: {row!r:.500}"
            told += 1
        else:
            assert not fails, f"row {number}: {fails}: {row!r:.500}"
            assert all(isinstance(image, Image.Image) and image.mode == "RGB" for image in images)
            kept += 1
    assert told > ROWS / 4 and kept > ROWS / 4
