"""Whether this package fits the installed verl: releases that its contract tests passed on, else what they look at."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import verl
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from verl_hdpo.adapters import upstream
from verl_hdpo.adapters.hosts import CLASSIC, Host
from verl_hdpo.adapters.problem import Problem

TESTED = SpecifierSet(">=0.9.0,<0.10")
NEXT = "0.10.0"
"""verl's main calls itself a development version of it."""
INSTALL = "pip install 'verl>=0.9.0,<0.10'"


def version_problems(host: Host | None) -> Iterator[Problem]:
    """A verl that does not fit, for a run in that trainer."""
    if Version(Version(verl.__version__).base_version) in TESTED:
        return
    if not is_development():
        found = f"verl {verl.__version__} is installed; verl-hdpo supports 0.9.x, and {NEXT}.dev where it fits"
        yield Problem(found, INSTALL)
    elif gone := _missing(host is CLASSIC):
        found = f"verl {verl.__version__} lacks what verl-hdpo relies on: {'; '.join(gone)}"
        yield Problem(found, f"{INSTALL}, or a newer verl-hdpo")


def version_warnings() -> Iterator[Problem]:
    """A verl that fits as far as can be told."""
    if is_development():
        found = f"verl {verl.__version__} is a development version: it has every symbol that verl-hdpo relies on"
        yield Problem(
            found, "python tests/support/against.py --verl <checkout>, in a checkout of verl-hdpo, tests more"
        )


def is_development() -> bool:
    """Whether verl is a development version of the next release."""
    version = Version(verl.__version__)
    return version.is_devrelease and version.base_version == NEXT


@functools.cache
def _missing(classic: bool) -> tuple[str, ...]:
    host = upstream.IN_CLASSIC if classic else upstream.IN_V1
    return tuple(upstream.missing((*upstream.IN_EVERY_TRAINER, *host)))
