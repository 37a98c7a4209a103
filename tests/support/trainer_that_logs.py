"""``verl-hdpo compare`` with a trainer that only logs, and without verl's check of configs."""

from click.testing import CliRunner

from verl_hdpo.cli.main import main
from verl_hdpo.compare import config_check, training_run
from verl_hdpo.compare import report as report_module
from verl_hdpo.runs.finding import Finding

TRAINER = """
import json, os, pathlib, sys, time

values = dict(part.lstrip("+").split("=", 1) for part in sys.argv[1:] if "=" in part)
seed, name = int(values["data.seed"]), values["algorithm.adv_estimator"]
logger = "ray_kwargs.ray_init.runtime_env.env_vars.VERL_FILE_LOGGER_PATH"
start = int(values.get("fake.start", 0))
checkpoints = pathlib.Path(values["trainer.default_local_dir"])
if (checkpoints / "latest_checkpointed_iteration.txt").exists():
    start = int((checkpoints / "latest_checkpointed_iteration.txt").read_text())
metrics = values.get(logger) or os.environ["VERL_FILE_LOGGER_PATH"]
print("started on", os.environ.get("VERL_PLATFORM"), values.get("trainer.device"), flush=True)
time.sleep(0.2)  # a run takes time
while "fake.waits" in values and not os.path.exists("go_on"):
    time.sleep(0.1)
with open(os.devnull if "fake.silent" in values else metrics, "w") as out:
    if start:  # as verl does where it resumes, with trainer.val_before_train
        validated = {"val-hdpo/a/b/tool_use_rate": 0.5, "val-hdpo/a/b/accuracy": 0.5}
        out.write(json.dumps({"step": start, "data": validated}) + "\\n")
    for step in range(start + 1 if start else 0, 5):
        use = 1.0 - 0.1 * step if name == "hdpo" else 1.0
        data = {"timing_s/step": 2.0 + seed} if step else {}
        for prefix in ["hdpo/a/b/", "hdpo/"] * (step > 0) + ["val-hdpo/a/b/"] * (step in (0, 4)):
            data |= {prefix + "tool_use_rate": use, prefix + "tool_calls/mean": use}
            data[prefix + "accuracy"] = 0.5 + 0.1 * seed
        out.write(json.dumps({"step": step, "data": data}) + "\\n")
        if (stop := values.get("fake.stop")) and f"{name}{seed}@{step}" == stop:
            sys.exit("stopped")
"""


def command(tmp_path, monkeypatch):
    """``command(...)(*arguments)``: the command, its folder ``tmp_path / "out"``; ``fake.*`` are for the trainer."""
    (tmp_path / "fake_trainer.py").write_text(TRAINER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("VERL_PLATFORM", "")  # the command sets it; so it is put back afterwards
    monkeypatch.delenv("VERL_PLATFORM")
    monkeypatch.setattr(training_run, "LAUNCHER", "fake_trainer")
    monkeypatch.setattr(training_run, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(config_check, "probe", lambda *given: [Finding("Run", "ok", "training steps", "4")])

    def run(*arguments: str):
        return CliRunner().invoke(main, ["compare", "--out", str(tmp_path / "out"), *arguments])

    return run


def draw_nothing(monkeypatch):
    """Pictures are drawn after every run, which takes a second each time."""
    monkeypatch.setattr(report_module, "draw", lambda curves, folder: {})
