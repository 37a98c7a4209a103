"""The way that runs took, read from the metrics of a comparison."""

import runpy
import sys
from pathlib import Path

import pandas
import pytest

SCRIPT = Path(__file__).parents[2] / "recipes" / "comparison" / "way_there.py"


def metrics(variant, calls, accuracy, errors=()):
    """Of one source and one seed, by step; a validation and the mean over sources play no part."""
    logged = {"tool_use_rate": calls, "accuracy": accuracy, "sign_errors": errors}
    row = {"variant": variant, "seed": 1, "phase": "train", "source": "sums"}
    rows = [
        {**row, "step": step, "metric": name, "value": value, **({"source": "all"} if name == "sign_errors" else {})}
        for name, values in logged.items()
        for step, value in enumerate(values, start=1)
    ]
    others = [{**row, "step": 1, "metric": "accuracy", "value": 0.0, **other}
              for other in ({"phase": "validation"}, {"source": "all"})]  # fmt: skip
    return rows + others


def test_it_tells_when_calls_went_what_it_cost_and_what_was_pushed_the_wrong_way(tmp_path, monkeypatch, capsys):
    rows = metrics("grpo", [1.0, 0.9, 0.95], [0.5, 0.6, 0.7])
    rows += metrics("hdpo[tool_tokens=decision]", [0.9, 0.08, 0.12], [0.7, 0.4, 0.9], [0.1, 0.3])
    pandas.DataFrame(rows).to_csv(tmp_path / "metrics.csv", index=False)
    monkeypatch.setattr(sys, "argv", ["way_there.py", str(tmp_path)])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    table = pandas.read_csv(tmp_path / "way_there.csv")
    assert table.variant.tolist() == ["grpo", "hdpo[tool_tokens=decision]"]
    assert table.least_accuracy.tolist() == [0.5, 0.4]
    assert pandas.isna(table.off_by[0]) and table.off_by[1] == 2
    assert pandas.isna(table.sign_errors[0]) and table.sign_errors[1] == pytest.approx(0.2)
    assert "sums" in capsys.readouterr().out
