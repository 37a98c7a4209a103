"""Starts a zygote behind its walls and sees to its end: when it dies, when its owner dies, nothing is left.

``command`` is what the owner runs. The launcher holds on to the owner by a pidfd, which no thread's end and no copied
descriptor can blur, and to the zygote by the kernel's parent-death signal.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import traceback
from pathlib import Path

from verl_hdpo.tools.sandbox import bubblewrap, cgroup, kernel, lockdown, namespaces, scratch, zygote
from verl_hdpo.tools.sandbox.zygote_settings import ZygoteSettings

_PACKAGE_ROOT = str(Path(__file__).resolve().parents[3])
# -I keeps the caller's directory and environment out; the package may not be installed.
_BOOT = (
    "import sys; sys.path.insert(0, sys.argv[1]); from verl_hdpo.tools.sandbox import {0}; del sys.path[0]; {0}.main()"
)


def command(control: int, settings: ZygoteSettings) -> list[str]:
    """The launcher's command line.

    Args:
        control: descriptor of the zygote's end of the control socket, to be passed on.
        settings: the zygote's.
    """
    return [*_python("launcher"), str(os.getpid()), str(control), settings.to_json()]


def environment(directory: str) -> dict[str, str]:
    """All that a zygote and its sessions have in their environment.

    Args:
        directory: where they may write.
    """
    return {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": directory,
        "TMPDIR": directory,
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": directory,
        "PYTHONDONTWRITEBYTECODE": "1",
        # One thread: a fork copies only the one that forks.
        **{f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR")},
    }


def main() -> None:
    """``launcher.main`` of a process started with ``command``."""
    owner, control, text = int(sys.argv[-3]), int(sys.argv[-2]), sys.argv[-1]
    settings = ZygoteSettings.from_json(text)
    owner_handle = os.pidfd_open(owner)
    if os.getppid() != owner:
        sys.exit("the owner is gone")
    os.setsid()
    _stand_back()
    if settings.cgroup:
        with contextlib.suppress(OSError):  # the owner looks whether it worked
            cgroup.join(settings.cgroup)
    try:
        child = _start(settings, control)
    except OSError as error:
        with socket.socket(fileno=control) as own:
            zygote.tell(own, event="failed", error=str(error))
    else:
        os.close(control)
        child_handle = os.pidfd_open(child)
        select.select([owner_handle, child_handle], [], [])
        if select.select([owner_handle], [], [], 0)[0]:
            # The zygote sees the owner's end of the socket close; if a copy of that is open somewhere, it does not.
            select.select([child_handle], [], [], 1.0)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    if settings.scratch != namespaces.JAIL_SCRATCH:
        scratch.remove_for_good(settings.scratch)


def _stand_back() -> None:
    """Sessions, and before them nothing but those, give way to training: in memory, and in processor time."""
    lockdown.prefer_to_end("/proc/self", lockdown.ZYGOTE_SCORE)
    # Where the kernel groups processes by session, it compares the niceness of groups.
    with contextlib.suppress(OSError), open("/proc/self/autogroup", "w") as group:
        group.write(str(lockdown.NICENESS))


def _start(settings: ZygoteSettings, control: int) -> int:
    """Process id of the zygote, or of bubblewrap around it."""
    if settings.mechanism == "bubblewrap":
        inside = [*_python("zygote"), str(control), settings.to_json()]
        words = bubblewrap.wrap(settings.bubblewrap, inside, settings.view)
        os.set_inheritable(control, True)
        return os.posix_spawn(words[0], words, os.environ)
    if settings.mechanism == "namespaces":
        namespaces.leave_host()
    pid = os.fork()
    if pid == 0:
        try:
            kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
            zygote.main()
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(1)
    return pid


def _python(module: str) -> list[str]:
    return [sys.executable, "-I", "-c", _BOOT.format(module), _PACKAGE_ROOT]
