"""math-verify in processes of their own: its own timeout is a signal handler, which fails off the main thread, and
none runs inside one big-integer operation. A worker, which takes a second to start, forks for each comparison.
"""

from __future__ import annotations

import functools
import logging
import os
import pickle
import re
import resource
import signal
from collections.abc import Callable
from typing import Any

from verl_hdpo.grading.brackets import depth
from verl_hdpo.grading.worker_process import WorkerError, WorkerOverLimit, WorkerPool

MAX_WORKERS = 2
MEMORY_BYTES = 4 << 30
SMALL, RELATIVE = 0.1, 1e-5
"""Of a ground truth below ``SMALL``, how much an answer may differ from it."""
MATH_START_SECONDS = 120.0
"""By the clock, for a worker's start, which imports SymPy: about a second on an idle machine."""
STALLED = 10
"""By the clock a comparison may take so many times its limit."""
MAX_CHARS, MAX_DEPTH = 400, 14
_WARMING = (
    "\\frac{1}{2}", "x^{2}-3\\sqrt{2}=0", "(1, \\pi]", "\\{1, 2\\}", "x<2", "\\sin x+\\sum_{k=1}^{n} k",
    "\\int_0^1 t dt", "\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}",
)  # fmt: skip
"""Read once by each worker, so that what it forks need not read LaTeX's grammar again."""
_EXPLOSIVE = re.compile(
    r"(?:\^|\*\*)[\s({+-]*[\d.]*[\s)}]*(?:\^|\*\*)|(?:\^|\*\*)[\s({+-]*\d{3}|\d{4}[\s)}]*!|!\s*[)}]*\s*!"
    r"|(?:\^|\*\*)\s*[({][^)}]*\d\s*(?:\*|\\times|\\cdot)\s*\d|\\[dt]?binom[^a-zA-Z]*\d{5}|\)\s*!"
)
"""A power of a power, an exponent or factorial of four digits, long numbers in a binomial: they take hours."""

Reply = tuple[bool | None, str | int]
"""A verdict, and why there is none: an error's text or the number of a signal."""


def can_take(text: str) -> bool:
    """Whether ``text`` is one formula, short and flat, and none of those that are easily told to take hours."""
    one = text.count("$") <= 2 and text.count("\\boxed") <= 1
    return one and len(text) <= MAX_CHARS and depth(text) <= MAX_DEPTH and not _EXPLOSIVE.search(text)


def equal(gold: str, answer: str, seconds: float) -> bool | None:
    """Whether math-verify finds ``answer`` equal to ``gold``; None when it cannot read ``gold``. Blocking.

    Raises:
        WorkerError: math-verify raised, or died.
        WorkerOverLimit: no verdict within ``seconds`` of processor time.
        WorkerStalled: nor that much of it within ``STALLED * seconds``: the machine's doing.
    """
    verdict, fault = pool().ask((gold, answer, seconds), seconds, STALLED * seconds)
    if fault == signal.SIGPROF:
        raise WorkerOverLimit("no verdict in the processor time that it may take")
    if fault:
        raise WorkerError(f"math-verify gave no verdict: {fault}")
    return None if verdict is None else bool(verdict)


@functools.cache
def pool() -> WorkerPool:
    """The workers of this process; ``equal`` is called from threads of its executor."""
    return WorkerPool("verl_hdpo.grading.math_process", None, MAX_WORKERS, MATH_START_SECONDS)


def begin(_: None) -> Callable[[tuple[str, str, float]], Reply]:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    logging.disable(logging.CRITICAL)  # math-verify warns of the missing timeout; the limit is ours
    from math_verify import parse, verify
    from sympy import Expr, UnevaluatedExpr

    def numbers(parsed: list[Any]) -> list[Any]:
        return [one for one in parsed if isinstance(one, Expr) and one.is_number]

    def near(gold: list[Any], answer: list[Any]) -> bool:
        """math-verify rounds to six decimals, which makes 0.0 equal to 1/10000000."""
        found = [one.doit().evalf() for one in numbers(answer)]
        # 5% is 0.05 or 5 to it: that has an UnevaluatedExpr.
        sought = [one.evalf() for one in numbers(gold) if not one.has(UnevaluatedExpr)]
        small = [one for one in sought if 0 < abs(one) < SMALL]
        return not (found and small) or any(abs(a - b) <= RELATIVE * abs(b) for a in found for b in small)

    def read(text: str) -> list[Any]:
        # LaTeX between dollars is all it reads as an expression; Python's power is not LaTeX.
        text = re.sub(r"\*\*\s*(-?\w+)", r"^{\1}", text).replace("**", "^").replace("\\%", "%")
        found: list[Any] = parse(text if "$" in text or "\\boxed" in text else f"${text}$", parsing_timeout=None)
        return found

    def verdict(gold: str, answer: str) -> Reply:
        try:
            sought, found = read(gold), read(answer)
            same = verify(sought, found, timeout_seconds=None) and near(sought, found) if sought else None
        except Exception as error:
            return None, f"{type(error).__name__}: {error}"[:200]
        return same, ""

    for text in _WARMING:
        verdict(text, text)
    return lambda request: _forked(request[2], lambda: verdict(*request[:2]))


def _forked(seconds: float, call: Callable[[], Reply]) -> Reply:
    """What ``call`` returns in a fork of this process, or the signal that ended it."""
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        signal.setitimer(signal.ITIMER_PROF, seconds)
        os.write(theirs, pickle.dumps(call()))
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as answer:
        found = answer.read()
    status = os.waitpid(child, 0)[1]
    if not found:
        return None, os.WTERMSIG(status) or "the process ended"
    reply: Reply = pickle.loads(found)
    return reply
