"""Tests that need torchvision, in a process that started with it: tests/adapters/test_with_torchvision.py starts that.

In the other tests' process transformers has been imported without torchvision.
"""

import os
import sys
from pathlib import Path

import pytest

INSIDE = "VERL_HDPO_WITH_TORCHVISION"
collect_ignore_glob = [] if INSIDE in os.environ else ["test_*"]

EXAMPLES = Path(__file__).parents[2] / "examples"
sys.path[:0] = [str(EXAMPLES / "vision_zoom"), str(EXAMPLES / "quickstart")] if INSIDE in os.environ else []


@pytest.fixture(scope="module")
def dataset():
    """verl's for RL, without its files."""
    from image_loop import processor
    from verl.utils.dataset.rl_dataset import RLHFDataset

    made = object.__new__(RLHFDataset)
    made.processor, made.prompt_key = processor(), "prompt"
    made.image_key, made.video_key, made.audio_key = "images", "videos", "audios"
    return made
