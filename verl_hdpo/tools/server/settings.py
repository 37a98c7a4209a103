"""The settings of a tool server, and of its clients."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from verl_hdpo.settings.group import Settings
from verl_hdpo.settings.tool import ToolSettings
from verl_hdpo.tools.server import TOKEN_ENV


class ServerSettings(Settings):
    """``server`` in the tool yaml that a tool server is started with.

    Attributes:
        max_sessions: trajectories at a time.
        max_running: calls of one tool that run at a time.
        max_waiting: calls of one tool that wait or run; the next is refused until there is room.
        max_waiting_per_session: the same for the calls of one trajectory, of which one runs at a time.
        lease_seconds: a session whose client is not heard from for so long is closed.
        idle_seconds: a session without a call for so long is closed.
        poll_seconds: after so long the client is told that its call still runs, and asks again.
        max_request_mb, max_response_mb: size of a call and of its answer, images included.
        max_kept_mb: size of all answers that are kept for clients that ask again; beyond it the oldest go.
    """

    max_sessions: int = Field(default=4096, ge=1)
    max_running: int = Field(default=256, ge=1)
    max_waiting: int = Field(default=4096, ge=1)
    max_waiting_per_session: int = Field(default=16, ge=1)
    lease_seconds: float = Field(default=120.0, gt=0)
    idle_seconds: float = Field(default=3600.0, gt=0)
    poll_seconds: float = Field(default=20.0, gt=0, le=30)
    max_request_mb: int = Field(default=128, ge=1)
    max_response_mb: int = Field(default=128, ge=1)
    max_kept_mb: int = Field(default=1024, ge=1)


class ClientSettings(Settings):
    """Where the tools are.

    Attributes:
        urls: of the servers, each a process with all the tools; a trajectory stays with one.
        token_env: environment variable with the token. It stays readable in /proc for processes of the same user;
            ``token_file`` does not.
        token_file: file with the token that only its owner can read, in place of the variable.
        deadline: seconds a call may take, waiting included; then the tool is unavailable. Less than the agent loop's
            ``tool_timeout``, which would make an outage a call that the model took too long with.
        reconnect_seconds: how long a server may be unreachable before the tool is unavailable.
    """

    urls: tuple[str, ...] = Field(min_length=1)
    token_env: str = TOKEN_ENV
    token_file: Path | None = None
    deadline: float = Field(default=300.0, gt=0)
    reconnect_seconds: float = Field(default=30.0, gt=0)


class RemoteSettings(ToolSettings):
    """The ``config`` of a tool on a server.

    Attributes:
        server: where it is.
        tool: its name there.
    """

    server: ClientSettings
    tool: str
