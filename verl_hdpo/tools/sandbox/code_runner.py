"""``CodeRunner``: what the python tool asks to run code, be it sessions of this machine or a service elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from verl_hdpo.tools.sandbox.frames import Pixels
from verl_hdpo.tools.sandbox.session import Result

ImageSource = Callable[[], Pixels]
"""Makes an image's pixels; called in a thread."""


@dataclass
class Answer:
    """``result`` of a call, and whether the interpreter of the calls before it was gone."""

    result: Result
    is_new_interpreter: bool = False


class CodeRunner(Protocol):
    """Runs the code of many trajectories; its methods belong to one event loop.

    Attributes:
        keeps_variables: whether a trajectory's calls share an interpreter.
        extra_seconds: that a call may take beyond its time and the wait for its turn.
    """

    keeps_variables: bool
    extra_seconds: float

    async def start(self) -> None:
        """Find out, before training starts, whether code can run.

        Raises:
            RuntimeError, OSError: it cannot; the message says why.
        """

    async def run(self, trajectory: object, code: str, seconds: float, images: Sequence[ImageSource] = ()) -> Answer:
        """Run ``code``.

        Args:
            trajectory: any hashable object that lives as long as the trajectory.
            code: Python source.
            seconds: that it may take.
            images: all the trajectory's images so far, which the code finds as ``image_1``, ``image_2``, ...

        Raises:
            ToolUnavailable: there is no answer, through no doing of the code.
        """

    async def interrupt(self, trajectory: object) -> None:
        """End the trajectory's running call, if there is one, as if its time were over."""

    async def close(self) -> None:
        """End everything, and wait until nothing is left."""
