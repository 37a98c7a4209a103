"""200 tool servers and 100,000 trajectories in one process, on the real client and the real server's application.

    python benchmarks/simulated_fleet.py
    python benchmarks/simulated_fleet.py --kill-at-once 200     # every server restarts at the same time

Client, retries, placement, leases, the server's HTTP application and its sessions are those of a run. Only the network
is memory, and the clock is virtual: it jumps to the next timer. Every trajectory counts its calls, so an answer from a
wrong or a new session is noticed, and so is a call that ran twice. Writes outputs/bench/simulated_fleet.json.

Exits with 1 if anything was lost, if a server had over 10 % more or fewer sessions than an even share, or if over half
of the calls that waited for a server asked it within one second.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from pathlib import Path

import click

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests" / "support"))
from fleet.simulation import Plan, simulate  # noqa: E402
from fleet.trajectories import Habits  # noqa: E402

OUT = ROOT / "outputs" / "bench" / "simulated_fleet.json"
MOST_UNEVEN, MOST_IN_A_SECOND = 0.10, 0.5


@click.command()
@click.option("--servers", default=200, show_default=True)
@click.option("--clients", default=64, show_default=True, help="Worker processes, each with its own client.")
@click.option("--trajectories", default=100_000, show_default=True)
@click.option("--calls", default=2, show_default=True, help="Of each trajectory.")
@click.option("--start", default=60.0, show_default=True, help="Seconds over which they start.")
@click.option("--think", default=60.0, show_default=True, help="Mean seconds between calls.")
@click.option("--call-seconds", default=2.0, show_default=True, help="Mean seconds of a call.")
@click.option("--kills", default=3, show_default=True, help="How often servers are killed, every 30 seconds.")
@click.option("--kill-at-once", default=1, show_default=True, help="Servers at a time.")
@click.option("--down", default=10.0, show_default=True, help="Seconds until they are back.")
@click.option("--seed", default=1, show_default=True)
@click.option("--out", default=OUT, show_default=True, type=click.Path(path_type=Path))
def main(
    servers: int, clients: int, trajectories: int, calls: int, start: float, think: float, call_seconds: float,
    kills: int, kill_at_once: int, down: float, seed: int, out: Path,
) -> None:  # fmt: skip
    """Simulate the fleet and say what became of the trajectories."""
    logging.getLogger("verl_hdpo").setLevel(logging.ERROR)  # a warning for each trajectory that goes elsewhere
    plan = Plan(
        servers, clients, trajectories, Habits(calls, start, think), call_seconds,
        kills=tuple((start + 30.0 * number, kill_at_once) for number in range(kills)), down_seconds=down, seed=seed,
    )  # fmt: skip
    wall, cpu = time.perf_counter(), time.process_time()
    found = simulate(plan)
    failures = found["problems"][:20]
    if found["answered"] + found["unavailable"] != trajectories * calls:
        failures.append("not every call came to an end")
    if found["spread"]["worst"] > MOST_UNEVEN:
        failures.append(f"a server is {found['spread']['worst']:.1%} from an even share")
    for comeback in found["comebacks"]:
        waiting = comeback["waiting"]
        if comeback["in_first_second"] > MOST_IN_A_SECOND * waiting + 1.5 * waiting**0.5:  # three standard deviations
            failures.append(f"a herd: {comeback}")
    report = {
        "plan": {"servers": servers, "clients": clients, "trajectories": trajectories, "calls": calls, "seed": seed},
        **found,
        "failures": failures,
        "wall_seconds": round(time.perf_counter() - wall, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "cores": os.cpu_count(),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=2) + "\n")
    click.echo(out.read_text())
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
