"""What a run leaves behind: processes, files, shared memory."""

from __future__ import annotations

import contextlib
import ctypes
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from shared_memory import segments, unused

PR_SET_CHILD_SUBREAPER = 36
SECONDS = 600.0
"""That the last ones of a run have to end and clean up, on a busy machine."""


@contextlib.contextmanager
def nothing_left() -> Iterator[None]:
    """Fails if at its end something is there, and stays, that was not there before.

    Within, every orphan below this process becomes its child, however far it went, and temporary files go to a folder
    of their own.
    """
    prctl, known = ctypes.CDLL(None).prctl, set(psutil.Process().children())
    shared, outside = segments(), tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="e2e") as folder:
        assert prctl(PR_SET_CHILD_SUBREAPER, 1) == 0
        tempfile.tempdir, variable = folder, os.environ.get("TMPDIR")
        os.environ["TMPDIR"] = folder
        try:
            yield
            ends = time.monotonic() + SECONDS
            while any(left := (_running(known), _files(folder), unused(segments() - shared))):
                assert time.monotonic() < ends, left
                time.sleep(0.1)
        finally:
            tempfile.tempdir = outside
            os.environ.pop("TMPDIR")
            if variable is not None:
                os.environ["TMPDIR"] = variable
            prctl(PR_SET_CHILD_SUBREAPER, 0)


def _files(folder: str) -> list[Path]:
    """In it, but for torch's cache, which is kept for the next process."""
    return [path for path in Path(folder).iterdir() if not path.name.startswith("torchinductor_")]


def _running(known: set[psutil.Process]) -> list[psutil.Process]:
    """Processes below this one, those aside that were there."""
    found = []
    for process in set(psutil.Process().children(recursive=True)) - known:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
            elif process.ppid() == os.getpid():
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(process.pid, os.WNOHANG)
    return found
