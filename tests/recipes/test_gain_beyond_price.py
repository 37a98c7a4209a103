"""What calls gain beyond their price, over runs that are made one after the other."""

import sys
from pathlib import Path

import pandas
import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = (ROOT / "examples" / "quickstart", ROOT / "recipes" / "comparison")


@pytest.fixture
def gain_beyond_price(monkeypatch):
    """The script; the models that its runs start from are right as said here."""
    before = set(sys.modules)
    for folder in FOLDERS:
        monkeypatch.syspath_prepend(str(folder))
    import gain_beyond_price
    import right_answers

    right = {"known": (0.78, 0.8), "half_known": (0.5, 0.8), "needed": (0.0, 0.8)}
    made = {kind: right_answers.Right([direct] * 2, [called] * 2) for kind, (direct, called) in right.items()}
    monkeypatch.setattr(right_answers, "of_start", lambda folder: made)
    yield gain_beyond_price
    for name in set(sys.modules) - before:
        if any(str(folder) in (getattr(sys.modules[name], "__file__", None) or "") for folder in FOLDERS):
            sys.modules.pop(name)


def comparison(folder, seed, calls):
    """``metrics.csv`` of runs of several algorithms that end with these shares of calls."""
    rows = [
        {"variant": variant, "seed": seed, "step": 24, "phase": "validation", "source": source, "metric": metric,
         "value": value}
        for variant in ("grpo", "priced[price=0.15]", "priced[price=0.8,guard=true]")
        for source, use in calls.items()
        for metric, value in (("tool_use_rate", use), ("accuracy", 0.7))
    ]  # fmt: skip
    folder.mkdir()
    pandas.DataFrame(rows).to_csv(folder / "metrics.csv", index=False)
    return folder


def test_a_call_is_worth_its_price_on_some_questions(gain_beyond_price):
    right = gain_beyond_price.right_answers.Right([0.9, 0.6, 0.0, 0.7], [0.8, 0.8, 0.6, 0.9])
    assert right.gain == pytest.approx(0.225) and (right.worth(0.15), right.worth(0.5)) == (0.75, 0.25)


def test_runs_of_a_price_are_collected_and_counted(gain_beyond_price, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    for seed, needed in ((1, 0.95), (2, 0.85), (1, 0.93)):
        folder = comparison(tmp_path / str(needed), seed, {"known": 0.02, "half_known": 0.92, "needed": needed})
        monkeypatch.setattr(sys, "argv", ["gain_beyond_price.py", str(folder), str(out)])
        gain_beyond_price.main()
    table = pandas.read_csv(out / "runs.csv")
    assert set(table.variant) == {"priced[price=0.15]"} and len(table) == 6
    assert table[table.source == "needed"].tool_use_rate.tolist() == [0.93, 0.85]
    assert table.gain.round(4).unique().tolist() == [0.02, 0.3, 0.8]
    told = capsys.readouterr().out.splitlines()[-2:]
    assert told == [
        "10 points below the price: 2 of 2 end under 10 % calls",
        "10 points above the price: 3 of 4 end over 90 % calls",
    ]
    assert (out / "calls.png").stat().st_size > 1000
