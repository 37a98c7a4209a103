"""A SandboxFusion service (github.com/bytedance/SandboxFusion): ``POST /run_code`` runs a program and forgets it.

Nothing is kept between calls. The program that is sent runs the model's code like a notebook cell, so that the value of
the last expression and the traceback look as they do in a session.
"""

from __future__ import annotations

import asyncio
import base64
import io
import weakref
from collections.abc import Sequence
from typing import Any

import httpx
from PIL import Image
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay

from verl_hdpo.tools.backoff import Backoff
from verl_hdpo.tools.failures import ToolUnavailable
from verl_hdpo.tools.io_loop import in_thread
from verl_hdpo.tools.sandbox.captured_text import cut, cut_head
from verl_hdpo.tools.sandbox.code_runner import Answer, ImageSource
from verl_hdpo.tools.sandbox.limits import Limits
from verl_hdpo.tools.sandbox.session import Result
from verl_hdpo.tools.sandbox.settings import ServiceSettings
from verl_hdpo.tools.search.provider import ProviderError, TransientError
from verl_hdpo.tools.search.web_request import request_json

EXTRA_SECONDS = 15.0
"""For the service to start the program, and for both ways."""

TRIAL_SECONDS = 60.0

PROGRAM = """\
import ast, linecache, sys, traceback
source = {source}
names = {{"__name__": "__main__", "__builtins__": __builtins__}}
try:
    from PIL import Image
    for number in range(1, {images} + 1):
        names[f"image_{{number}}"] = Image.open(f"image_{{number}}.png")
except ImportError:
    pass
linecache.cache["<call>"] = (len(source), None, source.splitlines(keepends=True), "<call>")
try:
    tree = ast.parse(source, "<call>")
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<call>", "exec"), names)
    if last is not None:
        value = eval(compile(ast.Expression(last.value), "<call>", "eval"), names)
        if value is not None:
            print(repr(value))
except BaseException as error:
    here = (__file__, ast.__file__)
    while error.__traceback__ and error.__traceback__.tb_frame.f_code.co_filename in here:
        error = error.with_traceback(error.__traceback__.tb_next)
    sys.stdout.flush()
    traceback.print_exception(type(error), error, error.__traceback__)
    sys.exit(1)
"""


class SandboxFusion:
    """A ``CodeRunner``.

    Args:
        service: where it is.
        limits: ``memory_mb`` is sent along; ``output_chars`` cuts what comes back.
        wait_seconds: how long a call waits for a place and for a service that is busy.
    """

    keeps_variables = False
    extra_seconds = EXTRA_SECONDS

    def __init__(self, service: ServiceSettings, limits: Limits, wait_seconds: float):
        self._url = service.url.rstrip("/").removesuffix("/run_code") + "/run_code"
        self._limits, self._wait_seconds = limits, wait_seconds
        self._places = asyncio.Semaphore(service.max_running)
        self._requests: weakref.WeakKeyDictionary[object, set[asyncio.Task]] = weakref.WeakKeyDictionary()

    async def start(self) -> None:
        """Run a first program.

        Raises:
            ConnectionError: the service does not run it.
        """
        try:
            result = await self._run("print(6 * 7)", {}, TRIAL_SECONDS, TRIAL_SECONDS)
        except ToolUnavailable as error:
            raise ConnectionError(f"python: no code can run at {self._url}: {error}") from error
        if result.stdout != "42\n":
            raise ConnectionError(f"python: {self._url} does not run Python; a first program came to {result}")

    async def run(self, trajectory: object, code: str, seconds: float, images: Sequence[ImageSource] = ()) -> Answer:
        encoded = await asyncio.gather(*(in_thread(_png, image) for image in images))
        files = {f"image_{number}.png": data for number, data in enumerate(encoded, 1)}
        program = PROGRAM.format(source=ascii(code.encode("utf-8", "replace").decode()), images=len(files))
        request = asyncio.ensure_future(self._run(program, files, seconds, self._wait_seconds))
        running = self._requests.setdefault(trajectory, set())
        running.add(request)
        try:
            await asyncio.wait({request})
            return Answer(Result("interrupted") if request.cancelled() else request.result())
        finally:
            request.cancel()
            running.discard(request)

    async def interrupt(self, trajectory: object) -> None:
        for request in self._requests.get(trajectory, ()):
            request.cancel()

    async def close(self) -> None:
        for running in list(self._requests.values()):
            for request in running:
                request.cancel()

    async def _run(self, program: str, files: dict[str, str], seconds: float, patience: float) -> Result:
        body = {
            "code": program, "language": "python", "run_timeout": seconds, "compile_timeout": seconds, "stdin": "",
            "files": files, "memory_limit_MB": self._limits.memory_mb,
        }  # fmt: skip
        tries = AsyncRetrying(
            retry=retry_if_exception_type(TransientError),
            stop=stop_after_delay(patience),
            wait=Backoff(0.5, 10.0),
            reraise=True,
        )
        timeout = httpx.Timeout(seconds + EXTRA_SECONDS)
        last: Exception | None = None

        async def ask() -> Any:
            nonlocal last
            async with self._places:
                try:
                    return await request_json("POST", self._url, json=body, timeout=timeout)
                except TransientError as error:
                    last = error
                    raise

        try:
            found: Any = await asyncio.wait_for(tries(ask), patience + seconds + EXTRA_SECONDS)
        except (TransientError, ProviderError, asyncio.TimeoutError) as error:
            reason = last if isinstance(error, asyncio.TimeoutError) else error
            raise ToolUnavailable(f"the service that runs code gave no answer: {reason or 'no place'}") from error
        return self._result(found)

    def _result(self, found: Any) -> Result:
        try:
            status, ran = found["status"], found["run_result"]
            if status not in ("Success", "Failed") or ran is None:
                raise ToolUnavailable(f"the service that runs code failed: {str(found.get('message'))[:200]}")
            stdout, stderr = (str(ran[name] or "").encode("utf-8", "replace") for name in ("stdout", "stderr"))
            timed_out, code = ran["status"] == "TimeLimitExceeded", ran["return_code"]
        except (KeyError, TypeError, AttributeError) as error:
            raise ToolUnavailable(f"the service that runs code sent JSON of another shape: {error!r}") from error
        most = self._limits.output_chars
        result = Result(
            "interrupted" if timed_out else "ok" if code == 0 else "error",
            stdout=cut(stdout, most).decode("utf-8", "replace"),
            stderr=cut_head(stderr, most).decode("utf-8", "replace"),
        )
        if not timed_out and code not in (0, 1):
            result.error = f"The program ended with return code {code}."
        return result


def _png(image: ImageSource) -> str:
    mode, width, height, data = image()
    encoded = io.BytesIO()
    Image.frombytes(mode, (width, height), data).save(encoded, "PNG")
    return base64.b64encode(encoded.getvalue()).decode()
