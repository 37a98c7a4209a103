"""The checks that a command asks for, the cheapest first."""

from __future__ import annotations

from collections.abc import Mapping

from verl_hdpo.evaluation.datasets.curation.chat import Chat
from verl_hdpo.evaluation.datasets.curation.reexecution import Reexecution
from verl_hdpo.evaluation.datasets.curation.relevance import Relevance
from verl_hdpo.evaluation.datasets.curation.solving import Solving
from verl_hdpo.evaluation.datasets.curation.verdict import Check
from verl_hdpo.tools.sandbox.settings import PythonSettings


def checks(
    reexecute: bool, timeout: float, servers: Mapping[str, tuple[str | None, str | None]], tries: int, key: str | None
) -> list[Check]:
    """What is asked for.

    Args:
        servers: address and model for ``solve`` and ``judge``; None for a check that is not asked for.
    """
    found: list[Check] = [Reexecution(PythonSettings(timeout=timeout))] if reexecute else []
    chats = {name: Chat(url, model or "", key) for name, (url, model) in servers.items() if url}
    if "solve" in chats:
        found.append(Solving(chats["solve"], tries))
    if "judge" in chats:
        found.append(Relevance(chats["judge"]))
    return found
