"""The settings of the sandbox's pool, and of the python tool that uses it."""

from __future__ import annotations

from pydantic import Field

from verl_hdpo.settings.tool import Settings, ToolSettings
from verl_hdpo.tools.sandbox.isolation import Isolation
from verl_hdpo.tools.sandbox.limits import Limits
from verl_hdpo.tools.sandbox.preload import DEFAULT_MODULES


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


class PythonSettings(ToolSettings, PoolSettings):
    """The ``config`` of the python tool."""

    timeout: float = Field(default=30.0, gt=0)
    """Seconds a call may run, without the time in which others had the processor."""
    idle_seconds: float = Field(default=3600.0, gt=0)
    """After so long without a call a session is closed."""
