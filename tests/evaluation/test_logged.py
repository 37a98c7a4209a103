"""``--log-to``: reports in TensorBoard, MLflow, W&B and trackio, through the libraries themselves."""

from __future__ import annotations

import importlib.util
import json
import math
import sqlite3

import pytest
from click.testing import CliRunner
from dumps import BARE, note, write_dump, write_notes
from PIL import Image

from verl_hdpo.cli.main import main
from verl_hdpo.evaluation.logged import LogError, log_report
from verl_hdpo.runs.log_to import LoggedReport


@pytest.fixture
def report(tmp_path):
    Image.new("RGB", (5, 4), "red").save(tmp_path / "curves.png")
    rows = [{"source": "a|b", "mean": 0.5, "none": math.nan}, {"source": "c", "mean": 1, "none": None}]
    numbers = {"a/mean": 0.5, "a/nothing": math.nan, "a/none": None}
    return LoggedReport(numbers, {"summary": rows}, {"curves": tmp_path / "curves.png"})


def read_back(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return events


@pytest.fixture
def tensorboard(tmp_path, monkeypatch):
    pytest.importorskip("tensorboard")
    monkeypatch.setenv("TENSORBOARD_DIR", str(tmp_path / "board"))
    return tmp_path / "board"


def test_tensorboard_has_numbers_a_table_and_a_picture(report, tensorboard):
    log_report(["tensorboard"], "compare", "mine", report)
    found = read_back(tensorboard)
    assert found.Tags()["scalars"] == ["a/mean"]
    assert found.Scalars("a/mean")[0].value == 0.5
    (text,) = found.Tensors("summary/text_summary")
    lines = text.tensor_proto.string_val[0].decode().splitlines()
    assert lines == ["| source | mean | none |", "| --- | --- | --- |", r"| a\|b | 0.5 |  |", "| c | 1 |  |"]
    (picture,) = found.Images("curves")
    assert (picture.width, picture.height) == (5, 4)


def test_the_command_logs_and_its_json_stays_json(tensorboard, tmp_path):
    dump = write_dump(tmp_path / "run", 1, [("u_0_0", BARE, 1.0), ("u_1_0", "<answer>Quito</answer>", 0.0)])
    write_notes(dump, [note("u_0_0"), note("u_1_0", calls=0, call_log=[], correct=False)])
    done = CliRunner().invoke(main, ["audit", str(tmp_path / "run"), "--json", "--log-to", "tensorboard"])
    assert done.exit_code in (0, 1), done.output
    (source,) = json.loads(done.stdout)["sources"]
    found = read_back(tensorboard)
    assert found.Scalars("capitals/needless")[0].value == source["needless"]["count"]
    up = {row["label"]: row["up"] for row in source["algorithms"]}
    assert found.Scalars("capitals/hdpo/up")[0].value == up["hdpo"]
    assert "algorithms/text_summary" in found.Tags()["tensors"]


@pytest.mark.parametrize("command", [["audit", "x"], ["compare", "--algos", "hdpo"], ["eval", "--model", "x"]])
@pytest.mark.parametrize(
    ("name", "code", "told"),
    [
        ("nowhere", 2, "nowhere is unknown; known: wandb, mlflow, tensorboard, trackio"),
        ("wandb", 1, "--log-to wandb: wandb is not installed: pip install 'verl-hdpo[log]'"),
    ],
)
def test_a_logger_that_cannot_be_is_told_first(monkeypatch, command, name, code, told):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    done = CliRunner().invoke(main, [*command, "--log-to", name])
    assert done.exit_code == code and told in " ".join(done.output.split())
    assert "Traceback" not in done.output


@pytest.mark.parametrize("step", ["opened", "logged"])
def test_a_library_that_refuses_is_told_without_a_traceback(report, tensorboard, monkeypatch, step):
    def refuse(*given, **named):
        raise OSError("No API key configured.\nUse `wandb login`")

    tracking = "verl.utils.tracking.Tracking"
    monkeypatch.setattr(*((f"{tracking}.__init__", refuse) if step == "opened" else (f"{tracking}.log", refuse)))
    text = "--log-to tensorboard: OSError: No API key configured. Use `wandb login`; log in"
    with pytest.raises(LogError, match=text.replace(".", r"\.")):
        log_report(["tensorboard"], "audit", "mine", report)


@pytest.mark.slow
def test_mlflow_has_numbers_a_table_and_a_picture(report, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file://{tmp_path}/mlruns")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # mlflow-skinny has no database
    monkeypatch.chdir(tmp_path)
    log_report(["mlflow"], "compare", "mine", report)
    (run,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert run.data.metrics == {"a/mean": 0.5} and run.info.run_name == "mine"
    names = {one.path for one in mlflow.MlflowClient().list_artifacts(run.info.run_id)}
    assert names == {"summary.json", "curves.png"}


@pytest.mark.slow
def test_trackio_has_numbers_a_table_and_a_picture(report, tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    pytest.importorskip("trackio")
    log_report(["trackio"], "compare", "mine", report)
    with sqlite3.connect(tmp_path / "trackio" / "verl-hdpo-compare.db") as database:
        logged = [json.loads(line) for (line,) in database.execute("select metrics from metrics order by id")]
    numbers, table, picture = logged
    assert numbers == {"a/mean": 0.5}
    assert table["summary"]["_value"][0] == {"source": "a|b", "mean": 0.5, "none": ""}
    assert (tmp_path / "trackio" / "media" / picture["curves"]["file_path"]).is_file()


@pytest.mark.slow
def test_wandb_takes_all_of_it_offline(report, tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.chdir(tmp_path)
    log_report(["wandb"], "compare", "mine", report)
    (folder,) = (tmp_path / "wandb").glob("offline-run-*")
    kept = {path.name.split("_")[0] for path in (folder / "files" / "media").rglob("*") if path.is_file()}
    assert kept == {"summary", "curves"}
