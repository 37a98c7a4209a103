"""What a tool server counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)


class Metrics:
    """The metrics of one server.

    Attributes:
        registry: all of them.
        calls: ended calls, by tool and outcome (``ok``, ``failed``, ``unavailable``, ``cancelled``).
        repeats: requests for a call that was there already.
        seconds, waited: running time and waiting time of calls, by tool.
        running, waiting: calls at the moment, by tool.
        sessions: open at the moment.
        closed: closed sessions, by reason.
        refused: requests, by HTTP status.
    """

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        prefix = "verl_hdpo_tool_"
        self.calls = Counter(f"{prefix}calls", "Calls that ended.", ("tool", "outcome"), registry=registry)
        self.repeats = Counter(f"{prefix}repeats", "Requests for a call that was there already.", registry=registry)
        self.seconds = Histogram(
            f"{prefix}seconds", "Running time of a call.", ("tool",), buckets=_SECONDS, registry=registry
        )
        self.waited = Histogram(
            f"{prefix}waited_seconds", "Waiting time of a call.", ("tool",), buckets=_SECONDS, registry=registry
        )
        self.running = Gauge(f"{prefix}running", "Calls that run.", ("tool",), registry=registry)
        self.waiting = Gauge(f"{prefix}waiting", "Calls that wait.", ("tool",), registry=registry)
        self.sessions = Gauge(f"{prefix}sessions", "Open sessions.", registry=registry)
        self.closed = Counter(f"{prefix}sessions_closed", "Closed sessions.", ("reason",), registry=registry)
        self.refused = Counter(f"{prefix}refused", "Refused requests.", ("status",), registry=registry)
