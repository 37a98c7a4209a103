"""bubblewrap, where it is installed: the same walls as ``namespaces``, put up by a tool that distributions maintain."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import PurePath

from verl_hdpo.tools.sandbox.limits import MIB
from verl_hdpo.tools.sandbox.namespaces import JAIL_SCRATCH, JAIL_SCRATCH_MIB
from verl_hdpo.tools.sandbox.readable import Shown


def program() -> str | None:
    """Path of ``bwrap``."""
    return shutil.which("bwrap")


def wrap(bubblewrap: str, command: list[str], view: Iterable[Shown]) -> list[str]:
    """``command``, run by ``bubblewrap`` among ``view``, with an empty ``JAIL_SCRATCH``.

    Root keeps the right to become nobody, which the command does first. Needs bubblewrap 0.7 for ``--size``.
    """
    arguments = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--die-with-parent"]
    arguments += ["--cap-drop", "ALL"]
    if os.geteuid() == 0:
        arguments += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    arguments += ["--dev", "/dev", "--proc", "/proc"]
    arguments += ["--perms", "1777", "--size", str(JAIL_SCRATCH_MIB * MIB), "--tmpfs", JAIL_SCRATCH]
    shown = [*(shown for shown in view if not shown.path.startswith("/dev/")), *_this_interpreter()]
    # It would make the directories above them for root alone.
    above = {str(directory) for path, _, _ in shown for directory in PurePath(path).parents[:-1]}
    for directory in sorted(above):
        arguments += ["--perms", "0755", "--dir", directory]
    if "/tmp" not in above:
        arguments += ["--symlink", JAIL_SCRATCH, "/tmp"]
    for path, source, link in shown:
        arguments += ["--ro-bind", source, path] if link is None else ["--symlink", link, path]
    # Both are file systems in memory that all sessions share; only their scratch may be written to.
    arguments += ["--remount-ro", "/dev", "--remount-ro", "/"]
    return [bubblewrap, *arguments, "--chdir", "/", "--", *command]


def _this_interpreter() -> list[Shown]:
    """What starting Python again needs besides its libraries."""
    settings = os.path.join(sys.prefix, "pyvenv.cfg")
    sandbox = os.path.dirname(os.path.abspath(__file__))
    packages = [os.path.dirname(os.path.dirname(sandbox)), os.path.dirname(sandbox)]
    paths = [sys.executable, settings, *(os.path.join(package, "__init__.py") for package in packages), sandbox]
    return [Shown(path, os.path.realpath(path), None) for path in paths if os.path.exists(path)]
