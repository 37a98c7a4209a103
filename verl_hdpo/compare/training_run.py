"""One training run of a comparison: on the CPU through ``verl_hdpo.runs.cpu_run``, else verl's launcher as it is."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from verl_hdpo.compare.plan import METRICS, PlannedRun
from verl_hdpo.runs.child_process import end, start
from verl_hdpo.runs.new_lines import NewLines
from verl_hdpo.runs.quoted import quoted
from verl_hdpo.runs.verl_command import LAUNCHER

OnStep = Callable[[int], None]
POLL_SECONDS = 2.0
LOGGER_PATH = "VERL_FILE_LOGGER_PATH"
"""The variable by which verl's file logger takes its file."""


def train(run: PlannedRun, stall_timeout: float, on_step: OnStep) -> int:
    """Have verl do ``run`` to its end; returns its exit code.

    Args:
        stall_timeout: seconds without a step after which a run on the CPU is ended.
        on_step: called with each step that verl logs.
    """
    arguments = [f"hydra.run.dir={quoted(run.hydra_dir)}", *run.attempt]
    if run.cpu:
        from verl_hdpo.runs.cpu_run import run_verl

        return run_verl(
            arguments,
            run_dir=run.folder,
            log_path=run.log,
            on_metrics=lambda step, metrics: on_step(step),
            stall_timeout=stall_timeout,
            cwd=Path.cwd(),
        )
    # By way of Ray: on a cluster that is up already, a worker has not the environment of its driver.
    logger = f"++ray_kwargs.ray_init.runtime_env.env_vars.{LOGGER_PATH}={quoted(run.folder / METRICS)}"
    with open(run.log, "a") as log:
        steps = Steps(run, on_step)
        process = start([sys.executable, "-m", LAUNCHER, logger, *arguments], log, {})
        try:
            while process.poll() is None:
                time.sleep(POLL_SECONDS)
                steps.tell()
            steps.tell()
            return process.returncode
        finally:
            end(process)


class Steps:
    """The steps that verl logs of ``run`` from now on, each told once."""

    def __init__(self, run: PlannedRun, on_step: OnStep):
        self._lines, self._on_step = NewLines(run.folder / METRICS, from_now=True), on_step

    def tell(self) -> None:
        """Tell those that are new."""
        for line in self._lines.read():
            self._on_step(int(json.loads(line)["step"]))
