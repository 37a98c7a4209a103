"""Chooses what isolates the sessions: the strongest mechanism that works here, or none if that was asked for."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Literal, get_args

from verl_hdpo.tools.sandbox import bubblewrap
from verl_hdpo.tools.sandbox.limits import Limits
from verl_hdpo.tools.sandbox.zygote_client import StartError, ZygoteClient

logger = logging.getLogger(__name__)

Isolation = Literal["auto", "bubblewrap", "namespaces", "landlock"]
MECHANISMS: tuple[str, ...] = get_args(Isolation)[1:]
"""Strongest first: ``landlock`` alone lets a session see which of the host's files exist."""


class SandboxRefused(RuntimeError):
    """No isolation works here, and running without was not allowed."""


async def start_zygote(
    isolation: Isolation, allow_unsandboxed: bool, limits: Limits, modules: Sequence[str], memory: int | None = None
) -> ZygoteClient:
    """A zygote with the first of the mechanisms that works.

    Args:
        isolation: a mechanism, or ``auto`` for any.
        allow_unsandboxed: go on with resource limits alone where none works.
        limits: of each session.
        modules: imported once, for all sessions.
        memory: bytes that all together may hold, if the kernel lets this process bound them.

    Raises:
        SandboxRefused: none works and ``allow_unsandboxed`` is not set; the message has each one's reason.
    """
    reasons = []
    for mechanism in MECHANISMS if isolation == "auto" else (isolation,):
        if mechanism == "bubblewrap" and bubblewrap.program() is None:
            reasons.append("bubblewrap: not installed")
            continue
        try:
            zygote = await ZygoteClient.start(mechanism, limits, modules, memory)
        except StartError as error:
            reasons.append(f"{mechanism}: {error}")
            continue
        return zygote
    why = "; ".join(reasons)
    if not allow_unsandboxed:
        raise SandboxRefused(
            f"no isolation for model code works here ({why}). Install bubblewrap, allow user namespaces, or use a "
            "kernel with Landlock; allow_unsandboxed: true runs model code with this user's rights"
        )
    try:
        return await ZygoteClient.start("none", limits, modules, memory)
    except StartError as error:
        raise SandboxRefused(f"model code cannot run here, not even without isolation: {error}") from error


_found_to_work: set[tuple[str, bool]] = set()


async def require_isolation(isolation: Isolation, allow_unsandboxed: bool) -> None:
    """Start an empty sandbox and end it, once per process: fail before training starts rather than at the first call.

    Raises:
        SandboxRefused: see ``start_zygote``.
    """
    if (isolation, allow_unsandboxed) not in _found_to_work:
        zygote = await start_zygote(isolation, allow_unsandboxed, Limits(), modules=())
        await zygote.close()
        _found_to_work.add((isolation, allow_unsandboxed))


def log_isolation(in_force: dict[str, Any]) -> None:
    """Log what a zygote reported; at a level that verl's workers show."""
    if not in_force["seccomp"]:
        logger.error("model code is NOT isolated: allow_unsandboxed is set, and nothing else works here")
        return
    threads = "its own scratch mount and thread count" if in_force["own_mounts"] else "no threads"
    missing = ", ".join(in_force["missing"]) or "none"
    logger.warning(
        "model code is isolated by %s with seccomp and Landlock ABI %d; each session has %s; the memory of all is %s; "
        "modules not installed: %s",
        in_force["mechanism"],
        in_force["landlock"],
        threads,
        "bounded by a control group" if in_force["memory"] == "cgroup" else "looked at twice a second",
        missing,
    )
    if not in_force["ends_first"]:
        logger.warning(
            "oom_score_adj cannot be set here: short of memory, the kernel may end training before a session"
        )
