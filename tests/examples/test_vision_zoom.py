"""The second quickstart's pictures and its zoom tool. That its model learns is for ``make quickstart-vision``."""

import asyncio
import io
import random
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy
import pytest
from PIL import Image

from verl_hdpo.tools.failures import BadCall

EXAMPLES = Path(__file__).parents[2] / "examples"
OWN = ("pictures", "zoom", "vision_training", "training")


@pytest.fixture
def modules(monkeypatch):
    """Of the example, which is a folder of scripts and no package."""
    for folder in ("quickstart", "vision_zoom"):
        monkeypatch.syspath_prepend(str(EXAMPLES / folder))
    import pictures
    import vision_training
    import zoom

    yield SimpleNamespace(pictures=pictures, zoom=zoom, training=vision_training)
    for name in OWN:
        sys.modules.pop(name, None)


def seen(image, pictures):
    """What the processor makes of it."""
    return image.resize((pictures.SEEN,) * 2, Image.Resampling.BICUBIC)


def contrast(image):
    """Greatest difference of greys."""
    greys = numpy.asarray(image.convert("L"), dtype=int)
    return greys.max() - greys.min()


def test_a_speck_is_lost_to_the_model_and_there_in_the_original(modules):
    pictures = modules.pictures
    for index in range(40):
        picture = pictures.draw("needed", random.Random(index))
        box = pictures.REGIONS[picture.region]
        corner = seen(picture.image, pictures).crop([side * pictures.SEEN // pictures.SIDE for side in box])
        assert corner.size == (4, 4)  # pixels, of which no digit can be made
        assert contrast(pictures.enlarged(picture.image, picture.region)) > 60
        others = [name for name in pictures.REGIONS if name not in ("all", picture.region)]
        assert all(contrast(pictures.enlarged(picture.image, name)) == 0 for name in others)
        large = pictures.draw("not_needed", random.Random(index))
        assert contrast(seen(large.image, pictures)) > 100


def test_the_pictures_of_a_seed(modules):
    pictures = modules.pictures
    dealt = pictures.deal(1)
    assert Counter(picture.kind for picture in dealt["train"]) == {"not_needed": 300, "needed": 100}
    assert Counter(picture.kind for picture in dealt["validation"]) == {"not_needed": 192, "needed": 192}
    rows = {seed: [p.row(0)["images"][0]["bytes"] for p in pictures.deal(seed)["train"]] for seed in (1, 2)}
    assert rows[1] == [picture.row(0)["images"][0]["bytes"] for picture in dealt["train"]]
    assert not set(rows[1]) & set(rows[2])


def test_a_row_has_one_placeholder_for_its_one_image(modules):
    picture = modules.pictures.draw("needed", random.Random(0))
    row = picture.row(3)
    assert row["prompt"][0]["content"].count("<image>") == len(row["images"]) == 1
    assert Image.open(io.BytesIO(row["images"][0]["bytes"])).size == (256, 256)
    assert row["reward_model"]["ground_truth"] == picture.digit


def test_zoom_shows_the_original_and_refuses_in_words(modules):
    picture = modules.pictures.draw("needed", random.Random(0))
    part = {"type": "image", "image": picture.image}
    data = SimpleNamespace(messages=[{"content": [part]}], image_data=[seen(picture.image, modules.pictures)])
    tool = modules.zoom.Zoom({"type": "native"})
    response, _, _ = asyncio.run(tool.execute("1", {"region": picture.region}, agent_data=data))
    (shown,) = response.image
    assert shown.tobytes() == modules.pictures.enlarged(picture.image, picture.region).tobytes()
    for arguments in ({}, {"region": "middle"}, [], {"region": ["all"]}):
        with pytest.raises(BadCall, match="'region' must be one of all, top left"):
            asyncio.run(tool.execute("1", arguments, agent_data=data))


def test_the_run_differs_by_one_word_between_algorithms(modules):
    hdpo, grpo = (modules.training.overrides(algo, Path("cold"), 1, 16) for algo in ("hdpo", "grpo"))
    differing = [pair for pair in zip(hdpo, grpo, strict=True) if pair[0] != pair[1]]
    assert differing[0] == ("algorithm.adv_estimator=hdpo", "algorithm.adv_estimator=grpo")
    assert all("adv_estimator" in ours or "experiment_name" in ours for ours, _ in differing)
