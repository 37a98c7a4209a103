"""A session as its owner holds it: one interpreter, one call at a time."""

from __future__ import annotations

import asyncio
import itertools
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from verl_hdpo.tools.failures import ToolUnavailable
from verl_hdpo.tools.sandbox import frames
from verl_hdpo.tools.sandbox.deadline import Deadline
from verl_hdpo.tools.sandbox.frames import FrameError, Pixels
from verl_hdpo.tools.sandbox.limits import Limits
from verl_hdpo.tools.sandbox.zygote_client import ZygoteClient

SESSION_START_SECONDS = 60.0
GRACE_SECONDS = 2.0
"""How long code may take to stop once it is interrupted, in its own time; by the clock, five times that."""

MOST_GRACE = 5
BUSY = "other processes kept the code from running until the call had waited as long as it may"

_READ_AHEAD = 1 << 20
_TEXTS = 4
_NOTE_BYTES = 200  # what a shortened text gains


@dataclass
class Result:
    """What a call came to.

    Attributes:
        status: ``ok``; ``error``: the code raised; ``interrupted``: it ran out of time and the session goes on;
            ``killed``: the session is gone, and its variables with it.
        stdout, stderr, value, error: texts; ``value`` is the last expression's, ``error`` a traceback.
        images: that the code showed.
        killed_because: why the session is gone.
    """

    status: Literal["ok", "error", "interrupted", "killed"]
    stdout: str = ""
    stderr: str = ""
    value: str = ""
    error: str = ""
    images: list[Pixels] = field(default_factory=list)
    killed_because: str = ""


class Session:
    """One interpreter.

    Attributes:
        number: its number within its zygote.
        process: its process.
        is_open: False once it was closed or is known to have ended.
        on_close: called once, when it closes.
    """

    def __init__(self, zygote: ZygoteClient, number: int, limits: Limits):
        self.number, self.is_open = number, True
        self.on_close: Callable[[], None] | None = None
        self._zygote, self._limits = zygote, limits
        self._writer: asyncio.StreamWriter | None = None
        self._calls = 0
        self._turn = asyncio.Lock()
        self._deadline: Deadline | None = None
        self._answer_bytes = _TEXTS * (limits.output_chars + _NOTE_BYTES) + 4 * limits.image_pixels

    async def start(self) -> Session:
        """Have it forked, and wait until its walls are up.

        Raises:
            ToolUnavailable: it did not come up.
        """
        ours, theirs = socket.socketpair()
        self.process = self._zygote.start_session(self.number, theirs)
        self._reader, self._writer = await asyncio.open_unix_connection(sock=ours, limit=_READ_AHEAD)
        try:
            await asyncio.wait_for(self._receive(), SESSION_START_SECONDS)
            if not await asyncio.wait_for(self.process.begun, SESSION_START_SECONDS):
                raise OSError("there is no descriptor left for a handle of it")
        except (asyncio.TimeoutError, asyncio.IncompleteReadError, FrameError, OSError) as error:
            self.close()
            why = self._zygote.last_words().splitlines()[-1]
            raise ToolUnavailable(f"an interpreter did not start: {error!r} ({why})") from error
        except BaseException:
            self.close()
            raise
        return self

    async def run(
        self, code: str, seconds: float, images: Mapping[str, Pixels] | None = None, latest: float | None = None
    ) -> Result:
        """Run ``code``, for ``seconds`` at most; the session ends if it cannot be stopped after that.

        Between calls it is stopped: its threads run while a call does.

        Args:
            code: Python source.
            seconds: of its own time, see ``session_process.own_seconds``.
            images: to be bound to these names first, as PIL images.
            latest: by the event loop's clock, when it is interrupted even if it has not had its time.

        Raises:
            ToolUnavailable: the session was lost through no doing of its code, other processes kept it from running
                until ``latest``, or its disk is full.
        """
        async with self._turn:
            if not self.is_open:
                raise ToolUnavailable("the interpreter was closed")
            self._calls += 1
            self._was_starved = False
            self.process.send(signal.SIGCONT)
            self._deadline = Deadline(self.process, seconds, latest, self._interrupt)
            try:
                result = await self._call(code, images or {})
            except (asyncio.IncompleteReadError, OSError):
                return await self._how_it_ended()
            except FrameError as error:
                self.close()
                return Result("killed", killed_because=f"it sent {error} in place of an answer")
            except asyncio.CancelledError:
                self.close()
                raise
            finally:
                self._deadline.cancel()
                self._deadline = None
            self.process.send(signal.SIGSTOP)
            if result.status == "interrupted" and self._was_starved:
                raise ToolUnavailable(BUSY)
            if self._zygote.disk_is_full:
                raise ToolUnavailable("the disk that interpreters' files are on is full")
            return result

    @property
    def is_alive(self) -> bool:
        """Whether it is open and its process has not been seen to end."""
        return self.is_open and not self.process.ended.done()

    def close(self) -> None:
        """Kill the session; a second time has no effect."""
        if not self.is_open:
            return
        self.is_open = False
        self.process.kill("closed")
        if self._writer is not None:
            self._writer.transport.abort()
        if self.on_close is not None:
            self.on_close()

    def interrupt(self) -> None:
        """End the running call, if there is one, as if its time were over."""
        if self._turn.locked() and self._deadline is not None:
            self._deadline.cancel()
            self._interrupt(was_starved=False)

    def _interrupt(self, was_starved: bool) -> None:
        self._was_starved = was_starved
        self.process.send(signal.SIGINT)
        latest = asyncio.get_running_loop().time() + MOST_GRACE * GRACE_SECONDS
        self._deadline = Deadline(self.process, GRACE_SECONDS, latest, self._stop)

    def _stop(self, _: bool) -> None:
        # Kept from stopping or not: it has had its time, if it was not kept from that.
        self.process.kill("busy" if self._was_starved else "time")

    async def _call(self, code: str, images: Mapping[str, Pixels]) -> Result:
        pixels = list(images.values())
        header = {"call": self._calls, "names": list(images), "images": frames.image_headers(pixels)}
        blobs = [code.encode("utf-8", "replace"), *(image.data for image in pixels)]
        assert self._writer is not None, "open comes first"
        self._writer.write(frames.pack(header, blobs))
        await self._writer.drain()
        return await self._answer()

    async def _answer(self) -> Result:
        try:
            return self._read(*await self._receive())
        except (asyncio.IncompleteReadError, OSError, FrameError):
            raise
        except Exception as error:  # an honest session sends nothing that breaks the reading of it
            raise FrameError(f"a frame that cannot be read ({type(error).__name__})") from error

    def _read(self, answer: dict, blobs: list[bytes]) -> Result:
        if answer.get("call") != self._calls or answer.get("status") not in ("ok", "error", "interrupted"):
            raise FrameError("an answer to another call")
        longest = self._limits.output_chars + _NOTE_BYTES
        if not _TEXTS <= len(blobs) <= _TEXTS + self._limits.images or max(map(len, blobs[:_TEXTS])) > longest:
            raise FrameError("more than was asked for")
        shown = frames.images(answer.get("images"), blobs[_TEXTS:], self._limits.image_pixels)
        texts = [text.decode("utf-8", "replace") for text in blobs[:_TEXTS]]
        stdout, stderr, value, error = texts
        return Result(answer["status"], stdout, stderr, value, error, shown)

    async def _receive(self) -> tuple[dict, list[bytes]]:
        length = frames.header_length(await self._reader.readexactly(frames.LENGTH.size))
        header, sizes = frames.read_header(await self._reader.readexactly(length), self._answer_bytes)
        body = memoryview(await self._reader.readexactly(sum(sizes)))
        ends = list(itertools.accumulate(sizes))
        return header, [bytes(body[end - size : end]) for end, size in zip(ends, sizes, strict=True)]

    async def _how_it_ended(self) -> Result:
        """The connection broke: find out why.

        Raises:
            ToolUnavailable: not by its code's doing.
        """
        try:
            # Not killed at once: a session that dies closes its connection before the zygote can see it dead.
            ended = await asyncio.wait_for(asyncio.shield(self.process.ended), GRACE_SECONDS)
        except asyncio.TimeoutError:
            self.process.kill("hung up")
            ended = await self.process.ended
        self.close()
        if ended.cause == "zygote":
            raise ToolUnavailable("the process that all interpreters come from has died")
        if ended.cause == "busy":
            raise ToolUnavailable(BUSY)
        if ended.cause == "memory":
            raise ToolUnavailable("all interpreters together held more memory than they may, and this one most of it")
        limits = self._limits
        if ended.cause == "time":
            why = f"the code did not stop within {GRACE_SECONDS:g} seconds of being interrupted"
        elif ended.cause == "disk":
            why = f"it had written more than {limits.scratch_mb} MB"
        elif ended.cause == "hung up":
            why = "the code closed its connection"
        elif ended.signal == signal.SIGXCPU or ended.cpu_seconds >= limits.cpu_seconds:
            why = f"its {limits.cpu_seconds} seconds of CPU time are used up"
        elif ended.signal == signal.SIGKILL and ended.cause is None:
            # It cannot send itself that signal: see syscalls.conditional.
            raise ToolUnavailable("the interpreter was killed from outside")
        elif ended.signal:
            why = f"it crashed ({_name(ended.signal)})"
        else:
            why = "the code ended it"
        return Result("killed", killed_because=why)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # the real-time signals between the first and the last have none
        return f"signal {number}"
