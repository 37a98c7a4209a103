"""math-verify in processes of their own, which the kernel kills when a comparison runs too long.

math-verify's own timeout is a signal handler: it fails off the main thread, where Ray runs a reward worker,
and no handler runs inside one big-integer operation. Here SIGPROF keeps its default action, death, so the
limit holds whatever the interpreter is doing, and also when the trainer itself is gone. It counts processor
time, of which a busy machine takes no more; a worker that does not get on at all is killed by the clock.

``python -m verl_hdpo.grading.math_process`` is the worker: one JSON request per line in, one verdict per line out.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import re
import resource
import select
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

logger = logging.getLogger(__name__)

MAX_WORKERS = 2
MEMORY_BYTES = 4 << 30
SMALL, RELATIVE = 0.1, 1e-5
"""Of a ground truth below ``SMALL``, how much an answer may differ from it."""
START_SECONDS = 120.0
"""By the clock, for a worker's start, which imports SymPy: about a second on an idle machine."""
STALLED = 10
"""By the clock a comparison may take so many times its limit."""


class MathProcessError(RuntimeError):
    """The worker gave no verdict: it was killed at its limit, or could not start."""


class MathProcessStalled(MathProcessError):
    """It was killed by the clock, without having worked for long: the machine's doing."""


def equal(gold: str, answer: str, seconds: float) -> bool | None:
    """Whether math-verify finds ``answer`` equal to ``gold``; None when it cannot read ``gold``. Blocking.

    Raises:
        MathProcessError: no verdict within ``seconds`` of processor time.
        MathProcessStalled: nor that much of it within ``START_SECONDS + STALLED * seconds``.
    """
    worker = getattr(_LOCAL, "worker", None)
    if worker is None or worker.poll() is not None:
        worker = _LOCAL.worker = _start()
    try:
        to_worker, from_worker = _pipes(worker)
        to_worker.write(json.dumps([gold, answer, seconds]) + "\n")
        to_worker.flush()
        if not select.select([from_worker], [], [], START_SECONDS + STALLED * seconds)[0]:
            worker.kill()
            worker.wait()
            raise MathProcessStalled("the math-verify process made no progress and was killed")
        line = from_worker.readline()
    except OSError as error:
        raise MathProcessError(f"the math-verify process is gone: {error}") from error
    if not line:
        status = worker.wait()
        why = f"found no verdict in {seconds:g} s" if status == -signal.SIGPROF else f"ended with status {status}"
        raise MathProcessError(f"the math-verify process {why}")
    verdict: bool | str | None = json.loads(line)
    if isinstance(verdict, str):
        raise MathProcessError(f"math-verify raised {verdict}")
    return verdict


@functools.cache
def executor() -> ThreadPoolExecutor:
    """Threads to call ``equal`` from; each keeps one worker process, started when first needed."""
    return ThreadPoolExecutor(MAX_WORKERS, thread_name_prefix="math-verify")


_LOCAL = threading.local()


def _pipes(worker: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert worker.stdin and worker.stdout
    return worker.stdin, worker.stdout


def _start() -> subprocess.Popen[str]:
    package_root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
        text=True,
    )


def _serve() -> None:
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ends with its input instead, when the trainer ends
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
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

    for line in sys.stdin:
        gold_text, answer_text, seconds = json.loads(line)
        signal.setitimer(signal.ITIMER_PROF, seconds)
        try:
            gold, answer = read(gold_text), read(answer_text)
            verdict = verify(gold, answer, timeout_seconds=None) and near(gold, answer) if gold else None
        except Exception as error:
            verdict = f"{type(error).__name__}: {error}"[:200]
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(json.dumps(verdict), flush=True)


if __name__ == "__main__":
    _serve()
