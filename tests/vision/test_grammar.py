"""The paper's prompt: tools in the system prompt, observations as turns of the user; beside the chat template's own."""

import pytest
from image_loop import Draws, call, check, processor, run
from PIL import Image

FINAL = "<reason>seen</reason><answer>4</answer>"
LOOK = "<reason>look</reason>"
PAPER = {"show_tools": False, "observation_role": "user"}


@pytest.fixture(scope="module")
def made():
    return processor()


def texts_of(made, hdpo, answers, texts):
    output, server = run(made, texts, tools=[Draws(answers)], hdpo=hdpo)
    check(made, output, server)
    return (made.tokenizer.decode(ids).replace("<|image_pad|>", "") for ids in (output.prompt_ids, output.response_ids))


def test_tools_in_the_system_prompt_and_observations_of_the_user(made):
    answers = [("first", [Image.new("RGB", (40, 40))]), ("second", [])]
    prompt, response = texts_of(made, PAPER, answers, [LOOK + call(0, 1), LOOK + call(1), FINAL])
    assert "draw" not in prompt
    assert "<tool_response>" not in response
    first, second, _ = [*response.split("<|im_start|>user\n")[1:], ""]
    assert first.startswith("<|vision_start|><|vision_end|>first")
    assert first.partition("<|im_end|>")[0].endswith("second")
    assert second.startswith("second<|im_end|>")


def test_the_chat_template_s_own_tools(made):
    prompt, response = texts_of(made, {}, [("first", [])], [LOOK + call(0), FINAL])
    assert '"name": "draw"' in prompt
    assert "<|im_start|>user\n<tool_response>first</tool_response><|im_end|>" in response
