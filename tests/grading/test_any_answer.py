"""Whatever a model writes, the rules come to a verdict: an answer that broke them would be unknown."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from verl_hdpo.grading.kinds import Next, decide
from verl_hdpo.grading.labelled import read_pairs

FILES = sorted((Path(__file__).parent / "data").glob("*.jsonl"))
REFERENCES = sorted({row["gold"] for file in FILES for row in read_pairs(file) if isinstance(row["gold"], str)})
WRITTEN = r"""
1 2 3.5 x y A B yes no not is it's of and or the half five third times million km AM answer
% $ \$ \boxed{ \text{ \frac \sqrt \pi \le \in \cup \approx \pm \begin{pmatrix} \end{pmatrix} \\ & { } \{ \}
( ) [ ] | < > = ^ _ + - * / ! , ; : . ... ½ ² ∞ 答案 ' ** `
"""
PIECES = (*WRITTEN.split(), "which is", "out of", "\n", "\u200b")
answers = st.lists(st.sampled_from(PIECES), max_size=12).flatmap(
    lambda pieces: st.sampled_from([" ", ""]).map(lambda between: between.join(pieces))
)


@given(st.sampled_from(REFERENCES), answers | st.text(max_size=20))
@settings(max_examples=600, deadline=None)
def test_no_answer_breaks_the_rules(reference, answer):
    verdict = decide(reference, answer)
    assert isinstance(verdict, Next) or verdict.known


@given(st.sampled_from(REFERENCES), answers)
@settings(max_examples=600, deadline=None)
def test_marks_alone_are_right_for_no_words(reference, answer):
    marks = "".join(char for char in answer if not char.isalnum())
    if any(map(str.isalnum, reference)):
        verdict = decide(reference, marks)
        assert isinstance(verdict, Next) or not verdict.acc


@given(answers)
@settings(max_examples=200, deadline=None)
def test_every_reference_is_right_against_itself(reference):
    if reference.strip():
        verdict = decide(reference, reference)
        assert isinstance(verdict, Next) or verdict.acc or verdict.source == "empty"
