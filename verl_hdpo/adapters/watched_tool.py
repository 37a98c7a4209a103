"""``WatchedTool``: what verl's ``_call_tool`` hides of a call, and nothing of a tool that would end the rollout."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import wrapt
from PIL import Image
from torch import Tensor
from verl.tools.function_tool import normalize_function_tool_return
from verl.tools.schemas import ToolResponse

from verl_hdpo.tools.failures import EndsRun, ToolUnavailable

logger = logging.getLogger(__name__)

IMAGES = (Image.Image, np.ndarray, Tensor, type(None))
"""What processors take of a tool's images; a path or a URL they would open. verl leaves out None."""


@dataclass
class CallNotes:
    """What is known of one call.

    Attributes:
        returned: the tool answered.
        unavailable: it raised ``ToolUnavailable``.
        broken: what is wrong with the tool's code.
        release_failed: its instance could not be released.
        stopped: the loop has cancelled the call.
    """

    returned: bool = False
    unavailable: bool = False
    broken: EndsRun | None = None
    release_failed: bool = False
    stopped: bool = False


# Calls of one turn run concurrently, each in the context of its own task (asyncio.gather in verl's
# _handle_processing_tools_state), so a tool shared by all of them can still tell whose call it is serving.
NOTES: ContextVar[CallNotes] = ContextVar("verl_hdpo_tool_call")


class WatchedTool(wrapt.ObjectProxy):
    """The same tool, with ``NOTES`` of its calls.

    A transparent proxy: state stays in the tool, and ``isinstance(tool, FunctionTool)`` holds as before.

    - What ``execute`` returns is checked here: verl takes the wrong thing for the model's mistake, or ends in an error
      after the call. Such a tool never works, and where the rollouts that call it are lost those that call none are
      trained on alone, so it ends the run.
    - A failed ``release`` is logged and counted: the answer is there, and stays the call's.
    - ``SystemExit`` and other ``BaseException``s become ordinary ones, and fail the call like any exception: code of
      the model that a tool runs may raise them. verl would lose the rollout, and asyncio its event loop. In the main
      thread ``KeyboardInterrupt`` is the user's Ctrl-C and goes through.
    - A ``CancelledError`` that the loop did not send means that the tool's own connections were cancelled. That is not
      the model's doing, so the tool is unavailable.
    """

    async def call(self, parameters: dict[str, Any]) -> Any:
        with _noted(returned=True):
            result = await self.__wrapped__.call(parameters)
            if any(is_unrun(result) for is_unrun in (inspect.isawaitable, inspect.isgenerator, inspect.isasyncgen)):
                raise self._broken(f"it returns a {_described(result)}, which verl would show to the model as it is")
            try:
                return self._checked(normalize_function_tool_return(result))
            except (TypeError, ValueError) as error:
                raise self._broken(str(error)) from error

    async def create(self, *args: Any, **kwargs: Any) -> Any:
        with _noted(returned=False):
            result = await self._awaitable("create", *args, **kwargs)
            if not isinstance(result, tuple | list) or len(result) != 2:
                raise self._broken(f"create must return (instance_id, ToolResponse), found {_described(result)}")
            return result

    async def execute(self, *args: Any, **kwargs: Any) -> Any:
        with _noted(returned=True):
            return self._checked(await self._awaitable("execute", *args, **kwargs))

    async def release(self, *args: Any, **kwargs: Any) -> Any:
        notes = NOTES.get()
        try:
            with _contained(notes):
                return await self.__wrapped__.release(*args, **kwargs)
        except Exception:
            notes.release_failed = True
            logger.warning("the tool %s could not release an instance", self.name, exc_info=True)

    def _awaitable(self, method: str, *args: Any, **kwargs: Any) -> Any:
        result = getattr(self.__wrapped__, method)(*args, **kwargs)
        if not inspect.isawaitable(result):
            raise self._broken(f"{method} must be an async function")
        return result

    def _checked(self, result: Any) -> tuple[ToolResponse, Any, Any]:
        match result:
            case (ToolResponse() as response, reward, metrics) if reward is None or isinstance(reward, Real):
                if response.video:
                    raise self._broken("it returns a video, and verl's tool loop takes only texts and images")
                if not isinstance(response.text, str | None):
                    raise self._broken(f"the text of its ToolResponse must be a str, found {_described(response.text)}")
                for image in response.image or ():
                    if not isinstance(image, IMAGES):
                        raise self._broken(f"its images must be PIL images or arrays, found {_described(image)}")
                return response, reward, metrics
        raise self._broken(f"execute must return (ToolResponse, reward, metrics), found {_described(result)}")

    def _broken(self, problem: str) -> EndsRun:
        code = getattr(self.__wrapped__, "fn", type(self.__wrapped__))
        return EndsRun(f"the tool {self.name!r} ({code.__module__}.{code.__qualname__}) is broken: {problem}")


@contextmanager
def _noted(returned: bool) -> Iterator[None]:
    notes = NOTES.get()
    try:
        with _contained(notes):
            yield
    except ToolUnavailable:
        notes.unavailable = True
        raise
    except EndsRun as error:
        notes.broken = error
        raise
    notes.returned = returned


@contextmanager
def _contained(notes: CallNotes) -> Iterator[None]:
    try:
        yield
    except asyncio.CancelledError:
        if notes.stopped:
            raise
        raise ToolUnavailable("the call was cancelled from within the tool") from None
    except GeneratorExit:
        raise
    except Exception as error:
        try:
            str(error)  # verl does so where nothing catches what that raises
        except Exception:
            raise RuntimeError(type(error).__name__) from error
        raise
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
            raise
        raise RuntimeError(f"{type(error).__name__} {error}".strip()) from error


def _described(result: Any) -> str:
    if isinstance(result, tuple | list):
        return f"({', '.join(type(one).__name__ for one in result)})"
    return type(result).__name__
