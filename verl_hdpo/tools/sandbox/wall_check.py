"""What a session tries before any is handed out: each attempt must fail, or there is no sandbox."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Callable


def broken_walls() -> list[str]:
    """Names of the attempts that succeeded in this process."""
    attempts: dict[str, Callable[[], object]] = {
        "reads a file of the host": lambda: open("/etc/passwd").close(),
        "reads the environment of another process": lambda: open(f"/proc/{os.getppid()}/environ").close(),
        "lists a directory of the host": lambda: os.listdir("/var"),
        "writes to the root directory": lambda: _write("/"),
        "writes to memory that all share": lambda: _write("/dev/shm"),
        "opens a socket": lambda: socket.socket().close(),
        "signals its parent": lambda: os.kill(os.getppid(), 0),
        "starts a process": _fork,
        "runs a program": lambda: os.execv("/bin/true", ["true"]),
        "has no limit of memory": _unlimited_memory,
    }
    return [name for name, attempt in attempts.items() if _succeeds(attempt)]


def _succeeds(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError:
        return False
    return True


def _write(directory: str) -> None:
    made = os.path.join(directory, f"wall-check-{os.getpid()}")
    os.mkdir(made)
    os.rmdir(made)


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)
    os.wait()


def _unlimited_memory() -> None:
    if resource.getrlimit(resource.RLIMIT_AS)[1] != resource.RLIM_INFINITY:
        raise OSError
