"""What is said of the images of a row; tests/vision/test_odd_rows.py holds it against what verl does."""

import io
import random

import pytest
from odd_images import animated, drawn, encoded, png_header, turned
from PIL import Image

from verl_hdpo.runs.row_images import row_image_problems

RNG = random.Random(0)
PNG = encoded(drawn("RGB", (9, 9), RNG))


def row(*images, text="<image>What is it?"):
    return {"prompt": [{"role": "user", "content": text}], "images": list(images)}


def told(row, **options):
    return [(problem.mark, problem.found) for problem in row_image_problems(row, **options)]


def test_a_good_row_has_no_problem():
    assert told(row({"bytes": PNG})) == []
    assert told({"prompt": [{"role": "user", "content": "What is <image> in HTML?"}]}) == []
    assert told(row({"bytes": PNG}, {"image": "https://example.org/a.png"}, text="<image><image>")) == []


@pytest.mark.parametrize(
    ("entry", "mark", "text"),
    [
        ({"bytes": PNG[:60]}, "FAIL", "cannot be read"),
        ({"bytes": b"<html>404</html>"}, "FAIL", "cannot be read: cannot identify it"),
        ({"bytes": None, "path": "a.png"}, "FAIL", "has bytes that are NoneType"),
        ({"path": "a.png"}, "FAIL", "is NoneType, not an image"),
        (None, "FAIL", "is NoneType, not an image"),
        ("missing.png", "FAIL", "is missing: there is no such file"),
        ("data:image/png;base64,a", "FAIL", "is not valid base64"),
        ({"bytes": png_header(20_000, 20_000)}, "FAIL", "is too large"),
        ({"bytes": png_header(0, 4)}, "FAIL", "cannot be read"),
        ({"bytes": encoded(drawn("L", (201, 1), RNG))}, "FAIL", "is 201 x 1 pixels: more than 200 times"),
        ({"bytes": encoded(drawn("I;16", (9, 9), RNG))}, "warn", "has more than 8 bits"),
        ({"bytes": encoded(drawn("CMYK", (9, 9), RNG), "JPEG")}, "warn", "is in CMYK"),
        ({"bytes": animated(RNG)}, "warn", "is animated"),
        ({"bytes": turned(RNG)}, "warn", "is turned by EXIF"),
    ],
)
def test_each_trouble_has_its_words(entry, mark, text):
    ((found_mark, found),) = told(row(entry))
    assert found_mark == mark
    assert found.startswith(f"has image 0 that {text}")


def test_images_and_their_places_must_be_as_many():
    image = {"bytes": PNG}
    assert told(row(image, image)) == [("FAIL", "has 2 images and <image> 1 times in the prompt's texts")]
    assert told(row(image, text="?")) == [("FAIL", "has 1 images and <image> 0 times in the prompt's texts")]
    assert told(row()) == [("warn", "has no image, and the model is shown <image> as a text")]
    assert told({**row(), "images": "a.png"}) == [("FAIL", "has images that is str, not a list")]


def test_a_huge_image_is_told_by_its_header():
    header = png_header(10_000, 9_500)
    assert told(row({"bytes": header}), decode=False)[0][0] == "warn"
    assert Image.open(io.BytesIO(header)).size == (10_000, 9_500)
