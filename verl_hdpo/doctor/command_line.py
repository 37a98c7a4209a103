"""What the command line alone tells, in milliseconds: files that do not exist, an algorithm that nobody has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from verl_hdpo.doctor.estimator_names import known_names, unknown_estimator
from verl_hdpo.doctor.files import missing_files
from verl_hdpo.runs.finding import Finding
from verl_hdpo.runs.override import key_and_value
from verl_hdpo.runs.verl_keys import ESTIMATOR


def at_a_glance(overrides: Sequence[str]) -> Iterator[Finding]:
    """Findings that the checks of the composed config will make as well, in the same words."""
    given = values(overrides)
    yield from missing_files(given.get)
    if isinstance(name := given.get(ESTIMATOR), str) and (known := known_names()):
        finding = unknown_estimator(name, known)
        yield from [finding] if finding else []


def values(overrides: Sequence[str]) -> dict[str, Any]:
    """The values that hydra will read in ``overrides``, as far as that can be told without its grammar."""
    found = {}
    for override in overrides:
        key, value = key_and_value(override)
        if "=" not in override or "${" in value or value.rstrip().endswith(")"):
            continue  # refers to another value, or calls a function of hydra's
        try:
            found[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            continue
    return found
