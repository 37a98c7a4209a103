"""``python`` ``{code}``: an interpreter per trajectory in a sandbox, or a service that runs programs."""

from __future__ import annotations

import functools
from typing import Any

from PIL import Image

from verl_hdpo.tools.arguments import check_names
from verl_hdpo.tools.base import Answer, Call, Tool
from verl_hdpo.tools.conversation_images import ConversationImage
from verl_hdpo.tools.failures import BadCall, ToolUnavailable
from verl_hdpo.tools.io_loop import on_io_loop, wait_on_io_loop
from verl_hdpo.tools.sandbox import code_runner
from verl_hdpo.tools.sandbox.code_runner import CodeRunner
from verl_hdpo.tools.sandbox.display import pixels_of_image
from verl_hdpo.tools.sandbox.frames import Pixels
from verl_hdpo.tools.sandbox.pool import SandboxPool
from verl_hdpo.tools.sandbox.settings import PythonSettings
from verl_hdpo.tools.sandbox.trajectories import TrajectorySessions
from verl_hdpo.tools.sandbox.zygote_client import ZYGOTE_START_SECONDS
from verl_hdpo.tools.schema import Signature
from verl_hdpo.tools.server.needs import Needs

MAX_CODE_CHARS = 100_000

CODE = "Python source code"
SESSION = (
    "Run Python in a session that keeps its variables. What the code prints, the value of its last expression, shown "
    "images and matplotlib figures come back. The images of the conversation are PIL images image_1, image_2, ..."
)
PROGRAM = (
    "Run Python. Every call starts anew, without variables and files of the calls before. What the code prints and the "
    "value of its last expression come back. The images of the conversation are PIL images image_1, image_2, ..."
)


class PythonTool(Tool):
    """Runs model code, in sessions of this machine or by a service elsewhere. The code's own errors are text.

    Raises:
        SandboxRefused: nothing isolates model code here, and ``allow_unsandboxed`` is not set.
        ConnectionError: the service does not run code.
    """

    kind = "python"
    settings_class = PythonSettings
    signature = Signature.of_texts("python", SESSION, code=CODE)
    server_needs = Needs(images=True)

    def prepare(self, settings: PythonSettings) -> None:
        self._timeout = settings.timeout
        self._runner: CodeRunner
        if settings.runner is None:
            self._runner = TrajectorySessions(SandboxPool(settings), settings.idle_seconds)
        else:
            from verl_hdpo.tools.sandbox.sandbox_fusion import SandboxFusion  # needs httpx, which sessions do not

            self._runner = SandboxFusion(settings.runner, settings.limits, settings.wait_seconds)
            self.signature = Signature.of_texts("python", PROGRAM, code=CODE)
        wait_on_io_loop(self._runner.start(), ZYGOTE_START_SECONDS)
        self.ends_within = settings.wait_seconds + settings.timeout + self._runner.extra_seconds

    async def answer(self, arguments: Any, call: Call) -> Answer:
        check_names(arguments, {"code"})
        code = arguments.get("code")
        if not isinstance(code, str) or not code.strip():
            raise BadCall("'code' must be Python source code")
        if len(code) > MAX_CODE_CHARS:
            raise BadCall(f"'code' is {len(code)} characters long, at most {MAX_CODE_CHARS} are allowed")
        sources = [functools.partial(_pixels, image) for image in call.images]
        ran = await on_io_loop(self._runner.run(call.trajectory, code, self._timeout, sources))
        images = [Image.frombytes(mode, (width, height), data) for mode, width, height, data in ran.result.images]
        return Answer(answer_text(ran, self._timeout, self._runner.keeps_variables), images)


def answer_text(ran: code_runner.Answer, timeout: float, keeps_variables: bool = True) -> str:
    """What the model reads: output, value and error, in that order."""
    result = ran.result
    parts = [result.stdout, result.stderr, result.value, result.error]
    if ran.is_new_interpreter:
        parts.insert(0, "[This is a new interpreter: variables of earlier calls are gone.]")
    if result.status == "interrupted":
        kept = " Variables are kept." if keeps_variables else ""
        parts.append(f"[The code was interrupted after {timeout:g} seconds.{kept}]")
    elif result.status == "killed":
        parts.append(f"[The interpreter is gone, and its variables with it: {result.killed_because}.]")
    return "\n".join(part.rstrip("\n") for part in parts if part) or "[no output]"


def _pixels(found: ConversationImage) -> Pixels:
    image = found.image
    if image is None:
        kind = type(found.part.get("image")).__name__
        raise ToolUnavailable(f"python: an image of the conversation is {kind}, not a PIL image")
    try:
        return pixels_of_image(image)
    except (OSError, ValueError) as error:
        raise ToolUnavailable(f"python: an image of the conversation cannot be read: {error}") from error
