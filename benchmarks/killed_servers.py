"""Real tool servers under 4,096 trajectories, of which one is killed every minute: is anything lost?

    python benchmarks/killed_servers.py
    python benchmarks/killed_servers.py --tool python --trajectories 256

Each trajectory counts its calls on the server, so an answer from a wrong or a new session is noticed, and so is a call
that ran twice. A killed server loses its sessions: their trajectories are told, and every other one goes on. Writes
outputs/bench/killed_servers.json. Exits with 1 if a call did not come to an end, an answer was wrong, more trajectories
were cut than the killed servers had, or a session is left.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import yaml

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests" / "support"))
from fleet.processes import ServerProcesses, percentiles  # noqa: E402
from fleet.trajectories import Ends, Habits, run_all  # noqa: E402

from verl_hdpo.tools.server import TOKEN_ENV  # noqa: E402
from verl_hdpo.tools.server.client import ToolClient  # noqa: E402
from verl_hdpo.tools.server.settings import ClientSettings  # noqa: E402

OUT = ROOT / "outputs" / "bench" / "killed_servers.json"
LEASE_SECONDS = 60.0
COUNT = "try: count += 1\nexcept NameError: count = 1\ncount"
TOOLS: dict[str, dict[str, Any]] = {
    "counter": {"class_name": "fleet.counter_tool.CounterTool", "config": {"type": "native", "seconds": 0.5}},
    "python": {"class_name": "verl_hdpo.tools.python.PythonTool", "config": {"type": "native", "spare_sessions": 0}},
}
ARGUMENTS: dict[str, dict[str, str]] = {"counter": {}, "python": {"code": COUNT}}


async def measure(
    tool: str, count: int, trajectories: int, rounds: int, habits: Habits, every: float, kills: int, seed: int
) -> dict[str, Any]:
    token = os.environ[TOKEN_ENV] = "a-token-for-servers-that-are-killed"  # nosec B105
    chance, ends = random.Random(seed), Ends()
    with tempfile.TemporaryDirectory(prefix="bench-killed-") as folder:
        config = Path(folder) / "tools.yaml"
        config.write_text(yaml.safe_dump({"tools": [TOOLS[tool]], "server": {"lease_seconds": LEASE_SECONDS}}))
        servers = ServerProcesses(count, config, token, Path(folder))
        try:
            await servers.start_all()
            client = ToolClient(ClientSettings(urls=tuple(servers.urls)))
            began, cpu = time.perf_counter(), time.process_time()
            killing = asyncio.ensure_future(servers.kill_now_and_then(every, kills, chance))
            request = lambda number, call: (tool, ARGUMENTS[tool])  # noqa: E731
            await run_all([client], trajectories, habits, chance, ends, rounds, request)
            took, client_cpu = time.perf_counter() - began, time.process_time() - cpu
            await killing
            await asyncio.sleep(2 * LEASE_SECONDS)
            left = [await servers.sessions(url) for url in servers.urls]
        finally:
            servers.end()
    return {
        "answered": ends.answered, "unavailable": ends.unavailable, "whole": ends.whole, "cut": ends.cut,
        "problems": ends.problems[:20], "sessions_of_killed": servers.killed, "seconds_away": servers.away,
        "sessions_left": sum(left), "seconds": round(took, 1), "calls_per_second": round(ends.answered / took, 1),
        "call_seconds": percentiles(ends.seconds), "client_cpu_seconds": round(client_cpu, 1),
    }  # fmt: skip


@click.command()
@click.option("--tool", type=click.Choice([*TOOLS]), default="counter", show_default=True)
@click.option("--servers", default=8, show_default=True)
@click.option("--trajectories", default=4096, show_default=True, help="At a time.")
@click.option("--rounds", default=5, show_default=True, help="Of trajectories, one after the other.")
@click.option("--calls", default=4, show_default=True, help="Of each trajectory.")
@click.option("--think", default=15.0, show_default=True, help="Mean seconds between its calls.")
@click.option("--every", default=60.0, show_default=True, help="Seconds from one kill to the next.")
@click.option("--kills", default=4, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--out", default=OUT, show_default=True, type=click.Path(path_type=Path))
def main(
    tool: str, servers: int, trajectories: int, rounds: int, calls: int, think: float, every: float, kills: int,
    seed: int, out: Path,
) -> None:  # fmt: skip
    """Run the fleet, kill servers, and say what became of the trajectories."""
    logging.getLogger("verl_hdpo").setLevel(logging.ERROR)  # a warning for each trajectory that goes elsewhere
    habits = Habits(calls, start_seconds=think, think_seconds=think)
    load = os.getloadavg()[0]
    found = asyncio.run(measure(tool, servers, trajectories, rounds, habits, every, kills, seed))
    failures = list(found["problems"])
    if found["answered"] + found["unavailable"] != trajectories * rounds * calls:
        failures.append("not every call came to an end")
    if found["cut"] > sum(found["sessions_of_killed"]):
        failures.append(f"{found['cut']} trajectories were cut, and killed servers had fewer")
    if found["sessions_left"]:
        failures.append("sessions are left after two leases")
    plan = {"tool": tool, "servers": servers, "trajectories": trajectories, "rounds": rounds, "calls": calls}
    report = {**plan, **found, "failures": failures, "cores": os.cpu_count(), "load_before": load}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=2) + "\n")
    click.echo(out.read_text())
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
