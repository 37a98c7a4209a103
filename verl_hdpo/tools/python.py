"""``python`` ``{code}``: an interpreter per trajectory, in a sandbox."""

from __future__ import annotations

import functools
from typing import Any

from PIL import Image
from verl.tools.base_tool import BaseTool
from verl.tools.schemas import OpenAIFunctionToolSchema, ToolResponse
from verl.utils.rollout_trace import rollout_trace_op

from verl_hdpo.settings.tool import read_settings
from verl_hdpo.tools.arguments import check_names
from verl_hdpo.tools.conversation_images import ConversationImage, conversation_images
from verl_hdpo.tools.failures import BadCall, ToolUnavailable
from verl_hdpo.tools.io_loop import on_io_loop, wait_on_io_loop
from verl_hdpo.tools.sandbox.display import pixels_of_image
from verl_hdpo.tools.sandbox.frames import Pixels
from verl_hdpo.tools.sandbox.isolation import Isolation, start_zygote
from verl_hdpo.tools.sandbox.limits import Limits
from verl_hdpo.tools.sandbox.pool import SandboxPool
from verl_hdpo.tools.sandbox.session import GRACE_SECONDS, MOST_GRACE
from verl_hdpo.tools.sandbox.settings import PythonSettings
from verl_hdpo.tools.sandbox.trajectories import Answer, ImageSource, TrajectorySessions
from verl_hdpo.tools.sandbox.zygote_client import START_SECONDS
from verl_hdpo.tools.schema import text_schema
from verl_hdpo.tools.server.needs import Needs

MAX_CODE_CHARS = 100_000

DESCRIPTION = (
    "Run Python in a session that keeps its variables. What the code prints, the value of its last expression, shown "
    "images and matplotlib figures come back. The images of the conversation are PIL images image_1, image_2, ..."
)


class PythonTool(BaseTool):
    """Runs model code; see ``verl_hdpo.tools.sandbox.trajectories``.

    verl creates and releases a tool instance per call; a trajectory is told by its ``AgentData``, which verl passes to
    every call and drops when the trajectory ends. Without one, the session lasts as long as the instance.

    Raises:
        SandboxRefused: nothing isolates model code here, and ``allow_unsandboxed`` is not set.
    """

    server_needs = Needs(images=True)

    def __init__(self, config: dict[str, Any], tool_schema: OpenAIFunctionToolSchema | None = None):
        settings = read_settings(PythonSettings, config, "python")
        _require_isolation(settings.isolation, settings.allow_unsandboxed)
        self._settings = settings
        self.ends_within = settings.wait_seconds + settings.timeout + MOST_GRACE * GRACE_SECONDS
        self._sessions: TrajectorySessions | None = None
        self._instances: dict[str, _Instance] = {}
        super().__init__(
            config, tool_schema or text_schema(settings.name or "python", DESCRIPTION, code="Python source code")
        )

    async def create(self, instance_id: str | None = None, **kwargs: Any) -> tuple[str, ToolResponse]:
        instance_id, response = await super().create(instance_id, **kwargs)
        self._instances[instance_id] = _Instance()
        return instance_id, response

    @rollout_trace_op
    async def execute(
        self, instance_id: str, parameters: dict[str, Any], **kwargs: Any
    ) -> tuple[ToolResponse, float, dict]:
        """Raises BadCall for arguments, ToolUnavailable when the sandbox is down; the code's own errors are text."""
        check_names(parameters, {"code"})
        code = parameters.get("code")
        if not isinstance(code, str) or not code.strip():
            raise BadCall("'code' must be Python source code")
        if len(code) > MAX_CODE_CHARS:
            raise BadCall(f"'code' is {len(code)} characters long, at most {MAX_CODE_CHARS} are allowed")
        agent_data = kwargs.get("agent_data")
        trajectory = self._instances[instance_id] if agent_data is None else agent_data
        sources = [functools.partial(_pixels, image) for image in conversation_images(agent_data)]
        answer = await on_io_loop(self._run(trajectory, code, sources))
        images = [Image.frombytes(mode, (width, height), data) for mode, width, height, data in answer.result.images]
        text = answer_text(answer, self._settings.timeout)
        return ToolResponse(text=text, **({"image": images} if images else {})), 0.0, {}

    async def release(self, instance_id: str, **kwargs: Any) -> None:
        self._instances.pop(instance_id, None)

    async def _run(self, trajectory: object, code: str, images: list[ImageSource]) -> Answer:
        if self._sessions is None:
            self._sessions = TrajectorySessions(SandboxPool(self._settings), self._settings.idle_seconds)
        return await self._sessions.run(trajectory, code, self._settings.timeout, images)


class _Instance:
    """Stands for a trajectory where there is no ``AgentData``."""


@functools.cache
def _require_isolation(isolation: Isolation, allow_unsandboxed: bool) -> None:
    """Fail before training starts rather than at the first call."""

    async def try_it() -> None:
        zygote = await start_zygote(isolation, allow_unsandboxed, Limits(), modules=())
        await zygote.close()

    wait_on_io_loop(try_it(), START_SECONDS)


def answer_text(answer: Answer, timeout: float) -> str:
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
