"""Images go in and come out pixel for pixel; too many or too large ones are left out, and that is said."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pools import open_pool, wait

from verl_hdpo.tools.sandbox.display import pixels_of_image
from verl_hdpo.tools.sandbox.frames import Pixels
from verl_hdpo.tools.sandbox.limits import Limits

LIMITS = Limits(images=3, image_pixels=10_000)


@pytest.fixture(scope="module")
def session():
    with open_pool("auto", modules=("PIL.Image", "matplotlib.pyplot"), limits=LIMITS) as pool:
        yield wait(pool.session())


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(["L", "RGB", "RGBA"]), st.integers(1, 60), st.integers(1, 60), st.randoms(use_true_random=False))
def test_an_image_comes_back_as_it_went(session, mode, width, height, random):
    data = random.randbytes(width * height * len(mode))
    result = wait(session.run("image_1", 30, {"image_1": Pixels(mode, width, height, data)}))
    assert result.images == [Pixels(mode, width, height, data)]


@pytest.mark.parametrize(
    ("mode", "sent"),
    [("1", "L"), ("P", "RGB"), ("LA", "RGBA"), ("CMYK", "RGB"), ("I;16", "RGB"), ("F", "RGB"), ("HSV", "RGB")],
)
def test_other_modes_are_converted(mode, sent):
    assert pixels_of_image(Image.new(mode, (3, 2))).mode == sent


@pytest.mark.parametrize(
    ("code", "sizes"),
    [
        ("new((5, 6))", [(5, 6)]),
        ("new((5, 6)).show()", [(5, 6)]),
        ("display(new((5, 6)), new((7, 8)))", [(5, 6), (7, 8)]),
        ("new((5, 6)).show(); new((7, 8))", [(5, 6), (7, 8)]),
        ("new((5, 6)).show(); 1 / 0", [(5, 6)]),
        ("x = new((5, 6))", []),
        ("plt.figure(figsize=(1, .5))", [(100, 50)]),
        ("x = plt.figure(figsize=(1, .5)); x", [(100, 50)]),
        ("plt.figure(figsize=(1, .5)); plt.show(); plt.figure(figsize=(.5, .5)); plt.show()", [(100, 50), (50, 50)]),
        ("plt.figure(figsize=(1, .5)); plt.close()", []),
        ("matplotlib.figure.Figure((1, .5))", [(100, 50)]),
    ],
)
def test_what_is_shown(session, code, sizes):
    wait(session.run("import matplotlib.figure, matplotlib.pyplot as plt\nfrom PIL import Image", 30))
    wait(session.run("new = lambda size: Image.new('L', size)", 30))
    result = wait(session.run(code, 30))
    assert [(image.width, image.height) for image in result.images] == sizes


def test_too_many_images(session):
    result = wait(session.run("from PIL import Image\nfor n in range(9): Image.new('L', (n + 1, 1)).show()", 30))
    assert [image.width for image in result.images] == [1, 2, 3]
    assert result.stderr == "[an image is not shown: the limit is reached]\n" * 6


def test_too_many_pixels(session):
    result = wait(session.run("for size in (101, 90, 50, 40): Image.new('L', (size, size)).show()", 30))
    assert [image.width for image in result.images] == [90, 40]
    assert "101 x 101 pixels is not shown: too large" in result.stderr
    assert "50 x 50 pixels is not shown: too large" in result.stderr
    result = wait(session.run("plt.figure(figsize=(500, 500))", 30))
    assert result.images == [] and "50000 x 50000" in result.stderr


def test_display_prints_what_is_no_picture(session):
    assert wait(session.run("display(1, 'a')", 30)).stdout == "1\n'a'\n"
