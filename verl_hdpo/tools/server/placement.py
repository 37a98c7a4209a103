"""On which server a trajectory begins."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def by_preference(servers: Sequence[str], trajectory_id: str) -> list[str]:
    """The servers by rendezvous hashing: each trajectory has an order of its own, the same in every process."""
    return sorted(servers, key=lambda server: hashlib.sha256(f"{server} {trajectory_id}".encode()).digest())


class Placement:
    """The sessions of one client by server, and where the next one goes.

    Of the first two servers that a trajectory prefers it tries the one with fewer sessions of this client first. Chance
    alone fills 200 servers with 500 sessions each unevenly, some by 13 % more; the choice between two makes that 5 %. A
    choice among all would send every new trajectory to a server that has just been restarted; this one at most doubles
    what that server gets.
    """

    def __init__(self, servers: Sequence[str]):
        self._sessions = dict.fromkeys(servers, 0)

    def order(self, trajectory_id: str) -> list[str]:
        """All servers, the one to try first at the front."""
        ranked = by_preference([*self._sessions], trajectory_id)
        return sorted(ranked[:2], key=self._sessions.__getitem__) + ranked[2:]

    def add(self, server: str) -> None:
        """A session begins there, or is asked for."""
        self._sessions[server] += 1

    def remove(self, server: str) -> None:
        """It ended, or was refused."""
        self._sessions[server] -= 1
