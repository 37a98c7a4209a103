"""``Verdict``: what a check says of a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from verl_hdpo.evaluation.datasets.curation.trajectory import Trajectory


@dataclass(frozen=True)
class Verdict:
    """``why`` in words that many rows share, ``detail`` of this one. Unknown: the check could not be made."""

    says: Literal["keep", "drop", "unknown"]
    why: str = ""
    detail: str = ""


KEEP = Verdict("keep")


class Check(Protocol):
    """One check of all rows; its methods belong to one event loop.

    Attributes:
        name: in report and ledger.
        made_of: all that its verdicts depend on besides the row.
    """

    name: str
    made_of: str

    async def __call__(self, row: Trajectory) -> Verdict: ...

    async def close(self) -> None: ...
