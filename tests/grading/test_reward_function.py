"""A user's reward function: it holds nobody up, can be stopped, and finds in its process what it had in the worker."""

import asyncio
import os
import time

import numpy as np
import psutil
import pytest

from verl_hdpo.grading.reward_function import FunctionFile, RewardFunction, RewardFunctionError
from verl_hdpo.outcomes.outcome import Outcome, OutcomeError

pytestmark = pytest.mark.slow

ROW = {"data_source": "sums", "solution_str": "4", "ground_truth": "4"}


@pytest.fixture
def ask(tmp_path):
    """``ask(body, *infos)``: what the function says of rollouts with these ``extra_info``s, all asked at once."""

    def run(body, *infos, head="", seconds=60.0, processes=1, **kwargs):
        path = tmp_path / "reward.py"
        indented = body.replace("\n", "\n    ")
        path.write_text(f"{head}\ndef score(data_source, solution_str, ground_truth, extra_info, k=0):\n    {indented}")

        async def calls():
            file = FunctionFile(str(path), "score", kwargs)
            function = RewardFunction(lambda **_: pytest.fail("called here"), file, seconds, processes)
            asked = (function({**ROW, "extra_info": info}) for info in infos or ({},))
            return await asyncio.gather(*asked, return_exceptions=True)

        return asyncio.run(calls())

    return run


def scores(found):
    return [outcome.score if outcome.known else None for outcome, _ in found]


def children():
    return {p for p in psutil.Process().children(recursive=True) if _runs(p)}


def _runs(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # it ended since it was listed
        return False


def test_calls_that_compute_at_the_same_time_are_all_known(ask):
    """Threads would share one interpreter lock: each of 32 takes 32 times as long, by the clock."""
    burn = "import time\nends = time.process_time() + 0.5\nwhile time.process_time() < ends: pass\nreturn 1.0"
    before = children()
    assert scores(ask(burn, *[{}] * 32, seconds=5.0, processes=2)) == [1.0] * 32
    assert len(children() - before) <= 2


@pytest.mark.parametrize(
    "body",
    [
        "while True: pass",
        "9**9**9",  # one operation, in which no handler would run
        "import time\ntime.sleep(3600)",
        "import subprocess\nsubprocess.run(['sleep', '3600'])",
        "import signal, time\nfor s in (2, 10, 14, 15): signal.signal(s, lambda *_: 0)\nwhile True: time.sleep(3600)",
    ],
)
def test_a_call_without_end_is_ended_with_all_that_it_started_and_the_next_one_is_answered(ask, body):
    before = children()
    endless = body.replace("\n", "\n    ")
    hung, (after, _) = ask(
        f"if extra_info['hangs']:\n    {endless}\nreturn 1.0", {"hangs": True}, {"hangs": False}, seconds=1.0
    )
    assert isinstance(hung, RewardFunctionError) and after.score == 1.0
    assert not any("sleep" in process.cmdline() for process in children() - before)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("raise ConnectionError('judge is down')", "ConnectionError('judge is down')"),
        ("raise SystemExit(3)", "SystemExit(3)"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt()"),
        ("import os\nos._exit(5)", "status 5"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", "status -11"),
    ],
)
def test_a_call_that_gives_no_result_is_told_from_a_mistake(ask, body, told):
    (error,) = ask(body)
    assert isinstance(error, RewardFunctionError) and told in str(error)


def test_a_file_that_cannot_be_loaded_there_is_named(ask):
    (error,) = ask("return 1.0", head="raise RuntimeError('no licence here')")
    assert isinstance(error, RewardFunctionError) and "no licence here" in str(error)


@pytest.mark.parametrize("result", ["-1.0", "'4 of 5'", "lambda: 1", "{'acc': 1, 'score': open}"])
def test_what_is_no_score_is_a_mistake(ask, result):
    (error,) = ask(f"return {result}")
    assert isinstance(error, OutcomeError) and "must return a score" in str(error)


def test_results_and_the_keys_that_say_nothing(ask):
    found = ask("return {'score': 0.3, 'acc': True, 'why': print}")
    assert found == [(Outcome.graded(1.0, "reward_function", 0.3), {"why"})]
    assert scores(ask("return float('nan')")) == scores(ask("return None")) == [None]


def test_arguments_arrive_as_they_are(ask):
    info = {"array": np.array([0.25, 0.5]), "nested": {"text": "\ud83d", "n": None}}
    body = "import numpy\nassert isinstance(extra_info['array'], numpy.ndarray)\n"
    body += "assert extra_info['nested'] == {'text': '\\ud83d', 'n': None}\n"
    body += "assert (data_source, solution_str, ground_truth) == ('sums', '4', '4')\nreturn extra_info['array'][1] + k"
    assert scores(ask(body, info, k=0.25)) == [0.75]


def test_arguments_that_cannot_be_sent_are_a_mistake_with_a_way_out(ask):
    (error,) = ask("return 1.0", {"callback": lambda: 1})
    assert isinstance(error, OutcomeError) and "function_processes=0" in str(error)


def test_a_function_keeps_its_globals_and_finds_folder_environment_and_modules(ask, tmp_path, monkeypatch):
    """Those of its process: each has its own, and they last until the process is ended."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "mine_alone.py").write_text("VALUE = 0.25")
    (tmp_path / "data.txt").write_text("0.5")
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCORE_OF_TESTS", "0.125")
    head = "import mine_alone, os\nseen = []"
    body = "seen.append(1)\nfound = os.environ['SCORE_OF_TESTS'], mine_alone.VALUE, open('data.txt').read()\n"
    body += "return float(found[len(seen) - 1])"
    assert scores(ask(body, {}, {}, {}, head=head)) == [0.125, 0.25, 0.5]


def test_what_a_function_prints_is_no_answer_and_its_timeouts_by_signal_work(ask, capfd):
    body = "import signal, time\nprint('{}')\ndef late(*_): raise TimeoutError\nsignal.signal(signal.SIGALRM, late)\n"
    body += "signal.setitimer(signal.ITIMER_REAL, 0.1)\ntry: time.sleep(600)\nexcept TimeoutError: return 1.0"
    assert scores(ask(body)) == [1.0]
    assert "{}" not in capfd.readouterr().out


def test_a_package_may_hold_it():
    async def call():
        file = FunctionFile("pkg://verl_hdpo/outcomes/result", "outcome_of_result", {"result": 0.5})
        return await RewardFunction(len, file, 60.0, 1)({})

    with pytest.raises(OutcomeError, match="must return a score"):
        asyncio.run(call())


def test_processes_end_with_the_one_that_asked(tmp_path):
    """Killed outright in the middle of a call that waits."""
    (tmp_path / "reward.py").write_text(
        f"import os, time\ndef score(**_):\n    open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
        "    time.sleep(3600)\n"
    )
    code = (
        "import asyncio\nfrom verl_hdpo.grading.reward_function import FunctionFile, RewardFunction\n"
        f"asyncio.run(RewardFunction(len, FunctionFile({str(tmp_path / 'reward.py')!r}, 'score', {{}}), 3600, 1)({{}}))"
    )
    with psutil.Popen([os.sys.executable, "-c", code]) as asking:
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            assert asking.poll() is None
            time.sleep(0.05)
        worker = psutil.Process(int((tmp_path / "pid").read_text()))
        asking.kill()
    worker.wait(600)
