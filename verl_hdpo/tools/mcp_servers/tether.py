"""Runs a command that must not outlive the process that asked for it: ``python tether.py COMMAND ARGS...``

Input, output and exit status are the command's. When this process's parent is gone, or asks with SIGTERM, the
command is killed with all that it started. Run by path, with nothing but the standard library.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time

LOOK_SECONDS = 0.2
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h


def main(command: list[str]) -> int:
    parent = os.getppid()
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else lambda *args: None
    prctl(PR_SET_CHILD_SUBREAPER, 1)  # orphans of the command become children of this process, so none is lost
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        # Should this process itself be killed, the command goes with it.
        server = subprocess.Popen(command, preexec_fn=lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL))
    except OSError as error:
        print(f"cannot start {command[0]}: {error}", file=sys.stderr)
        return 127
    try:
        for descriptor in (0, 1):  # they are the server's: its reader must see the end when it ends
            os.close(descriptor)
        while server.poll() is None and os.getppid() == parent:
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(LOOK_SECONDS)
        return server.poll() or 0
    finally:
        server.kill()
        _kill_children()


def _kill_children() -> None:
    """Kill this process's children until there are none; killing one may hand over its own."""
    while True:
        for pid in _children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.01)


def _children() -> list[int]:
    found = []
    for name in os.listdir("/proc") if sys.platform == "linux" else ():
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat") as stat:
                if int(stat.read().rpartition(")")[2].split()[1]) == os.getpid():
                    found.append(int(name))
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
