"""A process group below this one: it ends when it is told to, and when this process is gone."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import IO

END_SECONDS = 60.0
"""How long a process may take to end, with all that it started, once it is told to."""


def start(command: Sequence[str], log: IO[str], env: Mapping[str, str]) -> subprocess.Popen:
    """Start ``command`` with its output in ``log`` and ``env`` over this process's environment."""
    return subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env={**os.environ, **env},
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


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
