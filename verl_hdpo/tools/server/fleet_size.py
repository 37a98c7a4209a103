"""How many servers a fleet needs: the least number at which calls wait no longer than allowed.

A fleet has c places. Calls arrive at a rate of lambda and take S seconds on average. It is taken for a queue M/G/c:

    a = lambda S                                               places in use on average; rho = a / c
    P_wait = Erlang C(c, a)                                    share of calls that wait (exact for exponential S)
    mean wait = P_wait (1 + cv^2) / 2 * S / (c - a)             Allen and Cunneen's approximation
    p99 wait = ln(P_wait / 0.01) (1 + cv^2) / 2 * S / (c - a)   0 where P_wait <= 0.01

cv is the standard deviation of S over its mean: 0 where all calls take equally long, 1 for exponential times. By
Little's law a fleet holds (rollouts per second) x (seconds of a rollout) sessions at a time.

Source: Allen, Probability, Statistics, and Queueing Theory (1990), chapter 5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

TAIL = 0.01
MOST_SERVERS = 1_000_000


class TooManyServers(ValueError):
    """No fleet of a sensible size carries the load."""


@dataclass(frozen=True)
class Load:
    """What a fleet has to carry.

    Attributes:
        calls_per_second: lambda.
        call_seconds: S, mean time of a call without waiting.
        variability: cv.
        sessions: trajectories that have a session at a time; 0 where servers keep none.
    """

    calls_per_second: float
    call_seconds: float
    variability: float = 1.0
    sessions: float = 0.0

    @property
    def places(self) -> float:
        """a: places in use on average."""
        return self.calls_per_second * self.call_seconds


@dataclass(frozen=True)
class Fleet:
    """A number of servers under a load.

    Attributes:
        servers: how many.
        utilisation: rho, share of all places in use.
        mean_wait, p99_wait: seconds that a call waits for a place.
        sessions_per_server: on average.
    """

    servers: int
    utilisation: float
    mean_wait: float
    p99_wait: float
    sessions_per_server: float


def erlang_c(places: int, load: float) -> float:
    """P_wait of M/M/c with ``places`` = c and ``load`` = a < c, by the recursion of Erlang's B formula."""
    blocked = 1.0
    for n in range(1, places + 1):
        blocked = load * blocked / (n + load * blocked)
    return places * blocked / (places - load * (1 - blocked))


def fleet(load: Load, servers: int, places_per_server: int) -> Fleet:
    """The fleet of that many servers; waits are infinite where calls arrive faster than they can end."""
    places = servers * places_per_server
    share = load.places / places
    if share >= 1:
        return Fleet(servers, share, math.inf, math.inf, load.sessions / servers)
    waiting = erlang_c(places, load.places)
    scale = (1 + load.variability * load.variability) / 2 * load.call_seconds / (places - load.places)
    tail = math.log(waiting / TAIL) * scale if waiting > TAIL else 0.0
    return Fleet(servers, share, waiting * scale, tail, load.sessions / servers)


def smallest_fleet(load: Load, places_per_server: int, max_wait: float, max_sessions: float = math.inf) -> Fleet:
    """The least number of servers whose p99 wait is at most ``max_wait`` seconds, with room for all sessions.

    Raises:
        TooManyServers: there is none below ``MOST_SERVERS``.
    """
    if not math.isfinite(load.places + load.sessions):
        raise TooManyServers("calls or sessions are too many to count: check the rates")
    least = max(1, math.floor(load.places / places_per_server), math.ceil(load.sessions / max_sessions))
    fewest = enough = least
    while enough <= MOST_SERVERS and (found := fleet(load, enough, places_per_server)).p99_wait > max_wait:
        fewest, enough = enough + 1, 2 * enough
    if enough > MOST_SERVERS:
        raise TooManyServers(f"more than {MOST_SERVERS} servers: calls arrive at {load.calls_per_second:g}/s; check it")
    while fewest < enough:  # more servers never wait longer
        middle = (fewest + enough) // 2
        if (between := fleet(load, middle, places_per_server)).p99_wait <= max_wait:
            enough, found = middle, between
        else:
            fewest = middle + 1
    return found
