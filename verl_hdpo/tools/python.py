"""``python`` ``{code}``: an interpreter per trajectory, in a sandbox."""

from __future__ import annotations

import functools
from typing import Any

from PIL import Image

from verl_hdpo.tools.arguments import check_names
from verl_hdpo.tools.base import Answer, Call, Tool
from verl_hdpo.tools.conversation_images import ConversationImage
from verl_hdpo.tools.failures import BadCall, ToolUnavailable
from verl_hdpo.tools.io_loop import on_io_loop, wait_on_io_loop
from verl_hdpo.tools.sandbox.display import pixels_of_image
from verl_hdpo.tools.sandbox.frames import Pixels
from verl_hdpo.tools.sandbox.isolation import Isolation, start_zygote
from verl_hdpo.tools.sandbox.limits import Limits
from verl_hdpo.tools.sandbox.pool import SandboxPool
from verl_hdpo.tools.sandbox.session import GRACE_SECONDS, MOST_GRACE
from verl_hdpo.tools.sandbox.settings import PythonSettings
from verl_hdpo.tools.sandbox.trajectories import Answer as SandboxAnswer
from verl_hdpo.tools.sandbox.trajectories import ImageSource, TrajectorySessions
from verl_hdpo.tools.sandbox.zygote_client import START_SECONDS
from verl_hdpo.tools.schema import Signature
from verl_hdpo.tools.server.needs import Needs

MAX_CODE_CHARS = 100_000

DESCRIPTION = (
    "Run Python in a session that keeps its variables. What the code prints, the value of its last expression, shown "
    "images and matplotlib figures come back. The images of the conversation are PIL images image_1, image_2, ..."
)


class PythonTool(Tool):
    """Runs model code; see ``verl_hdpo.tools.sandbox.trajectories``. The code's own errors are text.

    Raises:
        SandboxRefused: nothing isolates model code here, and ``allow_unsandboxed`` is not set.
    """

    kind = "python"
    settings_class = PythonSettings
    signature = Signature.of_texts("python", DESCRIPTION, code="Python source code")
    server_needs = Needs(images=True)

    def prepare(self, settings: PythonSettings) -> None:
        _require_isolation(settings.isolation, settings.allow_unsandboxed)
        self._settings = settings
        self.ends_within = settings.wait_seconds + settings.timeout + MOST_GRACE * GRACE_SECONDS
        self._sessions: TrajectorySessions | None = None

    async def answer(self, arguments: Any, call: Call) -> Answer:
        check_names(arguments, {"code"})
        code = arguments.get("code")
        if not isinstance(code, str) or not code.strip():
            raise BadCall("'code' must be Python source code")
        if len(code) > MAX_CODE_CHARS:
            raise BadCall(f"'code' is {len(code)} characters long, at most {MAX_CODE_CHARS} are allowed")
        sources = [functools.partial(_pixels, image) for image in call.images]
        answer = await on_io_loop(self._run(call.trajectory, code, sources))
        images = [Image.frombytes(mode, (width, height), data) for mode, width, height, data in answer.result.images]
        return Answer(answer_text(answer, self._settings.timeout), images)

    async def _run(self, trajectory: object, code: str, images: list[ImageSource]) -> SandboxAnswer:
        if self._sessions is None:
            self._sessions = TrajectorySessions(SandboxPool(self._settings), self._settings.idle_seconds)
        return await self._sessions.run(trajectory, code, self._settings.timeout, images)


@functools.cache
def _require_isolation(isolation: Isolation, allow_unsandboxed: bool) -> None:
    """Fail before training starts rather than at the first call."""

    async def try_it() -> None:
        zygote = await start_zygote(isolation, allow_unsandboxed, Limits(), modules=())
        await zygote.close()

    wait_on_io_loop(try_it(), START_SECONDS)


def answer_text(answer: SandboxAnswer, timeout: float) -> str:
    """What the model reads: output, value and error, in that order."""
    result = answer.result
    parts = [result.stdout, result.stderr, result.value, result.error]
    if answer.is_new_interpreter:
        parts.insert(0, "[This is a new interpreter: variables of earlier calls are gone.]")
    if result.status == "interrupted":
        parts.append(f"[The code was interrupted after {timeout:g} seconds. Variables are kept.]")
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
