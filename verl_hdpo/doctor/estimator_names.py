"""The names that ``algorithm.adv_estimator`` takes, told without importing verl or torch."""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib import metadata

from verl_hdpo.doctor.sections import RUN
from verl_hdpo.runs.did_you_mean import did_you_mean
from verl_hdpo.runs.finding import Finding
from verl_hdpo.runs.migration.estimators import CHANGED, SAME
from verl_hdpo.runs.verl_keys import ESTIMATOR
from verl_hdpo.settings.algorithms import ALGORITHMS


def known_names() -> set[str] | None:
    """Those of verl 0.9 and of this package; None where another verl, or other code, may register more."""
    plugins = {point.value.partition(".")[0] for point in metadata.entry_points(group="verl.plugins")}
    others = plugins - {"verl_hdpo"} or os.environ.get("VERL_USE_EXTERNAL_MODULES")
    return None if others or not metadata.version("verl").startswith("0.9.") else {*ALGORITHMS, *SAME, *CHANGED}


def unknown_estimator(name: str, known: Iterable[str]) -> Finding | None:
    """What to say of a name that is none of ``known``."""
    names = sorted(known)
    if name in names:
        return None
    return Finding(RUN, "FAIL", "algorithm", f"{ESTIMATOR}={name} is not registered", (did_you_mean(name, names),))
