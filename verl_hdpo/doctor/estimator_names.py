"""The names that ``algorithm.adv_estimator`` takes, told without importing verl or torch."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from verl_hdpo.doctor.sections import RUN
from verl_hdpo.runs.did_you_mean import did_you_mean
from verl_hdpo.runs.finding import Finding
from verl_hdpo.settings.algorithms import ALGORITHMS

KEY = "algorithm.adv_estimator"
_ENUM = re.compile(r"^class AdvantageEstimator\(.*?\n(?=\S)", re.MULTILINE | re.DOTALL)
_MEMBER = re.compile(r"^    \w+ = \"(\w+)\"", re.MULTILINE)
_REGISTERED = re.compile(r"register_adv_est\(\s*\"(\w+)\"")


def known_names() -> set[str] | None:
    """Those of verl and of this package; None where other code may register more."""
    verl = importlib.util.find_spec("verl")
    plugins = {point.value.partition(".")[0] for point in metadata.entry_points(group="verl.plugins")}
    if verl is None or plugins - {"verl_hdpo"} or os.environ.get("VERL_USE_EXTERNAL_MODULES"):
        return None
    source = (Path(str(verl.origin)).parent / "trainer" / "ppo" / "core_algos.py").read_text()
    enum = _ENUM.search(source)
    return {*ALGORITHMS, *_MEMBER.findall(enum[0] if enum else ""), *_REGISTERED.findall(source)}


def unknown_estimator(name: str, known: Iterable[str]) -> Finding | None:
    """What to say of a name that is none of ``known``."""
    names = sorted(known)
    if name in names:
        return None
    return Finding(RUN, "FAIL", "algorithm", f"{KEY}={name} is not registered", (did_you_mean(name, names),))
