"""Thousands of sessions, a twentieth of the calls hostile, and then a look for what is left of them.

    python benchmarks/soak.py

Each trajectory counts its calls in a variable, so an answer from the wrong interpreter, or of a lost one that was not
said to be lost, is noticed. Memory, processes, descriptors, locks and disk are compared between a tenth of the way and
the end, when no session is open; ``ALLOWED_GROWTH`` is what they may grow by. Writes outputs/bench/soak.json; exits
with 1 if anything grew by more or an answer was wrong.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import click
import psutil

from verl_hdpo.tools.sandbox import session as session_module
from verl_hdpo.tools.sandbox.limits import Limits
from verl_hdpo.tools.sandbox.pool import SandboxPool
from verl_hdpo.tools.sandbox.settings import PoolSettings
from verl_hdpo.tools.sandbox.trajectories import TrajectorySessions

OUT = Path(__file__).parents[1] / "outputs" / "bench" / "soak.json"
HOSTILE_SHARE = 0.05
SECONDS, HOSTILE_SECONDS, GRACE_SECONDS = 60.0, 0.5, 1.0
LIMITS = Limits(cpu_seconds=30, memory_mb=256, scratch_mb=16)
ALLOWED_GROWTH = {"owner_mib": 24.0, "zygote_mib": 8.0, "processes": 0, "owner_fds": 2, "zygote_fds": 2, "files": 0,
                  "locks": 0}  # fmt: skip

HOSTILE = (
    "import os\nwhile True: os.fork()",
    "x = []\nwhile True: x.append(bytearray(1 << 24))",
    "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(60,)).start()",
    "n = 0\nwhile True:\n    open(f'f{n}', 'wb').write(b'x' * (1 << 20)); n += 1",
    "import os\nwhile True: os.mkdir('d'); os.chdir('d')",
    "while True: print('x' * 10_000)",
    "import os\nwhile True: os.write(3, b'x' * 10_000)",
    "import os; x = [os.open('/dev/null', os.O_RDONLY) for _ in range(10_000)]",
    "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
    "sum(range(10 ** 12))",
    "import os; os._exit(1)",
    "import ctypes; ctypes.string_at(0)",
    "import os; os.kill(os.getppid(), 9)",
    "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)",
    "import socket; socket.create_connection(('127.0.0.1', 80))",
    "open('/etc/passwd').read()",
    "import os; os.close(3)",
    "import fcntl, os\nf = open(os.__file__, 'rb')\nfor n in range(9_999): fcntl.lockf(f, fcntl.LOCK_SH, 1, 2 * n)",
    "import fcntl; x = [open(str(n), 'w') for n in range(40)]; [fcntl.flock(f, fcntl.LOCK_EX) for f in x]",
    "import ctypes\nwhile True: ctypes.CDLL(None).close_range(0x7ffffff0, 0x7ffffff0, 2)",
    "import socket\nx = []\nwhile True: x.append(socket.socketpair()); x[-1][0].send(b'x' * 100_000)",
)


class Soak:
    """One run.

    Attributes:
        statuses: of all calls.
        filled: how many of the harmless ones met a session whose memory hostile code had filled.
        problems: what no call should come to.
    """

    def __init__(self, pool: SandboxPool, sessions: int, calls: int, seed: int):
        self.pool, self.sessions, self.calls = pool, sessions, calls
        self.trajectories = TrajectorySessions(pool, idle_seconds=3600.0)
        self.random = random.Random(seed)
        self.statuses: Counter[str] = Counter()
        self.filled = 0
        self.problems: list[str] = []

    async def run(self, wide: int, first: int, last: int) -> None:
        """Trajectories ``first`` to ``last``, ``wide`` at a time."""
        numbers = iter(range(first, last))

        async def worker() -> None:
            for number in numbers:
                await self.trajectory(number)

        await asyncio.gather(*(worker() for _ in range(wide)))
        await asyncio.sleep(3.0)

    async def trajectory(self, number: int) -> None:
        trajectory = Trajectory()
        count = 0
        for _ in range(self.calls // self.sessions):
            if self.random.random() < HOSTILE_SHARE:
                code = self.random.choice(HOSTILE)
                answer = await self.trajectories.run(trajectory, code, HOSTILE_SECONDS)
                self.statuses[f"hostile, {answer.result.status}"] += 1
                count = 0 if answer.is_new_interpreter else count
                if answer.result.status == "killed":
                    count = None
                continue
            code = "try: count += 1\nexcept NameError: count = 1\nprint('x' * 100)\ncount"
            answer = await self.trajectories.run(trajectory, code, SECONDS)
            self.statuses[f"harmless, {answer.result.status}"] += 1
            if answer.is_new_interpreter != (count is None):
                self.problems.append(f"trajectory {number}: new interpreter {answer.is_new_interpreter}, count {count}")
            count = (count or 0) + 1
            if answer.result.value != str(count):
                # Hostile code may have filled its own session's memory, which then cannot do what it is asked.
                if "MemoryError" in answer.result.error or answer.result.status == "killed":
                    self.filled += 1
                    count = None if answer.result.status == "killed" else int(count) - 1
                    continue
                self.problems.append(f"trajectory {number}: {answer.result} where {count} was expected")
                return


class Trajectory:
    """What sessions are kept by."""


def left(pool: SandboxPool) -> dict[str, float]:
    """What the sandbox holds on to."""
    launcher = psutil.Process(pool._zygote.pid)
    below = launcher.children(recursive=True)
    zygote = max(below, key=lambda process: len(process.children()))
    pids = {str(process.pid) for process in (psutil.Process(), launcher, *below)}
    locks = [line.replace("-> ", "").split()[4] for line in Path("/proc/locks").read_text().splitlines()]
    files = [*Path("/dev/shm").iterdir(), *Path(tempfile.gettempdir()).glob("verl-hdpo-sandbox-*/*")]
    return {
        "owner_mib": psutil.Process().memory_info().rss / 2**20,
        "zygote_mib": zygote.memory_info().rss / 2**20,
        "processes": len(below),
        "owner_fds": psutil.Process().num_fds(),
        "zygote_fds": zygote.num_fds(),
        "files": len(files),
        "locks": sum(pid in pids for pid in locks),
        "disk_free_gib": psutil.disk_usage(tempfile.gettempdir()).free / 2**30,
    }


async def soak(isolation: str, sessions: int, calls: int, wide: int, seed: int) -> dict[str, Any]:
    session_module.GRACE_SECONDS = GRACE_SECONDS
    pool = SandboxPool(PoolSettings(isolation=isolation, limits=LIMITS, spare_sessions=2))
    in_force = (await pool.zygote()).in_force
    run = Soak(pool, sessions, calls, seed)
    begin = time.monotonic()
    await run.run(wide, 0, sessions // 10)
    before = left(pool)
    await run.run(wide, sessions // 10, sessions)
    after = left(pool)
    took = time.monotonic() - begin
    zygote = pool._zygote
    await pool.close()
    grown = {
        name: after[name] - before[name] for name, most in ALLOWED_GROWTH.items() if after[name] - before[name] > most
    }
    if zygote.is_lost and await asyncio.to_thread(psutil.pid_exists, zygote.pid):
        run.problems.append("the launcher outlived its pool")
    return {
        "isolation": in_force, "sessions": sessions, "calls": sum(run.statuses.values()), "wide": wide, "seed": seed,
        "seconds": took, "statuses": dict(run.statuses), "filled": run.filled, "before": before, "after": after,
        "grown": grown, "problems": run.problems[:20], "cores": os.cpu_count(),
    }  # fmt: skip


@click.command()
@click.option("--sessions", default=2000, show_default=True)
@click.option("--calls", default=20_000, show_default=True, help="In all; each session has its share.")
@click.option("--wide", default=16, show_default=True, help="Sessions at a time.")
@click.option("--isolation", default="auto", show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--out", default=OUT, show_default=True, type=click.Path(path_type=Path))
def main(sessions: int, calls: int, wide: int, isolation: str, seed: int, out: Path) -> None:
    """Run it and say what grew."""
    report = asyncio.run(soak(isolation, sessions, calls, wide, seed))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=2))
    click.echo(json.dumps(report, indent=2))
    sys.exit(bool(report["grown"] or report["problems"]))


if __name__ == "__main__":
    main()
