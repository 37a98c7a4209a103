"""What HDPO costs beside stock GRPO: the two in turn on the same rollouts, so that only ratios are read off.

    python benchmarks/overhead.py                     # all parts
    python benchmarks/overhead.py --part actor        # some

Writes outputs/bench/overhead.json; docs/scaling.md says what the figures mean. Needs Linux and no GPU.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from verl_hdpo.runs.cpu_settings import ENVIRONMENT

OUT = Path(__file__).parents[1] / "outputs" / "bench" / "overhead.json"
SHAPES = [(2048, 1, 9), (2048, 1024, 9), (512, 4096, 9), (64, 32768, 9), (16384, 1, 5), (16384, 1024, 5)]
"""Rollouts, most response tokens and rounds of the advantage step."""
SIZES = {2048: 9, 16384: 7, 131072: 3, 1048576: 1}
"""Rollouts and rounds of what HDPO adds to the controller, alone."""


def actor() -> object:
    from hdpo_cost.actor_update import measure

    return measure(pairs=41)


def advantage() -> object:
    from hdpo_cost.advantage_step import measure

    return measure(SHAPES)


def growth() -> object:
    from hdpo_cost.growth import measure

    return measure(SIZES)


def step() -> object:
    from hdpo_cost.training_step import measure

    return measure(pairs=20)


PARTS: dict[str, Callable[[], object]] = {"growth": growth, "actor": actor, "advantage": advantage, "step": step}


def in_own_process(part: str) -> dict[str, Any]:
    """Each part starts afresh, on one thread; what it prints goes to the terminal."""
    began, load = time.monotonic(), os.getloadavg()[0]
    with tempfile.NamedTemporaryFile() as found:
        command = [sys.executable, __file__, "--in-this-process", part, found.name]
        subprocess.run(command, env={**os.environ, **ENVIRONMENT}, check=True)
        measured = json.loads(Path(found.name).read_text())
    conditions = {"load_before": round(load, 1), "load_after": round(os.getloadavg()[0], 1)}
    return {"measured": measured, "seconds": round(time.monotonic() - began), **conditions}


def headlines(parts: dict[str, Any]) -> dict[str, Any]:
    """The medians of paired ratios that matter most, each with its 95 % interval."""
    ratios = {}
    if "step" in parts:
        step = parts["step"]["measured"]
        ratios["step_ratio"] = step["with_generation"]
        ratios["step_ratio_without_generation"] = step["without_generation"]["step"]
    if "actor" in parts:
        first = next(iter(parts["actor"]["measured"].values()))
        ratios["actor_update_ratio"], ratios["actor_update_cpu_ratio"] = first, first["cpu"]
    if "advantage" in parts:
        last = parts["advantage"]["measured"][-1]
        ratios["advantage_step_ratio"] = last
        for way, over in last["over_write_once"].items():
            ratios[f"advantage_step_{way}_over_write_once"] = over
    return {
        key: value
        for name, found in ratios.items()
        for key, value in ((name, found["ratio"]), (f"{name}_95", found["ratio_95"]))
    }


@click.command()
@click.option("--part", "chosen", multiple=True, type=click.Choice(list(PARTS)), help="All, if none is named.")
@click.option("--in-this-process", nargs=2, hidden=True)
def main(chosen: tuple[str, ...], in_this_process: tuple[str, str] | None) -> None:
    """Measure, print the figures and write them; parts that are not measured keep what was measured last."""
    if in_this_process:
        part, file = in_this_process
        Path(file).write_text(json.dumps(PARTS[part]()))
        return
    parts = json.loads(OUT.read_text())["parts"] if OUT.exists() else {}
    for part in chosen or PARTS:
        parts[part] = in_own_process(part)
        names = ("verl", "torch", "TransferQueue", "ray")
        found = {
            **headlines(parts),
            "parts": parts,
            "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
            "versions": {name: version(name) for name in names},
        }
        OUT.parent.mkdir(parents=True, exist_ok=True)
        OUT.write_text(json.dumps(found, indent=2) + "\n")
    click.echo(OUT.read_text())


if __name__ == "__main__":
    main()
