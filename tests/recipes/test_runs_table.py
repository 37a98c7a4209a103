"""The file in which runs of several comparisons are collected."""

import runpy
import sys
from pathlib import Path

import pandas

SCRIPT = Path(__file__).parents[2] / "recipes" / "comparison" / "runs_table.py"


def comparison(folder, *runs):
    """``metrics.csv`` of runs: (variant, seed, accuracy at the end)."""
    rows = [
        {
            "variant": variant,
            "seed": seed,
            "step": step,
            "phase": phase,
            "source": source,
            "metric": name,
            "value": value,
        }
        for variant, seed, accuracy in runs
        for step, phase, value in ((0, "validation", 0.1), (3, "train", 0.2), (24, "validation", accuracy))
        for source in ("known", "all")
        for name in ("accuracy", "tool_use_rate", "step_seconds")
    ]
    folder.mkdir()
    pandas.DataFrame(rows).to_csv(folder / "metrics.csv", index=False)
    return folder


def collect(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["runs_table.py", *map(str, words)])
    runpy.run_path(str(SCRIPT), run_name="__main__")


def test_runs_come_together_and_a_run_made_again_replaces_its_former_one(monkeypatch, tmp_path, capsys):
    first = comparison(tmp_path / "first", ("grpo", 1, 0.5), ("priced[price=0.1,guard=true]", 1, 0.4))
    second = comparison(tmp_path / "second", ("grpo", 2, 0.7), ("priced[price=0.1,guard=true]", 1, 0.6))
    file = tmp_path / "new" / "runs.csv"
    collect(monkeypatch, file, first)
    collect(monkeypatch, file, second)
    table = pandas.read_csv(file)
    assert list(zip(table.variant, table.seed, table.source, table.accuracy, strict=True)) == [
        ("grpo", 1, "known", 0.5), ("grpo", 2, "known", 0.7), ("priced[price=0.1,guard=true]", 1, "known", 0.6),
    ]  # fmt: skip
    assert "| `known` | `grpo` | 2 | 60.0 (50 to 70) | 60.0 (50 to 70) |" in capsys.readouterr().out
    before = file.read_bytes()
    collect(monkeypatch, file)
    assert file.read_bytes() == before
