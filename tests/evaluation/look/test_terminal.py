"""Rollouts in a terminal."""

import io
from dataclasses import replace

import pytest
from rich.console import Console
from rollout_samples import HOSTILE, group, hostile, many

from verl_hdpo.evaluation.look.terminal import print_groups
from verl_hdpo.runs.terminal import harmless


def printed(rollouts, chosen=None, limit=20, **given):
    out = io.StringIO()
    print_groups(rollouts, chosen or rollouts, limit, Console(file=out, width=200, **given))
    return out.getvalue()


def test_a_group_is_a_table_and_the_dialogues_of_those_chosen():
    rollouts = group(1)
    text = printed(rollouts, [rollouts[0]])
    for words in (
        "train · step 1 · source1",
        "needless",
        "missed",
        "judge_error",
        "+0.58",
        "-0.71",
        "Question 1",
        "→ calculator",
    ):
        assert words in text
    assert "(executed)" in text
    assert "tool's answer: 7" in text
    assert "I do not know" not in text  # another one's
    assert "the grader saw '7'" in text


def test_columns_of_which_nothing_is_known_are_left_out():
    rollouts = [replace(one, r_acc=None, r_tool=None, tool_advantage=None) for one in group(1)]
    heads = printed(rollouts).split("\n")[1]
    assert "outcome" in heads and "A_acc" in heads
    assert not {"r_acc", "r_tool", "A_tool"} & {head.strip() for head in heads.split("|")}


def test_frames_are_for_terminals():
    assert "╭" not in printed(group(1))
    assert "╭" in printed(group(1), force_terminal=True)


def test_no_more_groups_than_asked_for():
    text = printed(many(40), limit=3)
    assert [f"Question {number}:" in text for number in range(4)] == [True, True, True, False]
    assert "... and 7 more groups" in text


def test_nothing_hostile_reaches_the_terminal():
    text = printed(hostile(), force_terminal=True, color_system=None)
    assert not {sign for sign in text if not sign.isprintable()} - {"\n"}
    assert "␛[31mred␛[0m" in text
    assert "<U+202E>gnp.exe<U+202C>" in text
    assert "<b>bold</b>" in text
    assert "[bold]" in printed(group(1)[:1]).replace("Question 1", "[bold]")


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_is_left_of_a_text_can_be_printed(text):
    assert all(sign.isprintable() or sign in "\n\t" for sign in harmless(text))


def test_words_in_brackets_are_no_markup():

    one = group(1)[0]
    asked = replace(one, prompt=(replace(one.prompt[0], text="[red]not red[/red] [/]"),))
    assert "[red]not red[/red] [/]" in printed([asked])
