"""One training run of a comparison: on the CPU through ``verl_hdpo.cpu.run``, else verl's launcher as it is."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from verl_hdpo.cli.child_process import end, start
from verl_hdpo.cli.verl_command import LAUNCHER
from verl_hdpo.compare.plan import METRICS

OnStep = Callable[[int], None]
POLL_SECONDS = 2.0
LOGGER_PATH = "VERL_FILE_LOGGER_PATH"
"""The variable by which verl's file logger takes its file."""


def train(arguments: Sequence[str], folder: Path, log: Path, cpu: bool, stall_timeout: float, on_step: OnStep) -> int:
    """Run verl with ``arguments`` in ``folder`` to its end; returns its exit code.

    Args:
        log: all output, appended.
        stall_timeout: seconds without a step after which a run on the CPU is ended.
        on_step: called with each step that verl logs.
    """
    arguments = [f"hydra.run.dir={folder.resolve() / 'hydra'}", *arguments]
    if cpu:
        from verl_hdpo.cpu.run import run_verl

        return run_verl(
            arguments,
            run_dir=folder,
            log_path=log,
            on_metrics=lambda step, metrics: on_step(step),
            stall_timeout=stall_timeout,
            cwd=Path.cwd(),
        )
    # By way of Ray: on a cluster that is up already, a worker has not the environment of its driver.
    logger = f"++ray_kwargs.ray_init.runtime_env.env_vars.{LOGGER_PATH}={(folder / METRICS).resolve()}"
    return _launch([sys.executable, "-m", LAUNCHER, logger, *arguments], folder, log, on_step)


def _launch(command: list[str], folder: Path, log: Path, on_step: OnStep) -> int:
    metrics = folder / METRICS
    with open(log, "a") as out:
        process = start(command, out, {})
        seen = 0
        try:
            while process.poll() is None:
                time.sleep(POLL_SECONDS)
                seen = _tell(metrics, seen, on_step)
            _tell(metrics, seen, on_step)
            return process.returncode
        finally:
            end(process)


def _tell(metrics: Path, seen: int, on_step: OnStep) -> int:
    if not metrics.exists():
        return seen
    lines = metrics.read_bytes().split(b"\n")[:-1]  # the last line may be half written
    for line in lines[seen:]:
        on_step(int(json.loads(line)["step"]))
    return len(lines)
