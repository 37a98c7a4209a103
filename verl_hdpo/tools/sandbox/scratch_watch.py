"""A process of its own that looks at the scratch directories of sessions: what they hold must not slow the zygote down.

A session's directory is named for an unguessable token and its process id, ``home_name``, so that nobody has to tell
the watch which there are.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import secrets
import signal
import time
import traceback

from verl_hdpo.tools.sandbox import kernel, scratch

_HOME = re.compile(r"[0-9a-f]{16}\.[0-9]+")

SECONDS = 0.5
"""Between two looks."""


def home_name(token: str, pid: int) -> str:
    """Name of a session's directory. Landlock lets sessions look at links and dates of paths that they can guess."""
    return f"{token}.{pid}"


def new_token() -> str:
    """What a session's directory is named for."""
    return secrets.token_hex(8)


def start(root: str, limit: int, not_for_it: int) -> tuple[int, int]:
    """Fork the watch of the directories in ``root``.

    Args:
        root: of all sessions' directories.
        limit: bytes that one may hold.
        not_for_it: a descriptor to close in it.

    Returns:
        Its pidfd, and a pipe from which the names of those over the limit can be read, a line each.
    """
    reader, writer = os.pipe()
    owner = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
            os.close(not_for_it)
            os.close(reader)
            if os.getppid() == owner:
                _watch(root, limit, writer)
        except Exception:
            traceback.print_exc()  # where the owner of the zygote can read it
        finally:
            os._exit(0)
    os.close(writer)
    os.set_blocking(reader, False)
    return os.pidfd_open(pid), reader


def _watch(root: str, limit: int, writer: int) -> None:
    seen_at_rest: dict[str, bytes | None] = {}
    while True:
        names = [name for name in os.listdir(root) if _HOME.fullmatch(name)]  # matplotlib keeps a cache there, too
        seen_at_rest = {name: seen_at_rest.get(name) for name in names}
        for name in names:
            process = f"/proc/{name.rpartition('.')[2]}"
            rest = _rest(process)
            if rest is None or rest != seen_at_rest[name]:
                if _used(os.path.join(root, name), process) > limit:
                    os.write(writer, f"{name}\n".encode())
                seen_at_rest[name] = rest
        time.sleep(SECONDS)


def _used(home: str, process: str) -> float:
    has_proc = os.path.exists(f"{process}/fd")  # a process namespace may have no /proc of its own
    try:
        return scratch.used_bytes(home, process if has_proc else None)
    except Exception:  # whatever breaks the looking at a session's files ends that session, not the watch
        return math.inf


def _rest(process: str) -> bytes | None:
    """For a stopped process, how long it has run so far: while that stays, it has written nothing. Else None."""
    with contextlib.suppress(OSError), open(f"{process}/stat") as stat, open(f"{process}/schedstat", "rb") as times:
        if stat.read().rpartition(")")[2].split()[0] == "T":
            return times.read()
    return None
