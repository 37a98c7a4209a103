"""The queueing model of ``verl-hdpo size``, against worked cases and a simulation."""

import json
import math
import random

import pytest
import simpy
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from verl_hdpo.cli.main import main
from verl_hdpo.tools.server.fleet_size import Load, erlang_c, fleet, smallest_fleet

pytestmark = pytest.mark.slow


def test_with_one_place_a_call_waits_as_often_as_the_place_is_taken():
    assert erlang_c(1, 0.3) == pytest.approx(0.3)


def test_erlang_c_by_its_sum():
    """C(2, 1) = (1/2 * 2) / (1 + 1 + 1/2 * 2) = 1/3, from a^c/c! * c/(c-a) over the sum of a^k/k! below c and that."""
    assert erlang_c(2, 1.0) == pytest.approx(1 / 3)


@pytest.mark.parametrize(("places", "load"), [(5, 3.2), (40, 36.5), (300, 290.0)])
def test_erlang_c_against_its_definition(places, load):
    logs = [k * math.log(load) - math.lgamma(k + 1) for k in range(places + 1)]
    last = math.exp(logs[places]) * places / (places - load)
    assert erlang_c(places, load) == pytest.approx(last / (sum(map(math.exp, logs[:places])) + last))


def simulated_waits(load, places, seed, calls=20_000):
    """Waits of calls in order of arrival, without the first tenth."""
    chance, waits = random.Random(seed), []
    environment = simpy.Environment()
    seats = simpy.Resource(environment, places)

    def call():
        arrived = environment.now
        with seats.request() as seat:
            yield seat
            waits.append(environment.now - arrived)
            exponential = chance.expovariate(1 / load.call_seconds)
            yield environment.timeout(exponential if load.variability else load.call_seconds)

    def arrivals():
        for _ in range(calls):
            yield environment.timeout(chance.expovariate(load.calls_per_second))
            environment.process(call())

    environment.process(arrivals())
    environment.run()
    return sorted(waits[calls // 10 :])


@pytest.mark.slow
@pytest.mark.parametrize("variability", [0, 1])
@pytest.mark.parametrize(("rate", "places"), [(12.0, 8), (60.0, 36)])
def test_waits_are_those_of_a_simulation(rate, places, variability):
    """Within a sixth, and what two seeds differ by: the formula is exact for exponential times only."""
    load = Load(rate, 0.5, variability)
    expected = fleet(load, 1, places)
    seeds = [simulated_waits(load, places, seed) for seed in range(2)]
    means = [sum(waits) / len(waits) for waits in seeds]
    tails = [waits[int(0.99 * len(waits))] for waits in seeds]
    for told, seen in ((expected.mean_wait, means), (expected.p99_wait, tails)):
        assert told == pytest.approx(sum(seen) / 2, abs=max(seen) - min(seen) + 0.17 * told)


@settings(max_examples=200)
@given(
    rate=st.floats(0.01, 5000),
    seconds=st.floats(0.01, 30),
    variability=st.floats(0, 3),
    places=st.integers(1, 64),
    wait=st.floats(0, 10),
)
def test_one_server_less_is_too_few(rate, seconds, variability, places, wait):
    load = Load(rate, seconds, variability)
    found = smallest_fleet(load, places, wait)
    assert found.p99_wait <= wait
    assert found.servers == 1 or fleet(load, found.servers - 1, places).p99_wait > wait


def test_sessions_need_room_too():
    assert smallest_fleet(Load(1, 0.1, sessions=1000), 64, 1.0, max_sessions=100).servers == 10


def sized(*options):
    return CliRunner().invoke(main, ["size", "--gpus", "512", "--calls-per-rollout", "3", *options])


def test_the_command_prints_what_the_model_says():
    """512 GPUs make 512 * 2000 / 4000 = 256 rollouts a second; 768 calls of 0.5 s, doubled: 768 places on average."""
    tools, judges = json.loads(sized("--judge-share", "0.25", "--json").stdout)
    assert tools["utilisation"] == pytest.approx(768 / (16 * tools["number"]))
    assert tools["sessions_each"] == pytest.approx(256 * 120 / tools["number"])
    assert tools["sessions_each"] * 128 <= 65536
    assert judges["utilisation"] == pytest.approx(128 / (64 * judges["number"]))


def test_the_command_without_a_judge_has_one_row():
    printed = sized().stdout
    assert "tool servers" in printed and "judges" not in printed


def test_the_limit_that_decides_is_told():
    (row,) = json.loads(sized("--session-mb", "1024", "--json").stdout)
    assert row["number"] == row["number_for_memory"] > row["number_for_waiting"]
    printed = sized("--session-mb", "1024").stdout
    assert f"memory of sessions decides; waiting alone would need {row['number_for_waiting']}." in printed
    (row,) = json.loads(sized("--session-mb", "1", "--call-seconds", "5", "--json").stdout)
    assert row["number"] == row["number_for_waiting"] > row["number_for_memory"]
    printed = sized("--session-mb", "1", "--call-seconds", "5").stdout
    assert f"waiting decides; memory of sessions alone would need {row['number_for_memory']}." in printed


def test_a_server_holds_whole_sessions_only():
    """256 * 120 sessions, one on each server, though there is memory for one and a half."""
    (row,) = json.loads(sized("--session-mb", "40000", "--server-mb", "60000", "--json").stdout)
    assert row["number"] == 256 * 120


def test_a_session_larger_than_a_server_is_refused():
    done = sized("--session-mb", "2048", "--server-mb", "1024")
    told = "Error: --session-mb 2048 is larger than --server-mb 1024: a server must hold at least one session\n"
    assert (done.exit_code, done.output) == (2, told)


def test_the_table_is_narrow_and_has_costs_only_where_there_are_some():
    options = ["--judge-share", "0.2", "--max-wait", "0.001"]
    free = sized(*options).stdout
    dear = sized(*options, "--server-cost", "123456.5", "--judge-cost", "2").stdout
    assert max(map(len, [*free.splitlines(), *dear.splitlines()])) <= 80
    assert "cost" not in free and "cost per hour" in dear
    assert "< 0.01 s" in free and "0.00 s" not in free


def test_a_load_that_no_fleet_carries_is_one_line():
    done = sized("--tokens-per-rollout", "0.00001")
    assert done.exit_code == 2
    assert "more than 1000000 servers" in done.output
