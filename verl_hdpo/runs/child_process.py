"""A process group below this one: it ends when it is told to, and when this process is gone."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

END_SECONDS = 60.0
"""How long a process may take to end, with all that it started, once it is told to."""


def start(
    command: Sequence[str], log: IO[str], env: Mapping[str, str | None], cwd: Path | str | None = None
) -> subprocess.Popen:
    """Start ``command`` with its output in ``log``.

    Args:
        env: over this process's environment; what is None is left out.
        cwd: working directory; None: this process's.
    """
    return subprocess.Popen(
        list(command),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env={name: value for name, value in {**os.environ, **env}.items() if value is not None},
        start_new_session=True,  # Ctrl-C reaches this process alone, which then ends the other
        preexec_fn=_end_with_parent if sys.platform == "linux" else None,
    )


def end(process: subprocess.Popen) -> None:
    """Ask the process and its group to end, then kill what is left; nothing happens if they have ended."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(END_SECONDS)


def log_tail(log: Path | str, lines: int = 30) -> str:
    """The last lines of a log, to go with an error message."""
    return "\n".join(Path(log).read_text(errors="replace").splitlines()[-lines:])


def _end_with_parent() -> None:
    """If this process is killed outright, the other gets SIGTERM, as Ctrl-C would have had it."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
