"""The settings of the sandbox's pool, and of the python tool that uses it."""

from __future__ import annotations

from pydantic import Field, model_validator
from typing_extensions import Self

from verl_hdpo.settings.tool import Settings, ToolSettings
from verl_hdpo.tools.sandbox.isolation import Isolation
from verl_hdpo.tools.sandbox.limits import Limits
from verl_hdpo.tools.sandbox.preload import DEFAULT_MODULES
from verl_hdpo.tools.search.provider import HttpUrl


class PoolSettings(Settings):
    """How a pool is run."""

    isolation: Isolation = "auto"
    """A mechanism, or `auto` for the strongest that works."""
    allow_unsandboxed: bool = False
    """Go on without isolation where none works."""
    limits: Limits = Limits()
    """Of each session."""
    modules: tuple[str, ...] = DEFAULT_MODULES
    """Imported once, for all sessions; those not installed are left out."""
    spare_sessions: int = Field(default=4, ge=0)
    """Kept started ahead of need."""
    max_sessions: int = Field(default=4096, ge=1)
    """Open at a time; the next waits. On a tool server no fewer than the server's, or newcomers that wait take up the
    places of calls that have an interpreter."""
    max_running: int | None = Field(default=None, ge=1)
    """Calls that run at a time, first come, first served; their time limits start when they do. null: four for every
    core."""
    wait_seconds: float = Field(default=300.0, gt=0)
    """How long a call waits in all, for a session, for its turn to run and for a processor that others use, before the
    tool counts as unavailable. With the time limit of a call, less than the agent loop's `tool_timeout`."""
    all_memory_mb: int | None = Field(default=None, ge=1)
    """Memory of all sessions together; above it the one that holds most is ended. null: half of what the machine, or
    the container, has."""


class ServiceSettings(Settings):
    """A SandboxFusion service."""

    url: HttpUrl
    """Where it is, `http://host:8080`."""
    max_running: int = Field(default=32, ge=1)
    """Programs that one worker has it run at a time."""


class PythonSettings(ToolSettings, PoolSettings):
    """The ``config`` of the python tool."""

    runner: ServiceSettings | None = None
    """Run code there instead of in sessions of this machine. The settings of a pool then have no meaning, but for
    `wait_seconds` and, of `limits`, `memory_mb` and `output_chars`."""

    timeout: float = Field(default=30.0, gt=0)
    """Seconds a call may run, without the time in which others had the processor."""
    idle_seconds: float = Field(default=3600.0, gt=0)
    """After so long without a call a session is closed."""

    @model_validator(mode="after")
    def _a_service_has_no_pool(self) -> Self:
        idle = sorted((self.model_fields_set & _OF_SESSIONS) if self.runner else ())
        if idle:
            raise ValueError(f"{', '.join(idle)} only holds for sessions of this machine, and runner is set; remove it")
        return self


_OF_SESSIONS = set(PoolSettings.model_fields) - {"limits", "wait_seconds"} | {"idle_seconds"}
