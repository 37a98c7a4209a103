"""Sessions are bounded, waited for and given back; calls run in their order."""

import asyncio
import time

import pytest
from pools import SMALL, open_pool, wait

from verl_hdpo.tools.failures import ToolUnavailable
from verl_hdpo.tools.sandbox.trajectories import TrajectorySessions

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def small():
    settings = {"modules": (), "max_sessions": 2, "max_running": 2, "wait_seconds": 5, "spare_sessions": 1}
    with open_pool("auto", **settings) as pool:
        yield pool


class Trajectory:
    """Stands for verl's AgentData: any object."""


@pytest.mark.slow
def test_sessions_beyond_the_limit_wait_until_one_closes(small):
    async def run():
        first, second = await small.session(), await small.session()
        waiting = asyncio.ensure_future(small.session())
        await asyncio.sleep(0.05)
        assert not waiting.done()
        first.close()
        first.close()
        third = await waiting
        with pytest.raises(ToolUnavailable, match="all 2 interpreters are in use"):
            await small.session()
        for session in (second, third):
            session.close()

    wait(run())


@pytest.mark.slow
def test_open_sessions_do_not_count_against_the_descriptors_of_another(pool):
    async def run():
        sessions = [await pool.session() for _ in range(SMALL.open_files + 10)]
        result = await sessions[-1].run("import os; files = [os.dup(0) for _ in range(20)]; len(files)", 30)
        for session in sessions:
            session.close()
        return result.value

    assert wait(run()) == "20"


def test_calls_run_in_turn_and_their_time_starts_when_they_do(small):
    async def run():
        sessions = [await small.session() for _ in range(2)]
        await asyncio.gather(*(small.run(s, "import time", 30) for s in sessions))
        started = time.monotonic()
        codes = ["time.sleep(1); time.monotonic()"] * 3
        small._running = asyncio.Semaphore(1)
        results = await asyncio.gather(
            *(
                small.run(session, code, 2.5, ends=started + 60)
                for session, code in zip([*sessions, sessions[0]], codes, strict=True)
            )
        )
        small._running = asyncio.Semaphore(2)
        for session in sessions:
            session.close()
        assert [result.status for result in results] == ["ok"] * 3
        ends = [float(result.value) for result in results]
        assert ends == sorted(ends) and ends[-1] - started >= 3

    wait(run())


@pytest.mark.slow
def test_a_call_that_never_gets_its_turn_is_an_outage(small):
    """However it waits: first for a session, then to run. The loop's own time limit would make it the model's call."""

    async def run():
        sessions = TrajectorySessions(small, idle_seconds=60)
        trajectory, other = Trajectory(), Trajectory()
        await sessions.run(trajectory, "x = 1", 30)
        taken = [await small.session()]
        small._running = asyncio.Semaphore(0)
        waiting = [asyncio.ensure_future(sessions.run(one, "1", 30)) for one in (trajectory, other)]
        await asyncio.sleep(0.1)
        taken.pop().close()  # ``other`` gets it, and has the rest of its patience for its turn
        for error in await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 30):
            assert isinstance(error, ToolUnavailable) and "as many calls are running as may" in str(error), error
        small._running = asyncio.Semaphore(2)
        assert (await sessions.run(trajectory, "x", 30)).result.value == "1"
        del trajectory, other

    wait(run())


def test_a_dead_spare_is_not_handed_out(small):
    async def run():
        first = await small.session()
        await small._filling
        spare = small._spares[0]
        spare.process.kill("test")
        await spare.process.ended
        second = await small.session()
        assert second is not spare
        assert (await second.run("1", 30)).value == "1"
        for session in (first, second):
            session.close()

    wait(run())


def test_a_trajectory_keeps_its_interpreter_and_its_end_closes_it(small):
    async def run():
        sessions = TrajectorySessions(small, idle_seconds=60)
        trajectory, other = Trajectory(), Trajectory()
        answers = await asyncio.gather(*(sessions.run(trajectory, f"x = {n}", 30) for n in range(5)))
        assert not any(answer.is_new_interpreter for answer in answers)
        assert (await sessions.run(trajectory, "x", 30)).result.value == "4"
        assert "NameError" in (await sessions.run(other, "x", 30)).result.error
        held = [held.session for held in sessions._held.values()]
        del trajectory, other
        await asyncio.sleep(0)
        assert not sessions._held
        assert not any(session.is_open for session in held)

    wait(run())


def test_a_running_call_can_be_interrupted_and_no_other(small):
    async def run():
        sessions = TrajectorySessions(small, idle_seconds=60)
        trajectory, other = Trajectory(), Trajectory()
        await sessions.interrupt(trajectory)
        await sessions.run(trajectory, "x = 1", 30)
        await sessions.interrupt(trajectory)
        calls = [
            asyncio.ensure_future(sessions.run(one, "import time; time.sleep(2)", 60)) for one in (trajectory, other)
        ]
        await asyncio.sleep(0.5)
        await sessions.interrupt(trajectory)
        assert [answer.result.status for answer in await asyncio.gather(*calls)] == ["interrupted", "ok"]
        assert (await sessions.run(trajectory, "x", 30)).result.value == "1"

    wait(run())


def test_a_trajectory_never_gets_the_interpreter_of_one_that_had_its_address(small):
    async def run():
        sessions = TrajectorySessions(small, idle_seconds=60)
        for _ in range(20):
            answer = await sessions.run(Trajectory(), "n = globals().get('n', 0) + 1; n", 30)
            assert (answer.result.value, answer.is_new_interpreter) == ("1", False)

    wait(run())


def test_a_trajectory_that_ends_during_a_call(small):
    async def run():
        sessions = TrajectorySessions(small, idle_seconds=60)
        trajectory = Trajectory()
        call = asyncio.ensure_future(sessions.run(trajectory, "import time; time.sleep(60)", 90))
        await asyncio.sleep(0.2)
        del trajectory
        call.cancel()
        await asyncio.wait({call})
        del call  # its traceback holds the trajectory
        await asyncio.sleep(0)
        assert not sessions._held
        assert small._open._value == 2

    wait(run())


def test_a_lost_interpreter_is_replaced_and_that_is_said(small):
    async def run():
        sessions = TrajectorySessions(small, idle_seconds=60)
        trajectory = Trajectory()
        answer = await sessions.run(trajectory, "x = 1\nimport os\nos._exit(0)", 30)
        assert (answer.result.status, answer.is_new_interpreter) == ("killed", False)
        answer = await sessions.run(trajectory, "x", 30)
        assert "NameError" in answer.result.error and answer.is_new_interpreter
        assert not (await sessions.run(trajectory, "x", 30)).is_new_interpreter

    wait(run())


def test_an_idle_interpreter_is_closed_and_its_state_is_known_to_be_lost(small):
    async def run():
        sessions = TrajectorySessions(small, idle_seconds=0.2)
        trajectory = Trajectory()
        await sessions.run(trajectory, "import time; time.sleep(0.4)", 30)
        await asyncio.sleep(0.5)
        assert small._open._value == 2
        with pytest.raises(ToolUnavailable, match=r"closed after 0\.2 seconds without a call"):
            await sessions.run(trajectory, "x", 30)
        assert (await sessions.run(trajectory, "1", 30)).is_new_interpreter

    wait(run())
