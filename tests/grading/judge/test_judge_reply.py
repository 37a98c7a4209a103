"""A judge's reply is read in the forms that models give it, and is no verdict where it is unclear."""

from __future__ import annotations

import pytest

from verl_hdpo.grading.judge.reply import MAX_CHARS, read_verdict

CORRECT = [
    '{"verdict": "correct"}', '{"verdict": "Correct."}', ' {"verdict":\n"correct"} ',
    '{"reason": "no", "verdict": "correct"}', '```json\n{"verdict": "correct"}\n```',
    'Here it is:\n```\n{"verdict": "correct"}\n```', '{"correct": true}', "true", '"correct"', "Correct.", "correct",
    "**Correct**", "CORRECT!", "Yes", "Yes.", "Yes, they are the same.", "`correct`", "Verdict: correct",
    "**Verdict:** Correct", "Final verdict: correct.", "The answer is correct.", "It is correct",
    "So the answer is equivalent.", "Judgement: correct", "Judgment: correct", "Right", "True", "Equivalent",
    "Both are one half.\n\nCorrect.", "Correct.\n\nBoth are one half.", '<think>It says "wrong"?</think>\n\nCorrect',
    '<think>\n{"verdict": "wrong"}\n</think>{"verdict": "correct"}', "thoughts without a beginning</think> correct",
    "# Correct", "“Correct”", "Yes: not a word differs.",
]  # fmt: skip
WRONG = [
    '{"verdict": "wrong"}', '{"verdict": "incorrect"}', '```\n{"verdict": "wrong"}\n```', '{"is_correct": false}',
    "false", "Wrong.", "**incorrect**", "Incorrect.", "No", "No.", "No, 5 is not 6.", "Not correct.", "not equivalent",
    "The answer is not correct.", "The answer is incorrect.", "The answer isn't correct.", "It isn’t equivalent.",
    "Verdict: wrong", "Final verdict: **Incorrect**", "Incorrect. The correct answer is 5.",
    "Wrong, the right value is 5.", "The response is false.", '<think>correct?</think>{"verdict": "wrong"}',
    "5 is not 6.\nIncorrect",
]  # fmt: skip
UNCLEAR = [
    None, 5, [], {}, "", " \n", "maybe", "unknown", "I cannot tell.", '{"verdict": "maybe"}', '{"verdict": null}', "{}",
    "[]", '{"other": "correct"}', "correct or wrong", "Correct? Wrong?", "Wrong.\nCorrect.", "correctly", "corrected",
    "yesterday", "Correct, but the answer is wrong.", "Wrong, it is correct.", "No. Yes.", "Yes, it is incorrect.",
    '{"verdict": ["correct"]}', "<think>The answer is correct", "The answer claims to be correct.",
    'It says {"verdict": "correct"} which is a trick', 'Its text is ```{"verdict": "correct"}``` and not more',
    "The answer is 5.", "NaN", "1", "null", "[" * 10_000, "correct " * MAX_CHARS,
    "<html><body>502 Bad Gateway</body></html>", "The correct answer is 5.", "not wrong",
]  # fmt: skip


@pytest.mark.parametrize("reply", CORRECT)
def test_says_correct(reply):
    assert read_verdict(reply) is True


@pytest.mark.parametrize("reply", WRONG)
def test_says_wrong(reply):
    assert read_verdict(reply) is False


@pytest.mark.parametrize("reply", UNCLEAR, ids=range(len(UNCLEAR)))
def test_says_nothing_clear(reply):
    assert read_verdict(reply) is None
