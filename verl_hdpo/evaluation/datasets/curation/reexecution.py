"""``Reexecution``: the code of a trajectory is run again, in the sandbox, and must say what it said."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

from PIL import Image

from verl_hdpo.evaluation.datasets.curation.trajectory import Step, Trajectory
from verl_hdpo.evaluation.datasets.curation.verdict import KEEP, Verdict
from verl_hdpo.tools.failures import ToolUnavailable
from verl_hdpo.tools.sandbox.display import pixels_of_image
from verl_hdpo.tools.sandbox.frames import Pixels
from verl_hdpo.tools.sandbox.pool import SandboxPool
from verl_hdpo.tools.sandbox.session import Result
from verl_hdpo.tools.sandbox.settings import PythonSettings
from verl_hdpo.tools.sandbox.trajectories import TrajectorySessions

ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}\b")
DETAIL_CHARS = 400


class _Session:
    """What an interpreter lives as long as."""


class Reexecution:
    """Drops rows whose code fails, or prints or shows something else than the trajectory says.

    Args:
        settings: of the sandbox.
    """

    name, needs = "reexecute", "code to run; leave out --reexecute"

    def __init__(self, settings: PythonSettings):
        self._settings = settings
        self._runner = TrajectorySessions(SandboxPool(settings), settings.idle_seconds)
        self._started = False
        self.made_of = f"{settings.timeout:g} s"

    async def __call__(self, row: Trajectory) -> Verdict:
        if not self._started:
            await self._runner.start()
            self._started = True
        session = _Session()
        for number, step in enumerate(row.steps()):
            try:
                ran = await self._runner.run(
                    session, step.code, self._settings.timeout, [_source(data) for data in row.images[: step.images]]
                )
            except ToolUnavailable as error:
                return Verdict("unknown", "the sandbox gave no answer", str(error))
            if ran.result.status != "ok":
                said = ran.result.error or ran.result.killed_because or ran.result.status
                return Verdict("drop", "its code fails", f"call {number}: {said[-DETAIL_CHARS:]}")
            if why := _differs(ran.result, step):
                return Verdict("drop", "its code says something else", f"call {number}: {why}")
        return KEEP

    def concerns(self, row: Trajectory) -> bool:
        return any(True for _ in row.steps())

    async def close(self) -> None:
        await self._runner.close()


def _source(data: bytes) -> Callable[[], Pixels]:
    def pixels() -> Pixels:
        with Image.open(io.BytesIO(data)) as image:
            return pixels_of_image(image)

    return pixels


def _differs(result: Result, step: Step) -> str:
    """In what a result differs from the trajectory's; empty if in nothing that can be compared."""
    if step.shown is not None and len(result.images) != step.shown:
        return f"{len(result.images)} images, and the trajectory has {step.shown}"
    for part in (result.stdout, "" if result.images else result.value):  # a shown image's value is only its repr
        if (text := _plain(part)) and text not in _plain(step.seen):
            return f"{text[:DETAIL_CHARS]!r}, and the trajectory has {_plain(step.seen)[:DETAIL_CHARS]!r}"
    return ""


def _plain(text: str) -> str:
    """Without what differs from run to run, and in one line."""
    return " ".join(ADDRESS.sub("0x", text).split())
