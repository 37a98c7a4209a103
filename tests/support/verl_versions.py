"""Every verl release that is supported, unpacked side by side, to test against the ones that are not installed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import zipfile
from importlib.metadata import version
from pathlib import Path

SUPPORTED = ("0.9.0", "0.9.1")
CACHE = Path(__file__).parents[2] / "outputs" / "verl"
UNDER_TEST = "VERL_CONTRACT_RELEASE"
"""Set, to the version, in processes that test another verl than the one that is installed."""


def installed() -> str:
    return version("verl")


def unpacked(release: str) -> Path:
    """A folder with that release of verl and its metadata, to put first on ``PYTHONPATH``; downloaded once.

    Raises:
        RuntimeError: pip could not download it.
    """
    folder = CACHE / release
    if not (folder / f"verl-{release}.dist-info").is_dir():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        done = subprocess.run([*command, "--dest", str(CACHE), f"verl=={release}"], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(
                f"verl {release} is not in {folder} and pip could not download it; put the unpacked wheel there or go "
                f"online once:\n{done.stderr}"
            )
        with (
            tempfile.TemporaryDirectory(dir=CACHE) as part,  # another process may be doing the same
            zipfile.ZipFile(CACHE / f"verl-{release}-py3-none-any.whl") as wheel,
        ):
            wheel.extractall(part)
            with contextlib.suppress(OSError):  # it was first
                os.rename(part, folder)
            os.makedirs(part, exist_ok=True)
    return folder


def environment(release: str) -> dict[str, str]:
    """The environment of a process in which ``import verl`` gives that release."""
    path = [str(unpacked(release))] if release != installed() else []
    if before := os.environ.get("PYTHONPATH"):
        path.append(before)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
