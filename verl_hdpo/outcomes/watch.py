"""``RateWatch``: stops a run that loses too many rollouts, or knows too few outcomes, to learn from the rest."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from typing import NamedTuple

from verl_hdpo.settings.outcomes import OutcomeSettings


class TooManyUnknown(RuntimeError):
    """More rollouts were lost, or unknown, than ``algorithm.hdpo`` allows; the message says which and what to do."""


class _Batch(NamedTuple):
    expected: int
    lost: Counter[str]
    unknown: Counter[str]


class RateWatch:
    """The shares of lost and unknown rollouts over the last ``rate_window`` training batches.

    Both are over the rollouts of a full window, so that one bad batch at the start is no reason to stop. A lost rollout
    is an unknown one too.
    """

    def __init__(self, settings: OutcomeSettings):
        self._settings = settings
        self._window: deque[_Batch] = deque(maxlen=settings.rate_window)

    def add(self, expected: int, lost: Mapping[str, int], unknown: Mapping[str, int]) -> None:
        """Note a batch of ``expected`` rollouts; ``lost`` and ``unknown`` are how many there were of each cause.

        Raises:
            TooManyUnknown: a limit is passed.
        """
        self._window.append(_Batch(expected, Counter(lost), Counter(lost) + Counter(unknown)))
        batches = max(len(self._window), self._settings.rate_window)
        of = batches * sum(batch.expected for batch in self._window) / len(self._window)
        for what, setting, limit, causes in (
            ("were lost", "max_lost_rate", self._settings.max_lost_rate, self._total("lost")),
            ("have an unknown outcome", "max_unknown_rate", self._settings.max_unknown_rate, self._total("unknown")),
        ):
            if sum(causes.values()) > limit * of:
                told = ", ".join(f"{cause or 'not said'} ({number})" for cause, number in causes.most_common())
                raise TooManyUnknown(
                    f"{sum(causes.values())} of {of:.0f} rollouts of {batches} training batches {what}, more than "
                    f"algorithm.hdpo.{setting}={limit:g} allows. Causes: {told}. Those left over are not a fair sample "
                    f"of what the model does, so the run stops here. Mend the cause and start the same command again, "
                    f"which resumes from the last checkpoint; or raise +algorithm.hdpo.{setting} (1 never stops)."
                )

    def _total(self, kind: str) -> Counter[str]:
        return sum((getattr(batch, kind) for batch in self._window), Counter())
