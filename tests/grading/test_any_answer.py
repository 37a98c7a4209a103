"""Whatever a model writes, the rules come to a verdict: an answer that broke them would be unknown."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from verl_hdpo.grading.kinds import Next, decide
from verl_hdpo.outcomes.outcome import Outcome

REFERENCES = (
    "B", "A, C", "yes", "false", "408", "1/2", "-3.5", "50%", "$5", "72 km/h", "third", "5:30 PM", "2021-03-04", "1, 2",
    "(1, 2)", "\\{1, 2\\}", "[0, 1)", "|x - 1| < 2", "x = 1, y = 2", "y = 2x + 1", "\\sqrt{2}", "x^2 + 1", "2:3", "1011_2",
    "3 \\pmod{7}", "\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}", "\\emptyset", "red", "Curie, Marie", "6 out of 10", "V_1:V_2 = 3:5",
)  # fmt: skip
PIECES = (
    "1", "2", "3.5", "x", "y", "A", "B", "yes", "no", "not", "is", "it's", "which is", "of", "out of", "and", "or", "the",
    "half", "five", "third", "times", "million", "%", "$", "\\$", "\\boxed{", "\\text{", "\\frac", "\\sqrt", "\\pi", "\\le",
    "\\in", "\\cup", "\\approx", "\\pm", "\\begin{pmatrix}", "\\end{pmatrix}", "\\\\", "&", "{", "}", "\\{", "\\}", "(", ")",
    "[", "]", "|", "<", ">", "=", "^", "_", "+", "-", "*", "/", "!", ",", ";", ":", ".", "...", "km", "AM", "\n", "½", "²",
    "∞", "答案", "\u200b", "'", "**", "`",
)  # fmt: skip
answers = st.lists(st.sampled_from(PIECES), max_size=12).flatmap(
    lambda pieces: st.sampled_from([" ", ""]).map(lambda between: between.join(pieces))
)


@given(st.sampled_from(REFERENCES), answers | st.text(max_size=20))
@settings(max_examples=600, deadline=None)
def test_no_answer_breaks_the_rules(reference, answer):
    verdict = decide(reference, answer)
    assert verdict is Next.MATH_VERIFY or verdict is Next.NOBODY or (isinstance(verdict, Outcome) and verdict.known)


@given(answers)
@settings(max_examples=200, deadline=None)
def test_every_reference_is_right_against_itself(reference):
    if reference.strip():
        verdict = decide(reference, reference)
        assert verdict in (Outcome.right("exact"), Outcome.wrong("empty")) or isinstance(verdict, Next)
