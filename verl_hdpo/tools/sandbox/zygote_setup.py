"""Shuts the zygote in, and finds out what its sessions can have."""

from __future__ import annotations

import os
import signal
from typing import Any

from verl_hdpo.tools.sandbox import kernel, landlock, lockdown, namespaces, seccomp, wall_check
from verl_hdpo.tools.sandbox.preload import preload
from verl_hdpo.tools.sandbox.zygote_settings import ZygoteSettings

NOBODY = 65534


def become_nobody() -> None:
    """Root's sessions belong to nobody, also outside their namespaces: the kernel limits no process of root's."""
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # else /proc/self/uid_map belongs to root


def set_up(settings: ZygoteSettings) -> tuple[lockdown.Walls, dict[str, Any]]:
    """Shut the zygote in as far as it can be, and find out what its sessions can have.

    Raises:
        OSError: the mechanism does not work here.
        RuntimeError: the walls were put up and do not hold.
    """
    proc_fd = os.open("/proc", os.O_PATH | os.O_CLOEXEC)
    is_jailed = settings.mechanism in ("bubblewrap", "namespaces")
    sealed = settings.mechanism != "none"
    if settings.mechanism == "namespaces":
        namespaces.enter_tree(settings.view)
    if is_jailed and os.geteuid() == 0:
        become_nobody()
    if sealed:
        seccomp.require()
        kernel.drop_capabilities()
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        if settings.mechanism == "landlock" and not landlock.abi():
            raise OSError("this kernel has no Landlock")
    os.chdir(settings.scratch)
    missing = preload(settings.modules)
    readable = landlock.open_paths(shown.path for shown in settings.view) if sealed and landlock.abi() else None
    own_mounts = is_jailed and _child_says(lambda: namespaces.own_scratch(proc_fd, 1)) == ""
    if is_jailed and not own_mounts and readable is None:
        raise OSError("neither user namespaces for sessions nor Landlock: they could read each other's files")
    walls = lockdown.Walls(settings.limits, sealed, proc_fd, readable, own_mounts)
    if sealed:
        _check(walls, settings.scratch)
    in_force = {
        "mechanism": settings.mechanism,
        "landlock": landlock.abi() if readable is not None else 0,
        "seccomp": sealed,
        "own_mounts": own_mounts,
        "ends_first": lockdown.prefer_to_end("self", lockdown.ZYGOTE_SCORE, proc_fd),
        "missing": missing,
    }
    return walls, in_force


def _check(walls: lockdown.Walls, home: str) -> None:
    def probe() -> str:
        lockdown.lock_down(walls, home)
        return ", ".join(wall_check.broken_walls())

    if broken := _child_says(probe):
        raise RuntimeError(f"a session in it {broken}")


def _child_says(work: Any) -> str:
    """What ``work`` returned in a forked child, "" for None, or its error."""
    reader, writer = os.pipe()
    if (pid := os.fork()) == 0:
        try:
            said = work() or ""
        except BaseException as error:
            said = f"fails: {error!r}"
        os.write(writer, b"said " + said.encode())
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        heard = pipe.read().decode()
    os.waitpid(pid, 0)
    return heard.removeprefix("said ") if heard.startswith("said ") else "ended without a word"
