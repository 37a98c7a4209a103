"""``Tool``: the base class of this package's tools, and the one module under ``tools`` that knows verl."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pydantic import ConfigDict
from verl.tools.base_tool import BaseTool
from verl.tools.schemas import (
    OpenAIFunctionParametersSchema,
    OpenAIFunctionPropertySchema,
    OpenAIFunctionSchema,
    OpenAIFunctionToolSchema,
    ToolResponse,
)
from verl.utils.rollout_trace import rollout_trace_op

from verl_hdpo.settings.tool import ToolSettings, read_settings
from verl_hdpo.tools.conversation_images import ConversationImage, conversation_images
from verl_hdpo.tools.schema import Signature
from verl_hdpo.tools.server.needs import Needs


@dataclass(frozen=True)
class Answer:
    """What a call came to.

    Attributes:
        text: what the model reads.
        images: PIL images that it sees.
        reward: of this step, for ``AgentLoopOutput.extra_fields["tool_rewards"]``.
        metrics: numbers that verl's loop takes and does not use.
    """

    text: str | None
    images: Sequence[Any] = ()
    reward: float = 0.0
    metrics: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """What a tool may know of a call besides its arguments.

    Attributes:
        create_kwargs: the sample's own, of those that the tool's ``server_needs`` names.
        agent_data: verl's ``AgentData`` or, on a tool server, a ``Conversation``; None outside of both.
        trajectory: what lives as long as the trajectory: ``agent_data``, or without one the instance.
    """

    create_kwargs: Mapping[str, Any]
    agent_data: Any
    trajectory: object

    @property
    def images(self) -> list[ConversationImage]:
        """The images of the conversation so far."""
        return conversation_images(self.agent_data)


@dataclass(frozen=True, eq=False)
class _Instance:
    """What verl's loop makes for every call, and releases after it."""

    create_kwargs: Mapping[str, Any]


class Tool(BaseTool):
    """A tool with settings, and an answer to a call; verl's life cycle of instances is taken care of.

    A subclass sets the attributes below, opens what it needs in :meth:`prepare`, and answers in :meth:`answer`.

    Args:
        config: the tool's ``config`` in the yaml.
        tool_schema: replaces the tool's own; None where the yaml has none.

    Raises:
        ToolConfigError: a setting is unknown, missing or out of its range.
    """

    kind: ClassVar[str]
    """What messages call the tool."""

    settings_class: ClassVar[type[ToolSettings]] = ToolSettings
    """What ``config`` is read as."""

    signature: Signature
    """Name, description and arguments that the model is shown; of the class, or set by :meth:`prepare`."""

    ends_within: float = 0.0
    """Seconds after which a call has ended, waiting for room included; 0 where nothing has to be waited for.
    ``algorithm.hdpo.tool_timeout`` must be longer."""

    server_needs: Needs = Needs()
    """What of the sample the tool gets besides the model's arguments; nothing else is sent to a tool server."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        setattr(cls, "answer", rollout_trace_op(cls.answer))  # noqa: B010 - here, so that traces name the subclass

    def __init__(self, config: dict[str, Any], tool_schema: OpenAIFunctionToolSchema | None = None):
        settings = read_settings(self.settings_class, config, self.kind)
        self._instances: dict[str, _Instance] = {}
        self.prepare(settings)
        super().__init__(config, tool_schema or schema_of(settings.name, self.signature))

    def prepare(self, settings: Any) -> None:
        """Open what the tool needs; called once, before the first call.

        Args:
            settings: ``config``, read as ``settings_class``.
        """

    async def answer(self, arguments: Any, call: Call) -> Answer:
        """Answer one call.

        Args:
            arguments: any JSON that the model wrote.
            call: what else there is to know.

        Raises:
            BadCall: the model got it wrong.
            ToolUnavailable: there is no answer, which is not the model's doing.
        """
        raise NotImplementedError

    async def create(self, instance_id: str | None = None, **kwargs: Any) -> tuple[str, ToolResponse]:
        instance_id, response = await super().create(instance_id)
        given = kwargs.get("create_kwargs") or {}
        names = self.server_needs.create_kwargs
        self._instances[instance_id] = _Instance({name: given[name] for name in names if name in given})
        return instance_id, response

    async def execute(
        self, instance_id: str, parameters: dict[str, Any], **kwargs: Any
    ) -> tuple[ToolResponse, float, dict]:
        instance = self._instances.get(instance_id) or _Instance({})
        agent_data = kwargs.get("agent_data")
        call = Call(instance.create_kwargs, agent_data, instance if agent_data is None else agent_data)
        answer = await self.answer(parameters, call)
        images = {"image": list(answer.images)} if answer.images else {}
        return ToolResponse(text=answer.text, **images), answer.reward, dict(answer.metrics)

    async def release(self, instance_id: str, **kwargs: Any) -> None:
        self._instances.pop(instance_id, None)


class _Property(OpenAIFunctionPropertySchema):
    model_config = ConfigDict(extra="allow")


class _Parameters(OpenAIFunctionParametersSchema):
    model_config = ConfigDict(extra="allow")
    properties: dict[str, _Property]


class _Function(OpenAIFunctionSchema):
    parameters: _Parameters


class _Schema(OpenAIFunctionToolSchema):
    """verl's own keeps of a parameter its type, description and enum, and drops ``items``, ``default`` and the rest."""

    function: _Function


def schema_of(name: str | None, signature: Signature) -> OpenAIFunctionToolSchema:
    function = {**signature._asdict(), "name": name or signature.name}
    return _Schema.model_validate({"type": "function", "function": function})
