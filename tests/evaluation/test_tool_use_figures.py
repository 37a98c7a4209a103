"""The figures of ``verl-hdpo eval``: worked cases, a plain implementation on random records, intervals, files."""

from __future__ import annotations

import math
import random

import pytest

from verl_hdpo.evaluation.estimate import mean, share
from verl_hdpo.evaluation.record import ARMS, Record, RecordError, RecordFile
from verl_hdpo.evaluation.side_by_side import joined, side_by_side
from verl_hdpo.evaluation.tool_use import figures, per_source


def random_records(rng: random.Random, questions: int = 12, rollouts: int = 3) -> list[Record]:
    return [
        Record(
            arm, q, i, rng.choice("ab"), rng.choice([0, 0, 1, 2]), rng.choice([True, False, False, None]),
            answer=rng.choice(["4", "5", ""]), last_turn=rng.choice(["Four.", " four."]),
            exchanged=[["plus", "4", "5"]] if arm == "counterfactual" and rng.random() < 0.7 else [],
            should_call=rng.choice([True, False, None]),
        )
        for arm in ARMS
        for q in range(questions)
        for i in range(rollouts)
    ]  # fmt: skip


def plain(records: list[Record]) -> dict[str, float]:
    """Every figure by loops over questions and rollouts."""

    def of(arm: str, q: int) -> list[Record]:
        return [r for r in records if r.arm == arm and r.question == q]

    def average(values: list[float]) -> float:
        return sum(values) / len(values) if values else math.nan

    def accuracy(arm: str) -> float:
        return average([float(r.correct) for r in records if r.arm == arm and r.correct is not None])

    free = [r for r in records if r.arm == "free"]
    questions = sorted({r.question for r in free})
    right = {
        arm: {q: average([float(r.correct) for r in of(arm, q) if r.correct is not None]) for q in questions}
        for arm in ARMS
    }
    needless, needless_of_calls, missed, missed_of_wrong = [], [], [], []
    for q in questions:
        rows = of("free", q)
        if not math.isnan(p0 := right["without"][q]):
            needless.append(average([(r.calls > 0) * p0 for r in rows]))
            needless_of_calls += [p0 for r in rows if r.calls]
        if not math.isnan(p1 := right["forced"][q]):
            known = [r for r in rows if r.correct is not None]
            if known:
                missed.append(average([(r.calls == 0 and not r.correct) * p1 for r in known]))
            missed_of_wrong += [p1 for r in known if r.calls == 0 and not r.correct]
    known = [r for r in free if r.correct is not None]
    blind, tried = [], set()
    for r in records:
        if r.exchanged:
            before = next(one for one in free if (one.question, one.rollout) == (r.question, r.rollout))
            same = (r.answer or r.last_turn.strip().lower()) == (before.answer or before.last_turn.strip().lower())
            blind.append(float(same and r.calls <= before.calls))
            tried.add((r.question, r.rollout))
    return {
        "tool_use_rate": average([float(r.calls > 0) for r in free]),
        "calls": average([float(r.calls) for r in free]),
        "accuracy": average([float(r.correct) for r in known]),
        "accuracy_given_tool": average([float(r.correct) for r in known if r.calls]),
        "accuracy_given_no_tool": average([float(r.correct) for r in known if not r.calls]),
        "accuracy_without": average(
            [float(r.correct) for r in records if r.arm == "without" and r.correct is not None]
        ),
        "accuracy_forced": accuracy("forced"),
        "gain_from_tools": average(
            [d for q in questions if not math.isnan(d := right["free"][q] - right["without"][q])]
        ),
        "needless": average(needless),
        "needless_share": average(needless_of_calls),
        "missed": average(missed),
        "missed_share": average(missed_of_wrong),
        "over_calling": average([float(r.calls > 0) for r in free if r.should_call is False]),
        "call_recall": average([float(r.calls > 0) for r in free if r.should_call is True]),
        "without_looking": average(blind),
        "exchangeable": average([float((r.question, r.rollout) in tried) for r in free if r.calls]),
        "unknown": average([float(r.correct is None) for r in free]),
    }


@pytest.mark.parametrize("seed", range(8))
def test_figures_equal_a_plain_implementation(seed):
    records = random_records(random.Random(seed))
    found = figures(records)
    wanted = {name: value for name, value in plain(records).items() if not math.isnan(value)}
    assert {name: estimate.value for name, estimate in found.items()} == pytest.approx(wanted)
    for name, estimate in found.items():
        assert estimate.low <= estimate.value <= estimate.high or math.isnan(estimate.low), name
    shuffled = records[:]
    random.Random(seed).shuffle(shuffled)
    assert figures(shuffled) == found


def test_needless_and_missed_by_hand():
    def rollouts(arm, question, *pairs):
        return [Record(arm, question, i, "s", calls, correct) for i, (calls, correct) in enumerate(pairs)]

    records = [
        *rollouts("free", 0, (1, True), (0, True)),
        *rollouts("without", 0, (0, True), (0, False)),
        *rollouts("forced", 0, (1, True), (1, True)),
        *rollouts("free", 1, (0, False), (0, False)),
        *rollouts("without", 1, (0, False), (0, False)),
        *rollouts("forced", 1, (1, True), (1, False)),
    ]
    found = {name: estimate.value for name, estimate in figures(records).items()}
    assert found["needless"] == pytest.approx((0.5 * 0.5 + 0) / 2)
    assert found["needless_share"] == pytest.approx(0.5)
    assert found["missed"] == pytest.approx((0 + 1 * 0.5) / 2)
    assert found["missed_share"] == pytest.approx(0.5)
    assert found["gain_from_tools"] == pytest.approx(0.25)


def test_arms_that_were_not_run_have_no_figures():
    records = [r for r in random_records(random.Random(0)) if r.arm == "free"]
    assert not {"needless", "missed", "accuracy_without", "gain_from_tools"} & set(figures(records))


def test_sources_are_told_apart():
    found = per_source(random_records(random.Random(1)))
    assert list(found) == ["all", "a", "b"]
    assert set(per_source([Record("free", 0, 0, "a", 0, True)])) == {"a"}


def test_wilson_s_interval_is_that_of_the_textbook():
    # 8 of 10: (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)
    z, p, n = 1.959964, 0.8, 10
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    bounds = [(p + z * z / (2 * n) + sign * half) / (1 + z * z / n) for sign in (-1, 1)]
    found = share([1.0] * 8 + [0.0] * 2, [1.0] * 10)
    assert [found.low, found.high] == pytest.approx(bounds, abs=1e-6)
    several = share([4.0] * 8 + [0.0] * 2, [4.0] * 10)
    assert (several.low, several.high) == (found.low, found.high), "rollouts of a question add no questions"
    uneven = share([16.0] * 3 + [0.0] * 13, [16.0] * 3 + [1.0] * 13)
    assert uneven.low < 0.4, "three questions of sixteen rollouts tell little more than three questions"
    certain = share([1.0] * 10, [1.0] * 10)
    assert certain.high == pytest.approx(1.0) and certain.low < 0.75


def test_the_bootstrap_covers_the_mean():
    rng = random.Random(0)
    covered = 0
    for seed in range(40):
        estimate = mean([rng.gauss(1.0, 2.0) for _ in range(60)], seed)
        covered += estimate.low <= 1.0 <= estimate.high
    assert covered >= 33
    assert mean([2.0, 2.0]).low == mean([2.0, 2.0]).high == 2.0
    assert math.isnan(mean([2.0]).low)


def test_two_models_are_paired_by_question():
    first = [Record("free", q, 0, "s", 1, q % 2 == 0) for q in range(10)]
    second = [Record("free", q, 0, "s", 0, True) for q in range(2, 12)]
    found = side_by_side(first, second)["s"]
    assert (found["tool_use_rate"].value, found["tool_use_rate"].fewer) == (-1.0, 8)
    assert (found["accuracy"].more, found["accuracy"].fewer) == (4, 0)
    assert found["accuracy"].value == 0.5
    assert found["accuracy"].questions == len(list(joined(first, second))) == 8


def test_two_models_asked_different_questions_are_not_paired():
    first = [Record("free", q, 0, "a", 0, True, asked=f"prompt {q}") for q in range(3)]
    second = [Record("free", q, 0, "a", 0, True, asked=f"prompt {q + (q > 0)}") for q in range(2)]
    with pytest.raises(RecordError, match="question 1 is not the same for both models"):
        side_by_side(first, second)
    assert side_by_side(first, first[:2])["a"]["accuracy"].value == 0.0


def test_records_survive_a_kill_and_refuse_another_set(tmp_path):
    path = tmp_path / "r" / "records.jsonl"
    file = RecordFile(path, {"data": "x"})
    records = random_records(random.Random(0), 3, 1)
    for record in records:
        file.add(record)
    with open(path, "a") as out:
        out.write('{"arm": "fr')
    again = RecordFile(path, {"data": "x"})
    assert list(again.records.values()) == records
    again.add(Record("free", 99, 0, "s", 0, None))
    assert len(RecordFile(path, {"data": "x"}).records) == len(records) + 1
    with pytest.raises(RecordError, match=r"other settings \(data\)"):
        RecordFile(path, {"data": "y"})
    path.write_text("not json\n")
    with pytest.raises(RecordError, match="holds no records"):
        RecordFile(path, {"data": "x"})
