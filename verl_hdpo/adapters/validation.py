"""verl's validation metrics without the unknown outcomes, and the ``hdpo/`` quantities beside them.

verl hands on what the reward manager reported and no ledger: T is what that reports, else rounds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

from omegaconf import DictConfig

from verl_hdpo.adapters.names import REWARD_MANAGER, SIGNAL_KEY
from verl_hdpo.adapters.run_settings import RunSettings
from verl_hdpo.outcomes.batch import Outcomes
from verl_hdpo.outcomes.metrics import means_per_source, per_source, prefixed
from verl_hdpo.outcomes.report import ANSWER_KEY, SOURCE_KEY, RewardReport

REPORTED_MEANS = tuple(name for name in RewardReport._fields if name not in ("acc", SIGNAL_KEY))
"""Columns of which a mean is all that is wanted: verl draws 1000 bootstrap samples per prompt and column, minutes."""
INTERNAL = (SIGNAL_KEY, SOURCE_KEY, ANSWER_KEY)
"""Columns that no logger is given: a number that says nothing to a reader, and texts."""


def validation_metrics(
    stock: Callable[..., dict[str, Any]],
    config: DictConfig,
    settings: RunSettings,
    data_sources: Sequence[Any],
    sample_uids: Sequence[Any],
    columns: dict[str, list[Any]],
    sample_turns: Sequence[Any],
    expected_counts: dict[tuple[str, str], int],
) -> dict[str, Any]:
    """All of a validation's metrics.

    Args:
        stock: verl's ``_val_metrics_update``, to be called with the four arguments that follow.
        columns: what the reward manager reported, a list of values by key.
        expected_counts: verl 0.9.1 scores what is missing of these as wrong; changed in place. Empty where it has none.
    """
    rows = range(len(data_sources))
    # verl fills in None where a rollout's reward had no such key.
    infos = [{key: values[i] for key, values in columns.items() if values[i] is not None} for i in rows]
    # Where a source's reward tells no outcome its scores stay, and there is nothing to add.
    correct_key, known_key = settings.hdpo.correct_key, settings.hdpo.known_key
    told = [i for i in rows if infos[i].get(correct_key) is not None or infos[i].get(known_key) == 0]
    outcomes = Outcomes.read(
        [{"reward_extra_info": infos[i]} for i in told], [sample_turns[i] for i in told], settings.hdpo
    )
    unknown = {i for i, known in zip(told, outcomes.known_B.tolist(), strict=True) if not known}
    if settings.algorithm is None:
        unknown = set()  # a run that is observed is judged as verl judges it
    known = [i for i in rows if i not in unknown]
    for i in unknown if expected_counts else ():
        expected_counts[str(data_sources[i]), str(sample_uids[i])] -= 1
    sources = [data_sources[i] for i in known]
    kept = {key: [values[i] for i in known] for key, values in columns.items()}
    if settings.algorithm is not None:
        kept = {key: [None if _is_spoilt(value) else value for value in values] for key, values in kept.items()}
    reported = {}
    if config.reward.reward_manager.name == REWARD_MANAGER:
        reported = {key: kept.pop(key) for key in REPORTED_MEANS if key in kept}
        kept = {key: values for key, values in kept.items() if key not in INTERNAL}
    metrics = stock(sources, [sample_uids[i] for i in known], kept, sample_turns)
    mean = f"/mean@{config.actor_rollout_ref.rollout.val_kwargs.n}"
    metrics.update({f"val-aux/{name}{mean}": value for name, value in means_per_source(reported, sources).items()})
    for source, values in per_source(outcomes, [data_sources[i] for i in told]).items():
        del values["ledger_rate"]
        metrics.update(prefixed(f"val-hdpo/{source}/", values))
    return metrics


def _is_spoilt(value: Any) -> bool:
    """Whether a mean with ``value`` would be NaN or infinite; verl leaves out None."""
    return isinstance(value, Real) and not math.isfinite(value)
