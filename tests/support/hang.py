"""How long tests wait for what must come: so long that it hangs, however busy the machine is."""

from __future__ import annotations

import time
from collections.abc import Callable

HANG_SECONDS = 3600.0


def wait_until(reached: Callable[[], object], goes_on: Callable[[], bool] = lambda: True, every: float = 0.1) -> None:
    """Until ``reached()``; fails as soon as nothing ``goes_on()`` that could bring it about."""
    ends = time.monotonic() + HANG_SECONDS
    while not reached():
        assert goes_on(), "what was waited for has ended"
        assert time.monotonic() < ends, f"nothing came in {HANG_SECONDS:.0f} s"
        time.sleep(every)
