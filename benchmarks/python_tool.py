"""The python tool's sandbox beside two peers: starts, calls, latency, memory; in one run.

    python benchmarks/python_tool.py

The peers are a plain Jupyter kernel per session, without walls, and a bubblewrap process per session, with them, in
which plain Python evaluates what it is sent. A start ends with the answer to a first call. Latency is the caller's,
waiting for a turn included. Peers are left out where there is no memory for as many. Writes
outputs/bench/python_tool.json.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import click
import psutil
from jupyter_client import AsyncKernelManager

from verl_hdpo.tools.sandbox import bubblewrap
from verl_hdpo.tools.sandbox.pool import SandboxPool
from verl_hdpo.tools.sandbox.readable import readable_view
from verl_hdpo.tools.sandbox.settings import PoolSettings

OUT = Path(__file__).parents[1] / "outputs" / "bench" / "python_tool.json"
SECONDS = 120.0
INTERPRETER_MIB = 100
CALLS = {
    "trivial": ("x = 41\nx + 1", "42"),
    "numpy": ("import numpy as np\na = np.arange(4096.).reshape(64, 64)\nint((a @ a.T).sum() % 1000)", "40"),
}

NUMPY = "import numpy\nint(numpy.ones(1)[0])"
"""A first call that needs what the sandbox's sessions have imported."""


class Sandboxed:
    """Sessions of the sandbox, isolation on."""

    def __init__(self, spare_sessions: int):
        self._pool = SandboxPool(PoolSettings(spare_sessions=spare_sessions, max_sessions=2048))

    async def prepare(self) -> dict[str, Any]:
        zygote = await self._pool.zygote()
        self._launcher = psutil.Process(zygote.pid)
        return zygote.in_force

    async def start(self) -> Any:
        return await self._pool.session()

    async def call(self, session: Any, code: str) -> str:
        result = await self._pool.run(session, code, SECONDS)
        assert result.status == "ok", result
        return result.value

    async def end(self, session: Any) -> None:
        session.close()

    async def close(self) -> None:
        await self._pool.close()

    def processes(self, sessions: list[Any]) -> list[psutil.Process]:
        return [process for process in self._launcher.children(recursive=True) if not process.children()]


class Kernels:
    """A Jupyter kernel per session, not isolated."""

    async def start(self) -> Any:
        manager = AsyncKernelManager(kernel_name="python3")
        await manager.start_kernel()
        client = manager.client()
        client.start_channels()
        await client.wait_for_ready(timeout=SECONDS)
        return manager, client

    async def call(self, session: Any, code: str) -> str:
        value = []

        def keep(message: dict[str, Any]) -> None:
            if message["msg_type"] == "execute_result":
                value.append(message["content"]["data"]["text/plain"])

        reply = await session[1].execute_interactive(code, timeout=SECONDS, output_hook=keep, allow_stdin=False)
        assert reply["content"]["status"] == "ok", reply
        return value[0]

    async def end(self, session: Any) -> None:
        session[1].stop_channels()
        await session[0].shutdown_kernel(now=True)

    def processes(self, sessions: list[Any]) -> list[psutil.Process]:
        return [psutil.Process(manager.provisioner.pid) for manager, _ in sessions]


class Bubblewrapped:
    """A bubblewrap process per session, and in it a plain interpreter: the same files to see, no system-call filter."""

    def __init__(self) -> None:
        inside = [sys.executable, "-I", "-c", EVALUATE]
        self._command = bubblewrap.wrap(bubblewrap.program(), inside, readable_view())

    async def start(self) -> Any:
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(*self._command, stdin=pipe, stdout=pipe)

    async def call(self, session: Any, code: str) -> str:
        session.stdin.write(json.dumps(code).encode() + b"\n")
        return json.loads(await asyncio.wait_for(session.stdout.readline(), SECONDS))

    async def end(self, session: Any) -> None:
        session.kill()
        await session.wait()

    def processes(self, sessions: list[Any]) -> list[psutil.Process]:
        return [psutil.Process(session.pid).children(recursive=True)[-1] for session in sessions]


EVALUATE = """\
import ast, json, sys
names = {}
for line in sys.stdin:
    tree = ast.parse(json.loads(line))
    last = tree.body.pop()
    exec(compile(tree, "call", "exec"), names)
    print(json.dumps(repr(eval(compile(ast.Expression(last.value), "call", "eval"), names))), flush=True)
"""
"""Every call ends with an expression here."""


Side = Sandboxed | Kernels | Bubblewrapped


async def starts_per_second(side: Side, count: int, wide: int, first: str = "1") -> float:
    """Sessions brought to their answer to ``first``, ``wide`` at a time; all are there at the end."""
    slots, sessions = asyncio.Semaphore(wide), []

    async def one() -> None:
        async with slots:
            session = await side.start()
            sessions.append(session)
            assert await side.call(session, first) == "1"

    begin = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(count)))
    seconds = time.perf_counter() - begin
    await asyncio.gather(*map(side.end, sessions))
    await asyncio.sleep(1.0)
    return count / seconds


async def calls(side: Side, sessions: list[Any], code: str, value: str, seconds: float) -> dict[str, float]:
    """Every session calls again as soon as it is answered, for ``seconds``."""
    latencies: list[float] = []

    async def caller(session: Any, until: float) -> None:
        while (begin := time.perf_counter()) < until:
            assert await side.call(session, code) == value
            latencies.append(time.perf_counter() - begin)

    await asyncio.gather(*(side.call(session, code) for session in sessions))
    begin = time.perf_counter()
    await asyncio.gather(*(caller(session, begin + seconds) for session in sessions))
    took = time.perf_counter() - begin
    cuts = statistics.quantiles(latencies, n=100)
    return {"calls_per_s": len(latencies) / took, "p50_ms": cuts[49] * 1e3, "p99_ms": cuts[98] * 1e3}


async def call_table(side: Side, concurrencies: list[int], seconds: float, settle: float = 0.0) -> dict[str, Any]:
    """Figures per concurrency and kind of call, and the memory of one idle session."""
    table: dict[str, Any] = {"calls": {}}
    for concurrency in concurrencies:
        sessions = [await side.start() for _ in range(concurrency)]
        await asyncio.sleep(settle)
        for name, (code, value) in CALLS.items():
            table["calls"][f"{name}, {concurrency} sessions"] = await calls(side, sessions, code, value, seconds)
        await asyncio.sleep(0.5)
        pss = [memory_mib(process) for process in side.processes(sessions)]
        table["idle_session_mib"] = statistics.median(pss)
        table["idle_sessions"] = len(pss)
        await asyncio.gather(*map(side.end, sessions))
        await asyncio.sleep(1.0)
    return table


def memory_mib(process: psutil.Process) -> float:
    """Proportional set size: a page shared by n processes counts 1/n."""
    lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


async def warm_start_ms(count: int) -> list[float]:
    """Milliseconds until a session that was started ahead of need is at hand; p50 and p99."""
    side = Sandboxed(spare_sessions=4)
    await side.prepare()
    waits = []
    await side.end(await side.start())
    for _ in range(count):
        await asyncio.sleep(0.25)
        begin = time.perf_counter()
        session = await side.start()
        waits.append((time.perf_counter() - begin) * 1e3)
        await side.end(session)
    await side.close()
    cuts = statistics.quantiles(waits, n=100)
    return [cuts[49], cuts[98]]


def there_is_room_for(sessions: int) -> bool:
    """Whether memory is left for so many interpreters of their own, with numpy imported."""
    return sessions * INTERPRETER_MIB < psutil.virtual_memory().available >> 20


async def measure(quick: bool) -> dict[str, Any]:
    concurrencies = [1, 8, 32] if quick else [1, 8, 32, 256, 1024]
    seconds = 2.0 if quick else 10.0
    report: dict[str, Any] = {"machine": machine(), "seconds_per_figure": seconds}

    sandboxed = Sandboxed(spare_sessions=0)
    begin = time.perf_counter()
    report["isolation"] = await sandboxed.prepare()
    ours: dict[str, Any] = {"zygote_start_s": time.perf_counter() - begin}
    ours["starts_per_s"] = await starts_per_second(sandboxed, 20 if quick else 100, 1)
    ours["starts_per_s_16_wide"] = await starts_per_second(sandboxed, 48 if quick else 256, 16)
    ours["starts_per_s_16_wide_with_numpy"] = await starts_per_second(sandboxed, 48 if quick else 256, 16, NUMPY)
    ours |= await call_table(sandboxed, concurrencies, seconds)
    await sandboxed.close()
    ours["warm_start_ms_p50_p99"] = await warm_start_ms(20 if quick else 60)

    report |= {"sandbox": ours, "ratio": {}}
    peers: dict[str, Side] = {"jupyter_kernel": Kernels()}
    if bubblewrap.program() is not None:
        peers["bubblewrap"] = Bubblewrapped()
    for name, peer in peers.items():
        theirs: dict[str, Any] = {"starts_per_s": await starts_per_second(peer, 3 if quick else 10, 1)}
        theirs["starts_per_s_16_wide"] = await starts_per_second(peer, 16 if quick else 32, 16)
        theirs["starts_per_s_16_wide_with_numpy"] = await starts_per_second(peer, 16 if quick else 32, 16, NUMPY)
        measured = [count for count in concurrencies if there_is_room_for(count)]
        theirs |= await call_table(peer, measured, seconds, settle=1.0)
        theirs["no_memory_for"] = [count for count in concurrencies if count not in measured]
        report |= {name: theirs}
        report["ratio"][name] = ratios(ours, theirs)
    report["load_average_at_end"] = os.getloadavg()
    return report


def ratios(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, float]:
    """How many times more the sandbox does; where peers were left out, than they do at their best."""
    found = {name: ours[name] / theirs[name] for name in ours if name.startswith("starts")}
    for name, figures in ours["calls"].items():
        kind = name.partition(",")[0]
        best = max(row["calls_per_s"] for key, row in theirs["calls"].items() if key.startswith(kind))
        if name in theirs["calls"]:
            found[name] = figures["calls_per_s"] / theirs["calls"][name]["calls_per_s"]
        else:
            found[f"{name}, over the best of fewer sessions"] = figures["calls_per_s"] / best
    return found


def machine() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average_at_start": os.getloadavg(),
    }


def show(report: dict[str, Any]) -> None:
    for side in ("sandbox", *report["ratio"]):
        figures = report[side]
        starts = [figures[name] for name in figures if name.startswith("starts")]
        click.echo("\n{}: {:.1f} starts/s, 16 wide {:.1f}, with numpy {:.1f};".format(side, *starts))
        click.echo(
            f"  {figures['idle_session_mib']:.1f} MiB per idle session (PSS, {figures['idle_sessions']} sessions)"
        )
        for name, row in figures["calls"].items():
            click.echo(f"  {name:24} {row['calls_per_s']:8.0f} calls/s {row['p50_ms']:8.2f} {row['p99_ms']:8.2f} ms")
    p50, p99 = report["sandbox"]["warm_start_ms_p50_p99"]
    click.echo(f"\nwarm start {p50:.2f} ms (p99 {p99:.2f}), zygote {report['sandbox']['zygote_start_s']:.1f} s")
    for side, found in report["ratio"].items():
        click.echo(f"times {side}: " + ", ".join(f"{name} {ratio:.1f}" for name, ratio in found.items()))


@click.command()
@click.option("--quick", is_flag=True, help="A few seconds per figure, fewer sessions.")
@click.option("--out", default=OUT, show_default=True, type=click.Path(path_type=Path))
def main(quick: bool, out: Path) -> None:
    """Measure all sides, one after the other, and print and write the figures."""
    report = asyncio.run(measure(quick))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=2))
    show(report)
    click.echo(f"\n{out}")


if __name__ == "__main__":
    main()
