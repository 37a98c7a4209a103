"""A real tool server under load: do calls wait as long as ``verl-hdpo size`` says?

    python benchmarks/server_waits.py

One server process with ``--places`` places. Calls of trajectories of their own arrive at random (Poisson) and take
``--call-seconds`` each. Compares the wait that the server measured with the formula's. Writes
outputs/bench/server_waits.json. The formula gets the rate and running time that the server measured.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
import httpx
import yaml

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests" / "support"))
from fleet.processes import ServerProcesses  # noqa: E402

from verl_hdpo.tools.server import TOKEN_ENV  # noqa: E402
from verl_hdpo.tools.server.client import ToolClient  # noqa: E402
from verl_hdpo.tools.server.fleet_size import Load, fleet  # noqa: E402
from verl_hdpo.tools.server.settings import ClientSettings  # noqa: E402

OUT = ROOT / "outputs" / "bench" / "server_waits.json"


class _Trajectory:
    """Its end closes the session."""


def _metric(text: str, name: str) -> float:
    return sum(float(line.split()[-1]) for line in text.splitlines() if re.match(rf"{name}[{{ ]", line))


async def measure(places: int, call_seconds: float, utilisation: float, seconds: float, seed: int) -> dict[str, Any]:
    token = os.environ[TOKEN_ENV] = "a-token-for-one-server-under-load"  # nosec B105
    chance, rate = random.Random(seed), utilisation * places / call_seconds
    with tempfile.TemporaryDirectory(prefix="bench-waits-") as folder:
        config = Path(folder) / "tools.yaml"
        settings = {"type": "native", "seconds": call_seconds, "exponential": False}
        tool = {"class_name": "fleet.counter_tool.CounterTool", "config": settings}
        config.write_text(yaml.safe_dump({"tools": [tool], "server": {"max_running": places}}))
        server = ServerProcesses(1, config, token, Path(folder))
        try:
            await server.start_all()
            client, loop = ToolClient(ClientSettings(urls=tuple(server.urls))), asyncio.get_running_loop()
            calls, began, when = [], loop.time(), 0.0
            while (when := when + chance.expovariate(rate)) < seconds:
                await asyncio.sleep(began + when - loop.time())
                calls.append(asyncio.ensure_future(client.call(_Trajectory(), "counter", {}, {})))
            took = loop.time() - began
            await asyncio.gather(*calls)
            headers = {"Authorization": f"Bearer {token}"}
            async with httpx.AsyncClient(headers=headers, timeout=60, verify=False) as http:
                text = (await http.get(f"{server.urls[0]}/metrics")).text
        finally:
            server.end()
    ran = _metric(text, "verl_hdpo_tool_seconds_sum") / len(calls)
    waited = _metric(text, "verl_hdpo_tool_waited_seconds_sum") / len(calls)
    expected = fleet(Load(len(calls) / took, ran, variability=0), 1, places)
    return {
        "places": places, "calls": len(calls), "calls_per_second": round(len(calls) / took, 2),
        "running_seconds": round(ran, 4), "utilisation": round(expected.utilisation, 3),
        "mean_wait": round(waited, 4), "mean_wait_of_formula": round(expected.mean_wait, 4),
    }  # fmt: skip


@click.command()
@click.option("--places", default=8, show_default=True)
@click.option("--call-seconds", default=0.5, show_default=True)
@click.option("--utilisation", default=0.85, show_default=True, help="Share of the places in use.")
@click.option("--seconds", default=90.0, show_default=True, help="So long calls arrive.")
@click.option("--seed", default=1, show_default=True)
@click.option("--out", default=OUT, show_default=True, type=click.Path(path_type=Path))
def main(places: int, call_seconds: float, utilisation: float, seconds: float, seed: int, out: Path) -> None:
    """Load one server and compare its waits with the formula's."""
    load = os.getloadavg()[0]
    found = asyncio.run(measure(places, call_seconds, utilisation, seconds, seed))
    report = {**found, "cores": os.cpu_count(), "load_before": load}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=2) + "\n")
    click.echo(out.read_text())


if __name__ == "__main__":
    main()
