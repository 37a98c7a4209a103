"""Placement, retries and leases of the real client in a fleet that is killed and comes back; and each of them alone."""

from __future__ import annotations

import random

import pytest
import tenacity
from fleet.simulation import Plan, simulate
from fleet.trajectories import Habits

from verl_hdpo.tools.backoff import Backoff
from verl_hdpo.tools.server.placement import Placement, by_preference
from verl_hdpo.tools.server.settings import ServerSettings
from verl_hdpo.tools.server.transport import FIRST_WAIT, LONGEST_WAIT, Busy

SETTINGS = ServerSettings(lease_seconds=60)


def lost_nothing(found, plan):
    assert not found["problems"]
    assert found["answered"] + found["unavailable"] == plan.trajectories * plan.habits.calls
    assert found["whole"] + found["cut"] == plan.trajectories


def test_a_killed_server_costs_its_own_trajectories_and_no_other_s():
    plan = Plan(4, 2, 120, Habits(calls=2, start_seconds=5, think_seconds=20), kills=((8, 1),), settings=SETTINGS)
    found = simulate(plan)
    lost_nothing(found, plan)
    assert 0 < found["cut"] <= found["comebacks"][0]["sessions"] < 60
    assert found["spread"]["open"] == 120 and found["spread"]["worst"] <= 0.1


def test_calls_that_wait_for_a_fleet_do_not_meet_it_at_the_same_time():
    plan = Plan(2, 2, 150, Habits(calls=1, start_seconds=5, think_seconds=0), call_seconds=30, kills=((6, 2),))
    found = simulate(plan)
    lost_nothing(found, plan)
    (comeback,) = found["comebacks"]
    assert comeback["waiting"] > 75
    assert comeback["in_first_second"] < 0.55 * comeback["waiting"]
    assert comeback["most_in_tenth"] < 0.2 * comeback["waiting"]


def placed(placement, count, name):
    """How many of ``count`` new sessions each server gets."""
    counts = dict.fromkeys(placement.order("any"), 0)
    for number in range(count):
        server = placement.order(f"{name} {number}")[0]
        placement.add(server)
        counts[server] += 1
    return counts


def test_sessions_are_spread_evenly_where_chance_alone_would_not():
    servers, total = [f"http://{number}" for number in range(50)], dict.fromkeys(map(str, range(50)), 0)
    for client in range(8):
        for server, count in placed(Placement(servers), 625, f"client {client}").items():
            total[server.removeprefix("http://")] += count
    assert max(abs(count - 100) for count in total.values()) <= 10
    by_chance = [by_preference(servers, f"client {n // 625} {n % 625}")[0] for n in range(5000)]
    assert max(abs(by_chance.count(server) - 100) for server in servers) > 10


def test_a_server_that_comes_back_empty_gets_at_most_twice_its_share():
    servers = [f"http://{number}" for number in range(20)]
    placement = Placement(servers)
    before = placed(placement, 2000, "before")
    for _ in range(before["http://0"]):
        placement.remove("http://0")
    after = placed(placement, 400, "after")["http://0"]
    assert 30 < after < 55  # twice 20, and chance


def state(attempt, error):
    """What tenacity says after that many failures."""
    made = tenacity.RetryCallState(None, None, (), {})
    made.attempt_number = attempt
    made.set_exception((type(error), error, None))
    return made


@pytest.mark.parametrize("attempt", [1, 2, 8])
def test_those_who_are_refused_together_do_not_come_back_together(attempt):
    random.seed(attempt)
    waits = [Backoff(FIRST_WAIT, LONGEST_WAIT)(state(attempt, Busy("full", 2.0))) for _ in range(400)]
    assert min(waits) >= 2
    tenths = [int(wait * 10) for wait in waits]
    assert max(tenths.count(tenth) for tenth in tenths) < 0.1 * len(waits)
