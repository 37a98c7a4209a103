"""A judge that is right whenever it answers, which three of ten requests do not see."""

from __future__ import annotations

import threading
import zlib
from collections import Counter

from judge_servers import asked_about, completion, verdict
from local_service import Answer

SLOW_SECONDS = 30.0
ERROR = {"error": {"message": "no"}}
FAULTS = (
    Answer(ERROR, 500),
    Answer(completion('{"verdict": "wrong"}'), delay=SLOW_SECONDS),
    Answer(None),
    Answer(ERROR, 429, {"Retry-After": "1"}),
    Answer(b"\x00\xff wrong {"),
    Answer({"verdict": "wrong"}),
    Answer(ERROR, 503),
    Answer(completion('{"verdict": "wrong"}'), cut=True),
    Answer(completion('{"verdict": "perhaps"}')),
)
"""One after the other about the same answer, so that some verdicts meet them until nobody asks any more."""
PERIOD = 30
"""Requests about an answer from one series of faults to the next; its text says where the first begins."""


class FailingJudge:
    """``answer`` for ``local_service.serving``, for any number of servers.

    Attributes:
        is_down: whether it hangs up on everybody.
        requests: how many there were about each answer to each question.
    """

    def __init__(self):
        self.is_down = False
        self.requests, self._lock = Counter(), threading.Lock()

    def answer(self, asked):
        _, question, references, answer = asked_about(asked.body)
        with self._lock:
            number = self.requests[question, answer] + zlib.crc32(f"{question} {answer}".encode())
            self.requests[question, answer] += 1
        if self.is_down:
            return Answer(None)
        if number % PERIOD < len(FAULTS):
            return FAULTS[number % PERIOD]
        return verdict("correct" if answer in references else "wrong")
