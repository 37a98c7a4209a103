"""The fleets of a run in words and figures: ``verl-hdpo size``."""

from __future__ import annotations

from collections.abc import Mapping

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
    say(f"{rate:.1f} rollouts a second; sized for {given['peak']:g} times the calls that this makes on average.\n")
    cells = [
        [
            str(row["fleet"]),
            f"{row['number']}",
            f"{row['utilisation']:.0%}",
            f"{row['mean_wait_s']:.2f} s",
            f"{row['p99_wait_s']:.2f} s",
            f"{row['sessions_each']:.0f}",
            f"{row['memory_mb_each']:.0f} MiB",
            f"{row['cost_per_hour']:g}",
        ]
        for row in rows
    ]
    show_table(["", "number", "busy", "mean wait", "p99 wait", "sessions each", "memory each", "cost per hour"], cells)


def fleets(given: Mapping[str, float]) -> list[dict[str, float | str]]:
    """A row for the tool servers, and one for the judges if any rollout is judged."""
    rollouts = given["gpus"] * given["tokens_per_gpu_second"] / given["tokens_per_rollout"]
    peak = given["peak"]
    tools = Load(
        rollouts * given["calls_per_rollout"] * peak,
        given["call_seconds"],
        given["variability"],
        rollouts * given["rollout_seconds"],
    )
    room = given["server_mb"] / given["session_mb"]
    found = [("tool servers", tools, int(given["places"]), room, given["server_cost"])]
    if given["judge_share"]:
        judge = Load(rollouts * given["judge_share"] * peak, given["judge_seconds"])
        found.append(("judges", judge, int(given["judge_places"]), float("inf"), given["judge_cost"]))
    rows: list[dict[str, float | str]] = []
    for name, load, places, room, cost in found:
        fleet = smallest_fleet(load, places, given["max_wait"], room)
        rows.append(
            {
                "fleet": name,
                "number": fleet.servers,
                "utilisation": fleet.utilisation,
                "mean_wait_s": fleet.mean_wait,
                "p99_wait_s": fleet.p99_wait,
                "sessions_each": fleet.sessions_per_server,
                "memory_mb_each": fleet.sessions_per_server * given["session_mb"],
                "cost_per_hour": fleet.servers * cost,
            }
        )
    return rows
