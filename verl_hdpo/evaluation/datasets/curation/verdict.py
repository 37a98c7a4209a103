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
MESSAGES = "messages or a prompt; make them with verl-hdpo convert"
"""What a check needs that reads the row's chat."""


class Check(Protocol):
    """One check of all rows; its methods belong to one event loop.

    Attributes:
        name: in report and ledger.
        needs: what a row must have for it, and what to do where no row has it.
        made_of: all that its verdicts depend on besides the row.
    """

    name: str
    needs: str
    made_of: str

    async def __call__(self, row: Trajectory) -> Verdict: ...

    def concerns(self, row: Trajectory) -> bool:
        """Whether the row has what it needs."""
        ...

    async def close(self) -> None: ...
