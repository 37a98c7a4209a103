"""``run_verl``: one stock verl training run on the CPU that always ends, and leaves nothing behind.

A run ends when verl does, on Ctrl-C or SIGTERM, and when it makes no progress: if a worker dies during weight
sync, verl's driver waits for it for ever. However it ends, its processes, its Ray session and its sockets go
with it.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from verl_hdpo.runs.child_process import start
from verl_hdpo.runs.cpu_settings import ENVIRONMENT, cpu_overrides
from verl_hdpo.runs.new_lines import NewLines
from verl_hdpo.runs.process_tree import MARK, ProcessTree
from verl_hdpo.runs.tree_clock import TreeClock

OnMetrics = Callable[[int, dict[str, Any]], None]

STALLED = 124
"""Exit code of a run that was ended for want of progress, as of timeout(1)."""

HOW_COUNTED = (
    "the time aside in which other work had the processors; if its steps take longer, raise the stall timeout "
    "(--stall-timeout of verl-hdpo compare, stall_timeout of run_verl; twice that counts before the first step)"
)
POLL_SECONDS = 1.0
LOOK_EVERY = 5  # polls between looks at the process table, which are not free
_DEATH = re.compile(r"Worker exit type: SYSTEM_ERROR|ActorDiedError|EngineDeadError|WorkerCrashedError")
_LONGEST_SESSION_DIR = 40  # a Ray socket adds about 65 characters, and AF_UNIX takes 107
logger = logging.getLogger(__name__)


class TempDirError(ValueError):
    """No place for the sockets of a run."""


def run_verl(
    overrides: Sequence[str],
    *,
    run_dir: Path | str,
    log_path: Path | str,
    env: Mapping[str, str] | None = None,
    on_metrics: OnMetrics | None = None,
    stall_timeout: float = 300.0,
    death_grace: float = 90.0,
    world_size: int = 1,
    module: str = "verl.trainer.main_ppo",
    cwd: Path | str | None = None,
) -> int:
    """Run ``python -m verl.trainer.main_ppo`` with ``cpu_overrides`` and ``overrides`` to its end.

    Args:
        overrides: hydra overrides, after those of ``cpu_overrides``; the later one wins.
        run_dir: created if missing; ``metrics.jsonl`` is written there.
        log_path: all output of the run, appended.
        env: added to the environment, over ``cpu_settings.ENVIRONMENT``.
        on_metrics: called as ``on_metrics(step, metrics)`` in this thread for each step that verl logs.
        stall_timeout: seconds without a logged step after which the run is ended; start-up gets twice that. These
            and the next are a :class:`TreeClock`'s, so that a busy machine is not taken for a stalled run.
        death_grace: seconds that verl has, once one of its workers is reported dead, to end by itself or to finish a
            step; twice the longest step so far, if that is more.
        world_size: training ranks.
        module: what is run; stock verl's trainer.
        cwd: working directory, which relative paths start from; default: ``run_dir``.

    Returns:
        verl's exit code; ``STALLED`` if the run was ended for want of progress; 1 if a worker died and verl
        neither ended nor logged a step within ``death_grace``. What was wrong is logged as an error and written
        to the log.
    """
    run_dir, log_path = Path(run_dir).resolve(), Path(log_path).resolve()
    run_dir.mkdir(parents=True, exist_ok=True)
    log_path.parent.mkdir(parents=True, exist_ok=True)
    metrics_path = run_dir / "metrics.jsonl"
    metrics_path.unlink(missing_ok=True)
    with _session_dir() as session, open(log_path, "a") as log:
        command = [sys.executable, "-m", module, *cpu_overrides(world_size, session / "ray"), *overrides]
        log.write(f"$ {' '.join(command)}\n")
        log.flush()
        deaths = NewLines(log_path, from_now=True)
        with _handling(_leave, signal.SIGTERM, signal.SIGHUP):  # the run is ended as by Ctrl-C
            environment = _environment(session, metrics_path, env or {})
            process = start(command, log, environment, run_dir if cwd is None else cwd)
            tree = ProcessTree(process.pid, session)
            follower = _Follower(NewLines(metrics_path), deaths, TreeClock(tree), on_metrics)
            try:
                return _follow(process, follower, stall_timeout, death_grace, log)
            finally:
                # A second Ctrl-C must not stop the clean-up half-way.
                with _handling(signal.SIG_IGN, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                    tree.end()
                    process.wait()
                    follower.read()


def _environment(session: Path, metrics_path: Path, env: Mapping[str, str]) -> dict[str, str | None]:
    """What a run's processes have beside this one's environment; None: left out of it."""
    return {
        "RAY_ADDRESS": None,  # with an address there, Ray would join that cluster in place of starting its own
        **ENVIRONMENT,
        "TMPDIR": str(session),  # sockets of vLLM and verl go with the session
        "VERL_FILE_LOGGER_PATH": str(metrics_path),
        **env,
        MARK: str(session),
    }


class _Follower:
    """Reads what a run has newly written: metrics for ``on_metrics``, and deaths of workers in the log."""

    def __init__(self, metrics: NewLines, log: NewLines, clock: TreeClock, on_metrics: OnMetrics | None):
        self._metrics, self._log, self.clock, self._on_metrics = metrics, log, clock, on_metrics
        self.steps = 0
        self.last_step_time = clock.now
        self.longest_step = 0.0
        self.death: tuple[str, float] | None = None

    def read(self) -> None:
        now = self.clock.now
        for line in self._metrics.read():
            row = json.loads(line)
            if self.steps:  # the first comes with the start-up
                self.longest_step = max(self.longest_step, now - self.last_step_time)
            self.steps += 1
            self.last_step_time = now
            if self._on_metrics is not None:
                self._on_metrics(int(row["step"]), row["data"])
        for line in self._log.read():
            if self.death is None and (found := _DEATH.search(line.decode(errors="replace"))):
                self.death = found.group(), now


def _follow(
    process: subprocess.Popen, follower: _Follower, stall_timeout: float, death_grace: float, log: TextIO
) -> int:
    """The exit code; why a run is given up is logged, and written to ``log``."""
    for poll in itertools.count():
        code = process.poll()
        if poll % LOOK_EVERY == 0:
            follower.clock.look()
        follower.read()
        if code is not None:
            return code
        now, death = follower.clock.now, follower.death
        grace = max(death_grace, 2 * follower.longest_step)
        patience = stall_timeout * (1 if follower.steps else 2)
        if death is not None and now - max(death[1], follower.last_step_time) > grace:
            code = 1
            reason = (
                f"a worker died ({death[0]}), and verl neither ended nor logged a step for {grace:.0f} s (death_grace)"
            )
        elif now - follower.last_step_time > patience:
            code = STALLED
            reason = f"no step was logged for {patience:.0f} s, {HOW_COUNTED}"
        if code is not None:
            message = f"run ended by verl_hdpo.runs.cpu_run: {reason}"
            log.write(f"{message}\n")
            logger.error("%s; see %s", message, log.name)
            return code
        time.sleep(POLL_SECONDS)
    raise AssertionError("unreachable")


@contextlib.contextmanager
def _session_dir() -> Iterator[Path]:
    """A private directory with a short path, for Ray and for sockets; removed afterwards."""
    path = Path(tempfile.mkdtemp(prefix="vh"))
    try:
        if len(str(path)) > _LONGEST_SESSION_DIR:
            raise TempDirError(
                f"the temp dir {path} is too long for Ray's sockets ({len(str(path))} characters, at most "
                f"{_LONGEST_SESSION_DIR}); set TMPDIR to a shorter one"
            )
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def _handling(handler: Callable[[int, Any], object] | signal.Handlers, *numbers: int) -> Iterator[None]:
    """Signals ``numbers`` go to ``handler``; not off the main thread, which alone gets them and may set handlers."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


def _leave(number: int, frame: Any) -> None:
    sys.exit(128 + number)
