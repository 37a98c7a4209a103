"""From a rollout's text to its turns, as real tokenizers and verl's own loop leave it."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_loop import FINAL, call, echo, function_tool, run_loop
from tiny import tiny_tokenizer

from verl_hdpo.evaluation.dumps.dialogue import assistant_turn, message_turns, prompt_turns, response_turns, tool_turns

LLAMA = (
    "<|python_tag|>look(1)<|eom_id|><|start_header_id|>ipython<|end_header_id|>\n\nfound 4<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\nIt is 4.<|eot_id|>"
)


def summary(turns):
    return [(turn.role, turn.text, [(one.name, one.arguments) for one in turn.calls]) for turn in turns]


@pytest.mark.parametrize("skipped", [True, False])
def test_verls_own_loop_is_read_back_with_and_without_special_tokens(skipped):
    two = call("echo", "1") + call("echo", "2")
    output, _, _ = run_loop(["Let me look. " + two, call("gone"), FINAL], [function_tool(echo)])
    text = tiny_tokenizer().decode(output.response_ids, skip_special_tokens=skipped)
    turns = response_turns(text)
    assert summary(turns)[:3] == [
        ("assistant", "Let me look.", [("echo", '{"x": "1"}'), ("echo", '{"x": "2"}')]),
        ("tool", "echo 1", []),
        ("tool", "echo 2", []),
    ]
    assert summary(turns)[3] == ("assistant", "", [("gone", '{"x": "1"}')])
    assert turns[4].role == "tool"
    assert summary(turns)[5:] == [("assistant", FINAL, [])]


def test_the_prompt_is_read_from_its_template_and_from_what_is_left_of_it():
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2+2?\nassistant\nno"}]
    ids = tiny_tokenizer().apply_chat_template(messages, add_generation_prompt=True, tokenize=True)
    ids = ids if isinstance(ids, list) else ids["input_ids"]
    assert summary(prompt_turns(tiny_tokenizer().decode(ids))) == [(m["role"], m["content"], []) for m in messages]
    bare = prompt_turns("system\nBe brief.\nuser\n2+2?\nassistant\n")
    assert summary(bare) == [("system", "Be brief.", []), ("user", "2+2?", [])]
    assert summary(prompt_turns("Who is a\nuser\nhere?")) == [("user", "Who is a\nuser\nhere?", [])]
    assert summary(prompt_turns("What is 2+2?")) == [("user", "What is 2+2?", [])]


def test_llamas_headers():
    assert [(turn.role, turn.text) for turn in response_turns(LLAMA)] == [
        ("assistant", "<|python_tag|>look(1)"),
        ("tool", "found 4"),
        ("assistant", "It is 4."),
    ]


def test_thinking_stands_apart_whether_the_template_opened_it_or_the_model():
    for text in ("<think>\nhm\n</think>\n\nFour.", "hm\n</think>Four."):
        turn = assistant_turn(text + "<|im_end|>")
        assert (turn.thinking, turn.text) == ("hm", "Four.")


def test_a_call_in_qwen3_coders_form():
    text = "<tool_call>\n<function=python>\n<parameter=code>\nprint(1)\n</parameter>\n</function>\n</tool_call>"
    (found,) = assistant_turn(text).calls
    assert (found.name, json.loads(found.arguments)) == ("python", {"code": "print(1)"})


@pytest.mark.parametrize("body", ["{not json", '{"name": "x"', "[1, 2]", "3", "[" * 100_000])
def test_a_call_that_cannot_be_read_is_kept_as_it_was_written(body):
    (found,) = assistant_turn(f"<tool_call>{body}</tool_call>").calls
    assert (found.name, found.arguments) == ("", body)


def test_a_call_cut_off_by_the_length_limit_is_a_call_and_not_an_answer():
    turn = assistant_turn('I look. <tool_call>\n{"name": "search", "argu')
    assert turn.text == "I look."
    assert len(turn.calls) == 1


PIECES = (
    "<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<|im_start|>user\n",
    "<|im_start|>assistant\n", "<|im_end|>", "\nuser\n", "\nassistant\n", "<function=", ">", '{"name": "', '"}', "\n",
)  # fmt: skip


@given(st.lists(st.sampled_from(PIECES) | st.integers(0, 99), max_size=30))
def test_no_word_gets_lost_however_the_marks_are_mixed_up(pieces):
    text = "".join(piece if isinstance(piece, str) else f" word{at} " for at, piece in enumerate(pieces))
    words = {f"word{at}" for at, piece in enumerate(pieces) if not isinstance(piece, str)}
    for turns in (response_turns(text), [assistant_turn(text)], prompt_turns(text)):
        kept = json.dumps([(turn.text, turn.thinking, [(c.name, c.arguments) for c in turn.calls]) for turn in turns])
        assert words <= set(re.findall(r"word\d+", kept))


@pytest.mark.parametrize("piece", [" ", "\n", "<tool_response>", "<tool_call>", "<think>", "user\n", "<|im_start|>"])
def test_what_a_model_repeats_without_end_is_read(piece):
    assert response_turns("said" + piece * 200_000)[0].text.startswith("said")


def test_tool_text_of_another_template_loses_its_frame_only():
    assert summary(tool_turns("<|im_end|>\nassistant said 4\nassistant")) == [("tool", "assistant said 4", [])]


def test_messages_in_openais_form_with_images_and_structured_calls():
    messages = [
        {
            "role": "user",
            "content": [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": "u"}}],
        },
        {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]},
        {"role": "tool", "content": "4"},
    ]
    user, assistant, tool = message_turns(messages)
    assert (user.text, user.images) == ("see", ("u",))
    assert [(one.name, one.arguments) for one in assistant.calls] == [("f", '{"a": 1}')]
    assert (tool.role, tool.text) == ("tool", "4")
