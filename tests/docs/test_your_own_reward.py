"""The reward functions of docs/tutorials/your_own_reward.md, as they stand there."""

import asyncio
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from composed import composed
from pages import ROOT
from verl.trainer.ppo.reward import get_custom_reward_fn

from verl_hdpo.outcomes.result import outcome_of_result

PAGE = ROOT / "docs" / "tutorials" / "your_own_reward.md"
NUMBER, GRADED, JUDGED = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)


def function(code):
    names = {}
    exec(code, names)
    return names["compute_score"]


@pytest.mark.parametrize(("answer", "acc"), [("It is\n 4 ", 1), ("It is 4", 0), ("", 0)])
def test_a_number_is_an_outcome(answer, acc):
    outcome = outcome_of_result(function(NUMBER)("mine", answer, "4"))
    assert (outcome.known, outcome.acc) == (True, acc)


@pytest.mark.parametrize(("answer", "score", "acc"), [("red and blue", 1, 1), ("red", 0.5, 0), ("", 0, 0)])
def test_a_graded_reward_tells_right_from_nearly_right(answer, score, acc):
    outcome = outcome_of_result(function(GRADED)("mine", answer, "Blue red"))
    assert (outcome.score, outcome.acc) == (score, acc)


@pytest.fixture
def judge():
    """Address of a server that finds 4 right, anything else wrong, and breaks at ``break``."""

    class Judge(BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(500 if asked["answer"] == "break" else 200)
            self.end_headers()
            self.wfile.write(json.dumps({"right": asked["answer"] == "4"}).encode())

        def log_message(self, *_):
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Judge)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("answer", "known", "acc"), [("4", True, 1), ("5", True, 0), ("break", False, 0)])
def test_a_judge_that_breaks_makes_the_outcome_unknown(judge, answer, known, acc):
    outcome = outcome_of_result(asyncio.run(function(JUDGED)("mine", answer, "4", judge_url=judge)))
    assert (outcome.known, outcome.acc) == (known, acc)


def test_a_judge_that_is_not_there_makes_the_outcome_unknown():
    result = asyncio.run(function(JUDGED)("mine", "4", "4", judge_url="http://127.0.0.1:1/"))
    assert not outcome_of_result(result).known


def test_its_argument_reaches_the_function_as_the_page_says(tmp_path, judge):
    (override,) = re.findall(r"^ *(\+reward\S+judge_url=)\S+", PAGE.read_text(), re.MULTILINE)
    (tmp_path / "my_reward.py").write_text(JUDGED)
    config = composed(f"reward.custom_reward_function.path={tmp_path / 'my_reward.py'}", f"{override}{judge}")
    found = get_custom_reward_fn(config)
    assert outcome_of_result(asyncio.run(found("mine", "4", "4"))).acc == 1
