"""Verdicts of a judge that takes 100 ms each, 64 at a time, beside the ideal of samples / width * latency.

    python benchmarks/judge.py                    # 2,048 samples, several rounds, with and without a folder of verdicts
    python benchmarks/judge.py --faults           # also with a third of the requests failing in some way

The server is a process of its own on this machine, so client and server share its processors: run it on an idle
machine. Writes outputs/bench/judge.json.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import click
from aiohttp import web

from verl_hdpo.grading.judge.judge import Judge
from verl_hdpo.outcomes.outcome import Outcome
from verl_hdpo.settings.judge import JudgeSettings

OUT = Path(__file__).parents[1] / "outputs" / "bench" / "judge.json"
WIDTH, LATENCY = 64, 0.1
FAULT_RATE = 1 / 3


def serve(faults: bool) -> None:
    """Answer on a free port, which is written to stdout."""

    async def chat(request: web.Request) -> web.Response:
        await request.read()
        await asyncio.sleep(LATENCY)
        if faults and random.random() < FAULT_RATE:
            return random.choice(
                [web.Response(status=500), web.Response(status=429), web.Response(text="what?"), web.json_response({})]
            )
        message = {"role": "assistant", "content": '{"verdict": "correct"}'}
        usage = {"prompt_tokens": 400, "completion_tokens": 7}
        return web.json_response({"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage})

    async def run() -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", chat)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()

    asyncio.run(run())


async def measure(url: str, samples: int, cache_dir: str | None) -> dict[str, Any]:
    """One round: all samples at once, each another answer."""
    found = {"endpoints": [url], "model": "judge", "concurrency": WIDTH, "cache_dir": cache_dir}
    judge = Judge(JudgeSettings.read(found, "judge"))
    wall, cpu = time.perf_counter(), time.process_time()
    asked = [(f"answer {i}", ["reference"], f"question {i % 128}") for i in range(samples)]
    outcomes = await asyncio.gather(*(judge(*one) for one in asked))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    await judge.close()
    return {"seconds": wall, "over_ideal": wall / (samples / WIDTH * LATENCY), "cpu_seconds": cpu, **summary(outcomes)}


def summary(outcomes: list[Outcome]) -> dict[str, Any]:
    return {
        "sources": dict(Counter(outcome.source for outcome in outcomes)),
        "requests": int(sum(outcome.judge.requests for outcome in outcomes)),
        "seconds_per_verdict": sum(outcome.judge.seconds for outcome in outcomes) / len(outcomes),
    }


@click.command()
@click.option("--samples", default=2048, show_default=True)
@click.option("--rounds", default=5, show_default=True)
@click.option("--faults", is_flag=True, help="also with a third of the requests failing")
@click.option("--serve", "as_server", type=click.Choice(["sound", "faulty"]), hidden=True)
def main(samples: int, rounds: int, faults: bool, as_server: str | None) -> None:
    if as_server:
        serve(as_server == "faulty")
        return
    results = {}
    for server in ("sound", "faulty") if faults else ("sound",):
        command = [sys.executable, __file__, "--serve", server]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            url = f"http://127.0.0.1:{int(process.stdout.readline())}"
            for kept in ("memory", "disk") if server == "sound" else ("memory",):
                results[f"{server}, {kept}"] = found = []
                for _ in range(rounds):
                    with tempfile.TemporaryDirectory() as folder:
                        found.append(asyncio.run(measure(url, samples, folder if kept == "disk" else None)))
                    last = found[-1]
                    print(
                        f"{server}, verdicts in {kept}: {last['seconds']:.2f} s, {last['over_ideal']:.2f} times the "
                        f"ideal, {last['cpu_seconds']:.2f} s of CPU, {last['sources']}, load {os.getloadavg()[0]:.1f}"
                    )
            process.terminate()
    machine = {"processor": platform.processor(), "cores": os.cpu_count(), "python": platform.python_version()}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps({"machine": machine, "samples": samples, "results": results}, indent=1))


if __name__ == "__main__":
    main()
