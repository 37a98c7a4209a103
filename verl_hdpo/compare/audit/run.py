"""``audit``: read a dump, replay it, look for defects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from verl_hdpo.compare.audit.defects import Defect, defects_of
from verl_hdpo.compare.audit.replay import replay
from verl_hdpo.compare.audit.summary import SourceAudit, audit_source
from verl_hdpo.compare.audit.trained import settled
from verl_hdpo.compare.pricing.algorithm import settings_of
from verl_hdpo.compare.variant import GRPO, Variant, own_variants
from verl_hdpo.evaluation.dumps.lines import RolloutsError
from verl_hdpo.evaluation.dumps.named_columns import parse_columns
from verl_hdpo.evaluation.dumps.reader import read_rollouts
from verl_hdpo.evaluation.dumps.rollout import Rollout

ALL = "all"
"""Name of the source where a file tells none."""


@dataclass(frozen=True)
class Audit:
    """All that was found.

    Attributes:
        where: the dump.
        validations: rollouts of validations, which were left out because there are others.
        passed_over: files of no known format.
        sources: by data source.
        defects: by data source, then by kind.
    """

    where: Path
    validations: int
    passed_over: tuple[Path, ...]
    sources: tuple[SourceAudit, ...]
    defects: tuple[Defect, ...]


def audit(where: Path, algos: str, columns: str = "") -> Audit:
    """Audit the rollouts of ``where``, a file or a folder.

    Args:
        algos: as of ``verl-hdpo compare``; GRPO, with which the others are compared, is always among them.
        columns: as ``parse_columns`` reads them; empty for files of a known format.

    Raises:
        RolloutsError: nothing to read, columns that are not there, or no outcome that is known.
        VariantError, SettingsError, AuditError: an algorithm that cannot be replayed.
    """
    variants = own_variants(algos)
    if GRPO not in [variant.label for variant in variants]:
        variants.insert(0, Variant(GRPO))
    for variant in variants:
        settings_of(variant)  # what cannot be replayed is told before a large dump is read
    reading = read_rollouts(where, columns=parse_columns(columns) if columns else None)
    every = [settled(one) for one in reading.rollouts]
    rollouts = [one for one in every if one.phase != "validation"] or every
    by_source = _by_source(rollouts)
    defects = tuple(defect for source, ours in by_source.items() for defect in defects_of(source, ours))
    if not defects and not any(one.known or one.outcome == "lost" for one in rollouts):
        raise RolloutsError(
            f"{where}: not one outcome is known: none of {len(rollouts)} rollouts has an acc, or a score, that is a "
            f"number; look whether the reward or the judge failed in that run"
        )
    made = replay([one for one in rollouts if one.calls is not None], variants)
    return Audit(
        where,
        len(every) - len(rollouts),
        tuple(reading.passed_over),
        tuple(audit_source(source, ours, made, variants, GRPO) for source, ours in by_source.items()),
        defects,
    )


def _by_source(rollouts: Sequence[Rollout]) -> dict[str, list[Rollout]]:
    found: dict[str, list[Rollout]] = {}
    for one in rollouts:
        found.setdefault(one.source or ALL, []).append(one)
    return found
