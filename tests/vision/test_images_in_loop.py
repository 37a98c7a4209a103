"""Tools' images go back to the model as images, and features, placeholders and trained tokens stay aligned."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_loop import LARGEST, USER, call, check, features, placeholder_runs, processor, run
from PIL import Image

from verl_hdpo.tools.python import PythonTool

FINAL = "<answer>4</answer>"
MODES = ("RGB", "L", "1", "P", "RGBA", "LA", "CMYK", "I;16", "I", "F")
PLACEHOLDERS = ("<|image_pad|>", "<|vision_start|>", "<|vision_end|>", "<|video_pad|>")


@pytest.fixture(scope="module")
def made():
    return processor()


def test_ten_turns_with_eight_images_of_tools(made):
    sizes = [(64, 64), (40, 200), (300, 32), (33, 47), (128, 128), (500, 400), (32, 32), (90, 60)]
    answers = [(f"number {i}", [Image.new("RGB", size, (20 * i, 0, 0))]) for i, size in enumerate(sizes)]
    texts = [*(call(i) for i in range(8)), "Let me think." + call(0, 1), FINAL]
    answers[0] = ("", [Image.new("RGB", sizes[0])])
    output, server = run(made, texts, answers, hdpo={"max_images": 9})
    check(made, output, server)
    assert len(server.sampled) == 10
    shown = output.multi_modal_data["images"]
    assert [image.size for image in shown[1:]] == sizes  # the last turn's two calls are over the limit
    assert "[An image is not shown: the limit of 9 images is reached.]" in made.tokenizer.decode(output.response_ids)


SIZES = st.tuples(st.integers(0, 80), st.integers(1, 80)) | st.sampled_from([(1, 300), (700, 3), (200, 400)])
IMAGES = st.builds(Image.new, st.sampled_from(MODES), SIZES)
TEXTS = st.lists(st.sampled_from(["", "a", "<", "<|", ">", "|>", "\ud800", *PLACEHOLDERS]), max_size=4).map("".join)
ANSWERS = st.lists(st.tuples(TEXTS, st.lists(IMAGES, max_size=3)), min_size=1, max_size=5)


@settings(max_examples=25)
@given(
    answers=ANSWERS,
    turns=st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=3), max_size=8),
    users=st.lists(
        st.builds(Image.new, st.just("RGB"), st.tuples(st.integers(28, 90), st.integers(28, 90))), max_size=2
    ),
    max_images=st.none() | st.integers(0, 6),
    max_pixels=st.none() | st.integers(0, 3 * LARGEST),
    response_length=st.integers(1, 600),
    max_assistant_turns=st.none() | st.integers(1, 5),
)
def test_features_are_placeholders_and_trained_tokens_are_sampled_ones(
    made, answers, turns, users, max_images, max_pixels, response_length, max_assistant_turns
):
    """Through tool images of any mode and size, truncation, limits and early stop. ``check`` says what must hold."""
    texts = [*(call(*(number % len(answers) for number in turn)) for turn in turns), FINAL]
    limits = {"max_images": max_images, "max_image_pixels": max_pixels}
    output, server = run(
        made, texts, answers, users=users, hdpo=limits, response_length=response_length,
        max_assistant_turns=max_assistant_turns,
    )  # fmt: skip
    assert not output.extra_fields.get("rollout_lost")
    check(made, output, server, response_length)
    shown = len(output.multi_modal_data.get("images") or ())
    assert max_images is None or shown <= max(max_images, len(users))


@pytest.mark.parametrize("placeholder", PLACEHOLDERS)
def test_a_tool_s_text_cannot_pass_for_an_image(made, placeholder):
    answers = [(f"before <{placeholder}> after {placeholder}", [Image.new("RGB", (40, 40))])]
    output, server = run(made, [call(0), FINAL], answers)
    check(made, output, server)
    apart = f"< {placeholder[1:-1]} >"
    assert f"before <{apart}> after {apart}" in made.tokenizer.decode(output.response_ids)


def test_python_gets_the_user_s_image_as_it_is_and_returns_one_the_same_way(made):
    """256 x 256 pixels, of which the model is shown 128 x 128; the speck that it cuts out is lost there."""
    image = USER.copy()
    image.paste("black", (240, 16, 248, 24))
    tool = PythonTool({"modules": ["PIL.Image"]})
    code = "print(image_1.size, image_1.getpixel((244, 20)))\\nimage_1.crop((240, 16, 248, 24))"
    text = f'<tool_call>\n{{"name": "python", "arguments": {{"code": "{code}"}}}}\n</tool_call>'
    output, server = run(made, [text, FINAL], tools=[tool], users=[image])
    check(made, output, server)
    assert "(256, 256) (0, 0, 0)" in made.tokenizer.decode(output.response_ids)
    _, cut = output.multi_modal_data["images"]
    assert (cut.size, cut.convert("L").getextrema()) == ((8, 8), (0, 0))
    runs = placeholder_runs(made, output.response_ids)
    assert runs == features(made, [cut]) == [1]
