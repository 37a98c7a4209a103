"""A tokenizer takes whatever came out of ``valid_text``."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import tiny_tokenizer

from verl_hdpo.tools.valid_text import valid_text, valid_texts

anything = st.text(st.characters(exclude_categories=()) | st.sampled_from("\ud83d\ude00\udfff\ufeff"))


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("as it was: é 😀", "as it was: é 😀"),
        ("\ufeffwith a mark", "\ufeffwith a mark"),
        ("cut \ud83d", "cut \ufffd"),
        ("\ude00 cut", "\ufffd cut"),
        ("\ud83dx", "\ufffdx"),
        ("\ud83d\ude00", "😀"),
        ("\ud83d\ud83d\ude00", "\ufffd😀"),
    ],
)
def test_halves_are_replaced_and_joined(text, valid):
    assert valid_text(text) == valid


@given(anything)
def test_the_tokenizer_takes_it(text):
    tiny_tokenizer().encode(valid_text(text))
    assert valid_text(valid_text(text)) == valid_text(text)


def test_texts_at_any_depth():
    assert valid_texts({"\ud83d": ["\ud83d", {"a": "\ud83d"}, 1, None]}) == {
        "\ufffd": ["\ufffd", {"a": "\ufffd"}, 1, None]
    }
