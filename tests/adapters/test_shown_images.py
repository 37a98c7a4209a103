"""Which of the tools' images a model is shown."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from verl.tools.schemas import ToolResponse

from verl_hdpo.adapters.shown_images import NO_IMAGES_TEXT, THIN_IMAGES_TEXT, ShownImages

PROCESSOR = SimpleNamespace(image_processor=object(), image_token="<|image_pad|>")


def image(width, height):
    return Image.new("L", (width, height))


def test_a_model_without_eyes_is_told_so():
    shown = ShownImages(None).of(ToolResponse(text="a", image=[image(2, 2)]))
    assert (shown.text, shown.image) == (f"a\n{NO_IMAGES_TEXT}", None)


def test_an_image_that_no_processor_takes_is_left_out():
    wide, thin, flat = image(199, 1), image(4, 800), image(0, 5)
    shown = ShownImages(PROCESSOR)
    assert shown.of(ToolResponse(text="a", image=[wide])).image[0].size == wide.size
    cut = shown.of(ToolResponse(text="a", image=[thin, wide, flat]))
    assert (cut.text, [one.size for one in cut.image]) == (f"a\n{THIN_IMAGES_TEXT}", [wide.size])
    assert shown.of(ToolResponse(image=[thin])).text == THIN_IMAGES_TEXT


def test_the_user_s_images_count_and_what_is_left_is_told():
    shown = ShownImages(PROCESSOR, limit=3, pixel_limit=30, users=[image(4, 5)])
    cut = shown.of(ToolResponse(image=[image(11, 1), image(2, 5), image(1, 1)]))
    assert [one.size for one in cut.image] == [(2, 5)]
    assert cut.text == (
        "[An image of 11 x 1 pixels is not shown: 10 pixels are left.]\n"
        "[An image of 1 x 1 pixels is not shown: 0 pixels are left.]"
    )
    without = ShownImages(PROCESSOR, limit=1, users=[image(4, 5)]).of(ToolResponse(text="b", image=[image(1, 1)] * 2))
    assert (without.text, without.image) == ("b\n[An image is not shown: the limit of 1 images is reached.]", None)


SIZES = st.tuples(st.integers(0, 30), st.integers(0, 30))


@given(
    users=st.lists(SIZES, max_size=2),
    turns=st.lists(st.lists(SIZES, max_size=4), max_size=5),
    limit=st.none() | st.integers(0, 6),
    pixels=st.none() | st.integers(0, 2000),
)
def test_the_limits_hold_over_all_turns_and_no_image_goes_without_a_word(users, turns, limit, pixels):
    shown = ShownImages(PROCESSOR, limit, pixels, [image(*size) for size in users])
    sizes = []
    for turn in turns:
        response = shown.of(ToolResponse(text="t", image=[image(*size) for size in turn]))
        kept = [one.size for one in response.image or ()]
        sizes += kept
        assert (len(kept) < len(turn)) == (response.text != "t")
        assert response.text.startswith("t")
    if sizes and limit is not None:
        assert len(users) + len(sizes) <= limit
    if sizes and pixels is not None:
        assert sum(width * height for width, height in users + sizes) <= pixels
