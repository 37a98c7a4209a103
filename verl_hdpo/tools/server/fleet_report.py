"""The fleets of a run in words and figures: ``verl-hdpo size``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from verl_hdpo.runs.terminal import say, show_json, show_table
from verl_hdpo.tools.server.fleet_size import Load, smallest_fleet


def report(given: Mapping[str, float], as_json: bool) -> None:
    """Print what ``verl-hdpo size`` is asked for.

    Args:
        given: its options by name.
        as_json: a list of objects, one per fleet, in place of a table.

    Raises:
        ValueError: no number of servers is enough.
    """
    rows = fleets(given)
    if as_json:
        show_json(rows)
        return
    rate = given["gpus"] * given["tokens_per_gpu_second"] / given["tokens_per_rollout"]
    calls = rate * given["calls_per_rollout"]
    say(f"The run makes {rate:.1f} rollouts and {calls:.1f} tool calls per second on average.")
    say(f"The table is for peak times, with {given['peak']:g} times as many calls (--peak).\n")
    lines = {
        "number": [f"{row['number']}" for row in rows],
        "busy": [f"{row['utilisation']:.0%}" for row in rows],
        "mean wait": [_seconds(row["mean_wait_s"]) for row in rows],
        "p99 wait": [_seconds(row["p99_wait_s"]) for row in rows],
        "sessions each": [f"{row['sessions_each']:.0f}" for row in rows],
        "memory each": [f"{row['memory_mb_each']:.0f} MiB" for row in rows],
    }
    if any(row["cost_per_hour"] for row in rows):
        lines["cost per hour"] = [f"{row['cost_per_hour']:g}" for row in rows]
    show_table(["", *(row["fleet"] for row in rows)], [[head, *cells] for head, cells in lines.items()])
    waiting, memory = rows[0]["number_for_waiting"], rows[0]["number_for_memory"]
    if memory > waiting:
        say(f"\nTool servers: memory of sessions decides; waiting alone would need {waiting}.")
    else:
        say(f"\nTool servers: waiting decides; memory of sessions alone would need {memory}.")


def _seconds(time: float) -> str:
    return "< 0.01 s" if time < 0.01 else f"{time:.2f} s"


def fleets(given: Mapping[str, float]) -> list[dict[str, Any]]:
    """A row for the tool servers, and one for the judges if any rollout is judged."""
    rollouts = given["gpus"] * given["tokens_per_gpu_second"] / given["tokens_per_rollout"]
    peak = given["peak"]
    tools = Load(
        rollouts * given["calls_per_rollout"] * peak,
        given["call_seconds"],
        given["variability"],
        rollouts * given["rollout_seconds"],
    )
    room = given["server_mb"] // given["session_mb"]
    found = [("tool servers", tools, int(given["places"]), room, given["server_cost"])]
    if given["judge_share"]:
        judge = Load(rollouts * given["judge_share"] * peak, given["judge_seconds"])
        found.append(("judges", judge, int(given["judge_places"]), float("inf"), given["judge_cost"]))
    rows: list[dict[str, Any]] = []
    for name, load, places, room, cost in found:
        fleet = smallest_fleet(load, places, given["max_wait"], room)
        rows.append(
            {
                "fleet": name,
                "number": fleet.servers,
                "number_for_waiting": smallest_fleet(load, places, given["max_wait"]).servers,
                "number_for_memory": math.ceil(load.sessions / room),
                "utilisation": fleet.utilisation,
                "mean_wait_s": fleet.mean_wait,
                "p99_wait_s": fleet.p99_wait,
                "sessions_each": fleet.sessions_per_server,
                "memory_mb_each": fleet.sessions_per_server * given["session_mb"],
                "cost_per_hour": fleet.servers * cost,
            }
        )
    return rows
