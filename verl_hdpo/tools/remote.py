"""Any tool of a tool server, with the schema that the server gives."""

from __future__ import annotations

import functools
from typing import Any

from PIL import Image
from verl.tools.base_tool import BaseTool
from verl.tools.schemas import OpenAIFunctionToolSchema, ToolResponse
from verl.utils.rollout_trace import rollout_trace_op

from verl_hdpo.settings.tool import ToolConfigError, read_settings
from verl_hdpo.tools.arguments import check_object
from verl_hdpo.tools.conversation_images import ConversationImage, conversation_images
from verl_hdpo.tools.failures import BadCall, ToolUnavailable
from verl_hdpo.tools.io_loop import on_io_loop, wait_on_io_loop
from verl_hdpo.tools.json_schema import from_json_schema
from verl_hdpo.tools.server.client import ToolClient, tool_client
from verl_hdpo.tools.server.messages import Outcome
from verl_hdpo.tools.server.needs import Needs
from verl_hdpo.tools.server.settings import RemoteSettings

START_SECONDS = 60.0


class RemoteTool(BaseTool):
    """One tool of the servers in ``config.server``; see ``verl_hdpo.tools.server.settings.RemoteSettings``.

    Sent are the tool's name, the arguments, ids made up for trajectory and call, and of the sample only what the tool's
    ``server_needs`` names.

    Raises:
        ConnectionError: no server can be reached.
        ToolConfigError: they have no tool of that name, or there is no token.
    """

    def __init__(self, config: dict[str, Any], tool_schema: OpenAIFunctionToolSchema | None = None):
        settings = read_settings(RemoteSettings, config, "remote")
        self._tool = settings.tool
        self.ends_within = settings.server.deadline
        self._client = _client(settings.server.model_dump_json())
        tools = {tool["name"]: tool for tool in wait_on_io_loop(self._client.tools(), START_SECONDS)}
        if settings.tool not in tools:
            raise ToolConfigError(f"remote: the server has no tool {settings.tool!r}, only {', '.join(sorted(tools))}")
        self._needs = Needs(**tools[settings.tool]["needs"])
        self._instances: dict[str, _Instance] = {}
        function = tools[settings.tool]["schema"]["function"]
        name = settings.name or function["name"]
        super().__init__(
            config, tool_schema or from_json_schema(name, function["description"], function.get("parameters", {}))
        )

    async def create(self, instance_id: str | None = None, **kwargs: Any) -> tuple[str, ToolResponse]:
        instance_id, response = await super().create(instance_id, **kwargs)
        given = kwargs.get("create_kwargs") or {}
        self._instances[instance_id] = _Instance(
            {name: given[name] for name in self._needs.create_kwargs if name in given}
        )
        return instance_id, response

    @rollout_trace_op
    async def execute(
        self, instance_id: str, parameters: dict[str, Any], **kwargs: Any
    ) -> tuple[ToolResponse, float, dict]:
        """Raises BadCall for what the tool raises there, ToolUnavailable when there is no outcome."""
        check_object(parameters)
        instance, agent_data = self._instances[instance_id], kwargs.get("agent_data")
        trajectory = instance if agent_data is None else agent_data
        images = conversation_images(agent_data) if self._needs.images else []
        sources = [functools.partial(_original, image) for image in images]
        call = self._client.call(trajectory, self._tool, parameters, instance.create_kwargs, sources)
        outcome = await on_io_loop(call)
        if outcome.status == "failed":
            raise BadCall(outcome.text)
        return _response(outcome), outcome.reward, dict(outcome.metrics)

    async def release(self, instance_id: str, **kwargs: Any) -> None:
        self._instances.pop(instance_id, None)


class _Instance:
    """What ``create`` was given; stands for a trajectory where there is no ``AgentData``."""

    def __init__(self, create_kwargs: dict[str, Any]):
        self.create_kwargs = create_kwargs


def _client(settings_json: str) -> ToolClient:
    async def make() -> ToolClient:
        return tool_client(settings_json)

    return wait_on_io_loop(make(), START_SECONDS)


def _original(image: ConversationImage) -> Image.Image | bytes:
    data = image.part.get("bytes")
    if isinstance(data, bytes):
        return data
    if image.image is None:
        raise ToolUnavailable(
            f"an image of the conversation is {type(image.part.get('image')).__name__}, not a PIL image"
        )
    return image.image


def _response(outcome: Outcome) -> ToolResponse:
    try:
        images = [sent.image() for sent in outcome.images]
        for image in images:
            image.load()
    except (OSError, ValueError) as error:
        raise ToolUnavailable(f"an image of the tool server cannot be read: {error}") from error
    return ToolResponse(text=outcome.text, **({"image": images} if images else {}))
