"""The tools of a verl tool yaml, as a tool server runs them: the very classes that a training worker would make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic_core import to_jsonable_python
from verl.tools.base_tool import BaseTool
from verl.tools.schemas import ToolResponse

from verl_hdpo.adapters.tool_loading import load_tools, read_tool_yaml
from verl_hdpo.adapters.watched_tool import NOTES, CallNotes, WatchedTool
from verl_hdpo.settings.tool import read_settings
from verl_hdpo.tools.base import Tool
from verl_hdpo.tools.failures import EndsRun, ToolUnavailable
from verl_hdpo.tools.io_loop import in_thread
from verl_hdpo.tools.server.conversation import Conversation
from verl_hdpo.tools.server.messages import CallResult, SentImage
from verl_hdpo.tools.server.sessions import ServedTool
from verl_hdpo.tools.server.settings import ServerSettings
from verl_hdpo.tools.valid_text import valid_text, valid_texts


def load_served_tools(path: Path) -> tuple[list[ServedTool], ServerSettings]:
    """The tools of a yaml, and the settings in its ``server``, of which verl takes no notice.

    Raises:
        ToolConfigError: a bad setting, or tools that cannot be loaded.
        Exception: what a tool raises when it cannot start.
    """
    settings = read_settings(ServerSettings, read_tool_yaml(str(path)).get("server"), "server")
    return [served(tool) for tool in load_tools(str(path))], settings


def served(tool: BaseTool) -> ServedTool:
    """One tool, created and released for every call as verl's loops do."""
    watched = WatchedTool(tool)

    async def run(conversation: Conversation, arguments: Any, create_kwargs: dict[str, Any]) -> CallResult:
        NOTES.set(CallNotes(stopped=True))  # a CancelledError is the server's
        try:
            instance_id, _ = await watched.create(create_kwargs=create_kwargs)
            try:
                answer = await watched.execute(instance_id, arguments, agent_data=conversation)
            finally:
                await watched.release(instance_id)
            if not answer[0].image:
                return _result(*answer)
            return await in_thread(_result, *answer)  # apart from where tools block
        except ToolUnavailable as error:
            return CallResult(status="unavailable", text=valid_text(str(error)))
        except EndsRun as error:
            return CallResult(status="ends_run", text=valid_text(str(error)))
        except Exception as error:  # the model's doing, as verl_hdpo.adapters.agent_loop takes it
            return CallResult(status="failed", text=valid_text(str(error)))

    schema = tool.tool_schema.model_dump(exclude_unset=True, exclude_none=True)
    return ServedTool(tool.name, valid_texts(schema), getattr(tool, "server_needs", Tool.server_needs), run)


def _result(response: ToolResponse, reward: float | None, metrics: Any) -> CallResult:
    try:
        images = [SentImage.of(image) for image in response.image or () if image is not None]
        text = response.text and valid_text(response.text)
        plain = valid_texts(to_jsonable_python(metrics, fallback=repr, inf_nan_mode="constants"))
        known = plain if isinstance(plain, dict) else {}  # verl takes no notice of them, whatever they are
        return CallResult(status="ok", text=text, images=images, reward=float(reward or 0.0), metrics=known)
    except (AttributeError, OSError, ValueError) as error:
        raise ToolUnavailable(f"the tool's answer cannot be sent: {error}") from error
