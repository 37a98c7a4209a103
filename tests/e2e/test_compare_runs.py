"""``verl-hdpo compare`` with real runs: killed outright while its second starts, then done to its end."""

import subprocess
import time

import pandas
from run_overrides import OWN_PARTS
from run_processes import COMMAND, MARKED, process_of_runs, processes_of_runs

COMPARE = [*COMMAND, "compare", "--cpu"]
SECONDS_TO_START = 900


def test_a_killed_comparison_goes_on_without_redoing_what_was_finished(pipeline, tmp_path):
    own_parts = [part for part in OWN_PARTS if not part.startswith("algorithm.")]
    overrides = [*pipeline, *own_parts, "trainer.val_before_train=True", "trainer.test_freq=2"]
    command = [*COMPARE, "--algos", "grpo,hdpo[w_tool=0.3]", "--seeds", "1", "--out", str(tmp_path), "--", *overrides]
    first, second = (tmp_path / "runs" / name / "seed1" for name in ("grpo", "hdpo_w_tool-0.3"))

    with subprocess.Popen(command, env=MARKED) as comparison:
        deadline = time.monotonic() + SECONDS_TO_START
        while not (second.exists() and process_of_runs("ray::WorkerDict")):
            assert comparison.poll() is None and time.monotonic() < deadline
            time.sleep(1)
        comparison.kill()
    done = (first / "done.json").read_bytes()
    wait_for_no_process()

    again = subprocess.run(command, capture_output=True, text=True, env=MARKED)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "2 runs, 1 of them finished" in again.stdout
    assert (first / "done.json").read_bytes() == done
    assert not processes_of_runs()

    curves = pandas.read_csv(tmp_path / "metrics.csv")
    uses = curves[(curves.metric == "tool_use_rate") & (curves.source == "all") & (curves.phase == "train")]
    assert uses.groupby("variant").step.apply(list).to_dict() == {"grpo": [1, 2], "hdpo[w_tool=0.3]": [1, 2]}
    assert set(curves[curves.phase == "validation"].step) == {0, 2}
    assert "2 of 2 runs." in (tmp_path / "report.html").read_text()
    assert all((tmp_path / picture).stat().st_size > 0 for picture in ("curves.png", "tradeoff.png", "time.png"))


def wait_for_no_process():
    """What a run that lost its parent ends by itself."""
    deadline = time.monotonic() + 300
    while processes_of_runs():
        assert time.monotonic() < deadline, processes_of_runs()
        time.sleep(1)
