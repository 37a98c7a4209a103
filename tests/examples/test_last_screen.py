"""The quickstart's last screen, on a run's files without its training."""

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from dumps import BARE, note, write_dump, write_notes

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart"
OWN = ("last_screen", "report", "questions", "training")
BEFORE = {"tool_rate_not_needed": 0.98, "tool_rate_needed": 1.0, "accuracy_not_needed": 1.0, "accuracy_needed": 0.99}
AFTER = {**BEFORE, "tool_rate_not_needed": 0.01}
DIRECT = "<answer>Lima</answer>"
CURVES = [{"step": 1, "tool_rate_not_needed": 1.0, "tool_rate_needed": 1.0}, {"step": 2, "tool_rate_not_needed": 0.0}]


@pytest.fixture
def example(monkeypatch):
    monkeypatch.syspath_prepend(str(QUICKSTART))
    import last_screen
    import report
    import training

    yield SimpleNamespace(screen=last_screen, report=report, training=training)
    for name in OWN:
        sys.modules.pop(name, None)


@pytest.fixture
def finished(example, tmp_path):
    """A run's folder: validations before and after of one question, and a metrics file that is no dump."""
    for step, output, calls in ((0, BARE, 1), (2, DIRECT, 0)):
        own = {"calls": calls, **({} if calls else {"call_log": [], "segments": [["model", DIRECT]]})}
        dump = write_dump(tmp_path / "validation", step, [(f"u{step}_0_0", output, 1.0)])
        write_notes(dump, [note(f"u{step}_0_0", data_source="not_needed", **own)])
    (tmp_path / "metrics.jsonl").write_text(json.dumps({"step": 1, "data": {}}) + "\n")
    grpo = {
        "what": "grpo, recorded",
        "before": BEFORE,
        "after": BEFORE,
        "curves": [CURVES[0], {**CURVES[0], "step": 2}],
    }
    return example.screen.Finished("quickstart", "hdpo", BEFORE, AFTER, CURVES, tmp_path, grpo)


def test_the_screen_says_what_happened_and_what_to_do(example, finished, capsys):
    example.screen.show(finished)
    text = capsys.readouterr().out
    assert "hdpo unlearned needless calls: on questions that need no tool, calls fell from 98.0 % to 1.0 %" in text
    assert "It still calls where it must" in text and "Accuracy is kept." in text
    assert text.index("before training: correct, 1 calls") < text.index("after training: correct, 0 calls")
    assert "capital of Peru" in text and "→ search" in text
    assert re.search(r"hdpo, this run +\| █▁ +\| +98.0 % +\| +1.0 %", text)
    assert re.search(r"grpo, recorded +\| ██ +\| +98.0 % +\| +98.0 %", text)
    assert f"open {finished.out / 'look.html'}" in text and (finished.out / "look.html").stat().st_size > 10_000
    assert "make quickstart ALGO=grpo" in text and "verl-hdpo doctor" in text


def test_the_screen_fits_80_columns(example, finished, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    example.screen.show(finished)
    lines = capsys.readouterr().out.splitlines()
    tables = [line for line in lines if line.startswith("|")]
    assert tables and max(map(len, tables)) <= 80


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tool_rate_not_needed": 0.97}, "kept its needless calls"),
        ({"tool_rate_not_needed": 0.7}, "unlearned some needless calls"),
        ({"tool_rate_needed": 0.5}, "It lost calls that it needs: from 100.0 % to 50.0 %"),
        ({"accuracy_needed": 0.5}, "Accuracy fell where the question needs the tool."),
    ],
)
def test_a_verdict_for_each_end(example, change, words):
    found = " ".join(line for line, _ in example.screen.verdict("hdpo", BEFORE, {**AFTER, **change}))
    assert words in found


def test_a_run_without_dialogues_or_a_recorded_curve_is_shown_too(example, finished, capsys):
    from dataclasses import replace

    for path in (finished.out / "validation").rglob("2.jsonl"):
        path.unlink()
    example.screen.show(replace(finished, beside=None))
    text = capsys.readouterr().out
    assert "One question" not in text and "grpo, " not in text


def test_the_committed_grpo_run_is_whole_and_can_be_drawn(example, tmp_path):
    found = example.screen.grpo_beside(tmp_path, QUICKSTART)
    assert [row["step"] for row in found["curves"]] == list(range(1, example.training.STEPS + 1))
    for when in ("before", "after"):
        assert all(found[when][f"tool_rate_{kind}"] > 0.95 for kind in ("not_needed", "needed"))
    progress = example.report.Progress(2)
    progress.before, progress.after, progress.curves = BEFORE, AFTER, [{**AFTER, "step": 1}, {**AFTER, "step": 2}]
    example.report.plot(tmp_path / "curves.png", "hdpo", progress, found)
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_grpo_run_of_one_s_own_comes_before_the_committed_ones(example, tmp_path):
    (tmp_path / "grpo-seed3").mkdir()
    summary = {"algo": "grpo", "before": BEFORE, "after": BEFORE, "curves": CURVES}
    (tmp_path / "grpo-seed3" / "summary.json").write_text(json.dumps(summary))
    assert example.screen.grpo_beside(tmp_path, QUICKSTART)["what"] == "grpo, your run grpo-seed3"
