"""Tool servers in processes of their own, of which one is killed now and then and started again."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx
from free_port import free_port

from verl_hdpo.tools.server import TOKEN_ENV

SUPPORT = Path(__file__).parents[1]
START_SECONDS = 600.0


class ServerProcesses:
    """``verl-hdpo tool-server`` on ports of this machine.

    Args:
        count: how many.
        config: the servers' yaml.
        token: of all.
        logs: folder for what they print.

    Attributes:
        urls: of all.
        killed: sessions that each killed server had.
        away: seconds from each kill until the server answered again.
    """

    def __init__(self, count: int, config: Path, token: str, logs: Path):
        self._config, self._token, self._logs = config, token, logs
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.urls = [f"http://127.0.0.1:{free_port()}" for _ in range(count)]
        self.killed: list[int] = []
        self.away: list[float] = []

    async def start_all(self) -> None:
        for url in self.urls:
            self._start(url)
        await asyncio.gather(*map(self._answers, self.urls))

    async def kill_now_and_then(self, seconds: float, times: int, chance: random.Random) -> None:
        """One every ``seconds``; each is started again at once."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in range(times):
            await asyncio.sleep(began + (number + 1) * seconds - loop.time())
            url = chance.choice(self.urls)
            self.killed.append(await self.sessions(url))
            self._kill(url)
            died = loop.time()
            self._start(url)
            await self._answers(url)
            self.away.append(loop.time() - died)

    async def sessions(self, url: str) -> int:
        """Open sessions of a server, as it counts them."""
        headers = {"Authorization": f"Bearer {self._token}"}
        async with httpx.AsyncClient(headers=headers, timeout=60, verify=False) as client:
            lines = (await client.get(f"{url}/metrics")).text.splitlines()
        (line,) = [line for line in lines if line.startswith("verl_hdpo_tool_sessions ")]
        return int(float(line.split()[1]))

    def end(self) -> None:
        for url in self.urls:
            self._kill(url)

    def _start(self, url: str) -> None:
        command = [sys.executable, "-m", "verl_hdpo", "tool-server", "--config", str(self._config)]
        path = os.pathsep.join([str(SUPPORT), *filter(None, [os.environ.get("PYTHONPATH")])])
        port = url.rpartition(":")[2]
        with (self._logs / port).open("ab") as log:
            self._processes[url] = subprocess.Popen(
                [*command, "--port", port],
                env={**os.environ, TOKEN_ENV: self._token, "PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    async def _answers(self, url: str) -> None:
        async with httpx.AsyncClient(timeout=5, verify=False) as client:
            for _ in range(int(START_SECONDS / 0.2)):
                if self._processes[url].poll() is not None:
                    raise RuntimeError(f"a tool server ended by itself:\n{self._last_words(url)}")
                try:
                    if (await client.get(f"{url}/health")).is_success:
                        return
                except httpx.HTTPError:
                    pass
                await asyncio.sleep(0.2)
        raise RuntimeError(f"{url} does not answer after {START_SECONDS:g} seconds:\n{self._last_words(url)}")

    def _last_words(self, url: str) -> str:
        return (self._logs / url.rpartition(":")[2]).read_text(errors="replace")[-2000:]

    def _kill(self, url: str) -> None:
        process = self._processes.pop(url, None)
        if process is not None:
            process.send_signal(signal.SIGKILL)
            process.wait()


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Half of them are below the first, 99 % below the second."""
    ordered = sorted(seconds)
    return {f"p{share}": round(ordered[len(ordered) * share // 100], 3) for share in (50, 99)} if ordered else {}
