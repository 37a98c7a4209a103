"""``python tests/support/extras_resolve.py``: whether the extras can be installed together, for each Python.

Resolves them with uv, which must be installed, and installs nothing: each alone, and with what goes beside it. Packages
come from where pip takes them: ``PIP_EXTRA_INDEX_URL`` and ``PIP_FIND_LINKS`` are handed on. Exits with 1 if a set has
no solution, and prints uv's reason.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import click

ROOT = Path(__file__).parents[2]
PYTHONS = ("3.10", "3.11", "3.12")
SETS = (
    "cpu", "gpu", "megatron", "tools", "judge", "report", "log", "bench",
    "cpu,tools,judge,report,docs,dev", "cpu,tools,judge,report,log,bench,docs,dev",
    "gpu,megatron,tools,judge,report,log",
)  # fmt: skip
PLATFORM = "x86_64-manylinux_2_28"


def places() -> list[str]:
    """Where uv looks for packages besides its default."""
    found = ["--index-strategy", "unsafe-best-match"]  # as pip does: the best version of all places
    for variable, option in (("PIP_EXTRA_INDEX_URL", "--extra-index-url"), ("PIP_FIND_LINKS", "--find-links")):
        for place in os.environ.get(variable, "").split():
            found += [option, place]
    return found


def resolved(extras: str, python: str) -> tuple[int, str]:
    """How many packages, and why there is no solution."""
    command = ["uv", "pip", "compile", "pyproject.toml", "--quiet", "--no-header", "--no-annotate"]
    for extra in extras.split(","):
        command += ["--extra", extra]
    command += ["--python-version", python, "--python-platform", PLATFORM, *places()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    packages = re.findall(r"^[\w.-]+ ?[=@]", done.stdout, re.MULTILINE)
    return (len(packages), "") if done.returncode == 0 else (0, done.stderr)


@click.command()
@click.option("--python", "pythons", multiple=True, type=click.Choice(PYTHONS), help="Default: all.")
@click.option("--extras", "sets", multiple=True, default=SETS, help="Extras with commas between; default: all sets.")
def main(pythons: tuple[str, ...], sets: tuple[str, ...]) -> None:
    """Resolve each set of extras for each Python."""
    failed = []
    for extras in sets:
        for python in pythons or PYTHONS:
            began = time.monotonic()
            count, why = resolved(extras, python)
            verdict = f"{count} packages" if count else "no solution"
            click.echo(f"{extras:44} {python:5} {verdict}, {time.monotonic() - began:.0f} s")
            if not count:
                failed.append(f"\n{extras} on Python {python}:\n{why}")
    click.echo("".join(failed), err=True)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
