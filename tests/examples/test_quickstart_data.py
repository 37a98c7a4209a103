"""The quickstart's committed questions: right answers, enough of them, and no leak between the stages."""

import sys
from pathlib import Path

import pytest

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart"


@pytest.fixture
def modules(monkeypatch):
    """``questions`` and ``derive`` of the quickstart, which is a folder of scripts and no package."""
    monkeypatch.syspath_prepend(str(QUICKSTART))
    import derive
    import questions

    yield questions, derive
    for name in ("derive", "questions"):
        sys.modules.pop(name, None)


def step(expression):
    symbol = next(c for c in expression if c in "+-*/")
    left, right = expression.split(symbol)
    return int(left), symbol, int(right)


@pytest.mark.parametrize("kind", ["not_needed", "needed"])
def test_answers_are_right_and_questions_are_of_their_kind(modules, kind):
    questions, derive = modules
    of_kind = derive.small if kind == "not_needed" else derive.large
    loaded = questions.load(kind)
    assert len({q.expression for q in loaded}) == len(loaded)
    for question in loaded:
        assert str(derive.answer(step(question.expression))) == question.answer
        assert of_kind(step(question.expression)), question


@pytest.mark.parametrize("seed", [1, 2])
def test_validation_is_new_to_what_came_before(modules, seed):
    questions, _ = modules
    split = questions.split(seed)
    validation = {q.expression for q in split.validation}
    assert not validation & {q.expression for q in split.train}
    assert not validation & {q.expression for q in split.copied}
    assert {q.expression for q in split.validation if q.kind == "not_needed"} <= {q.expression for q in split.known}
    for kind in questions.KINDS:
        assert sum(q.kind == kind for q in split.validation) >= 256
    assert questions.split(seed) == split
    assert questions.split(seed + 1) != split


def test_gsm8k_annotations_are_read(modules):
    _, derive = modules
    solution = "Natalia sold 48/2 = <<48/2=24>>24 clips, <<0.2*50=10>>10 and <<48+24=72>>72. #### 72"
    assert list(derive.annotated_steps(solution)) == [(48, "/", 2), (48, "+", 24)]


def test_gsmhard_programs_are_walked_not_run(modules):
    _, derive = modules
    code = """
def solution():
    fiber = 2287720
    half = fiber / 2
    __import__("os").abort()
    unknown = open("x")
    total = fiber + half
    return total + unknown
"""
    assert list(derive.code_steps(code)) == [(2287720, "/", 2), (2287720, "+", 1143860)]


def test_data_stays_small_and_names_its_licences(modules):
    questions, _ = modules
    assert sum(path.stat().st_size for path in questions.DATA.iterdir()) < 300_000
    notice = (questions.DATA / "NOTICE.md").read_text()
    assert "MIT License" in notice and "Copyright (c) 2021 OpenAI" in notice and "Apache License 2.0" in notice
