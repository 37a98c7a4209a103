"""How many bytes of finished answers a tool server keeps for clients that ask again."""

from __future__ import annotations

from collections.abc import Callable


class KeptAnswers:
    """The sizes of all kept answers, oldest first; beyond ``max_bytes`` the oldest are forgotten.

    Args:
        max_bytes: of all together; the newest stays, whatever its size.
    """

    def __init__(self, max_bytes: int):
        self._max_bytes = max_bytes
        self._sizes: dict[object, tuple[int, Callable[[], None]]] = {}
        self.bytes = 0

    def add(self, answer: object, size: int, forget: Callable[[], None]) -> None:
        """Keep ``answer``; ``forget`` is called should it have to go."""
        self._sizes[answer] = size, forget
        self.bytes += size
        while self.bytes > self._max_bytes and len(self._sizes) > 1:
            oldest = next(iter(self._sizes))
            _, forget_oldest = self._sizes[oldest]
            self.release(oldest)
            forget_oldest()

    def release(self, answer: object) -> None:
        """It is no longer kept; of no effect if it was not."""
        size, _ = self._sizes.pop(answer, (0, None))
        self.bytes -= size
