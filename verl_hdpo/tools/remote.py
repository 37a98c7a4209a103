"""Any tool of a tool server, with the schema that the server gives."""

from __future__ import annotations

import functools
from typing import Any

from PIL import Image

from verl_hdpo.settings.tool import ToolConfigError
from verl_hdpo.tools.arguments import check_object
from verl_hdpo.tools.base import Answer, Call, Tool
from verl_hdpo.tools.conversation_images import ConversationImage
from verl_hdpo.tools.failures import BadCall, EndsRun, ToolUnavailable
from verl_hdpo.tools.io_loop import on_io_loop, wait_on_io_loop
from verl_hdpo.tools.schema import Signature
from verl_hdpo.tools.server.client import ToolClient, tool_client
from verl_hdpo.tools.server.messages import CallResult
from verl_hdpo.tools.server.needs import Needs
from verl_hdpo.tools.server.settings import RemoteSettings

LISTING_SECONDS = 60.0


class RemoteTool(Tool):
    """One tool of the servers in ``config.server``; see ``verl_hdpo.tools.server.settings.RemoteSettings``.

    Sent are the tool's name, the arguments, ids made up for trajectory and call, and of the sample only what the tool's
    ``server_needs`` names.

    Raises:
        ConnectionError: no server can be reached.
        ToolConfigError: they have no tool of that name, or there is no token.
    """

    kind = "remote"
    settings_class = RemoteSettings

    def prepare(self, settings: RemoteSettings) -> None:
        self._tool, self.ends_within = settings.tool, settings.server.deadline
        self._client = _client(settings.server.model_dump_json())
        tools = {tool["name"]: tool for tool in wait_on_io_loop(self._client.tools(), LISTING_SECONDS)}
        if settings.tool not in tools:
            raise ToolConfigError(f"remote: the server has no tool {settings.tool!r}, only {', '.join(sorted(tools))}")
        self.server_needs = Needs(**tools[settings.tool]["needs"])
        function = tools[settings.tool]["schema"]["function"]
        parameters = function.get("parameters", {})
        self.signature = Signature.of_json_schema(function["name"], function["description"], parameters)

    async def answer(self, arguments: Any, call: Call) -> Answer:
        """What the tool raises there is a BadCall, unless it is broken; without an outcome it is unavailable."""
        check_object(arguments)
        images = call.images if self.server_needs.images else []
        sources = [functools.partial(_original, image) for image in images]
        work = self._client.call(call.trajectory, self._tool, arguments, call.create_kwargs, sources)
        outcome = await on_io_loop(work)
        if outcome.status == "failed":
            raise BadCall(outcome.text)
        if outcome.status == "ends_run":
            raise EndsRun(f"on the tool server: {outcome.text}")
        return Answer(outcome.text, _images(outcome), outcome.reward, outcome.metrics)


def _client(settings_json: str) -> ToolClient:
    async def make() -> ToolClient:
        return tool_client(settings_json)

    return wait_on_io_loop(make(), LISTING_SECONDS)


def _original(image: ConversationImage) -> Image.Image | bytes:
    data = image.part.get("bytes")
    if isinstance(data, bytes):
        return data
    if image.image is None:
        raise ToolUnavailable(
            f"an image of the conversation is {type(image.part.get('image')).__name__}, not a PIL image"
        )
    return image.image


def _images(outcome: CallResult) -> list[Image.Image]:
    try:
        images = [sent.image() for sent in outcome.images]
        for image in images:
            image.load()
    except (OSError, ValueError) as error:
        raise ToolUnavailable(f"an image of the tool server cannot be read: {error}") from error
    return images
