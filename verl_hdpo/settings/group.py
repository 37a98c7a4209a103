"""What every group of settings under ``algorithm`` has in common: frozen, and unknown keys and bad values refused."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeVar

Group = TypeVar("Group", bound="AlgorithmSettings")


class HDPOConfigError(ValueError):
    """A setting that a run cannot have; the message says what was found and what to do."""


@dataclass(frozen=True)
class AlgorithmSettings:
    """Base of the settings under ``algorithm.<GROUP>``; a subclass checks its values in ``__post_init__``."""

    GROUP: ClassVar[str]
    EXAMPLE: ClassVar[str]
    """``key=value`` for the message to someone who wrote a value in the group's place."""

    @classmethod
    def from_mapping(cls: type[Group], settings: Mapping[str, Any] | None) -> Group:
        """Build from ``config.algorithm.get(GROUP)``; None gives the defaults.

        Raises:
            HDPOConfigError: an unknown key or a value outside its range.
        """
        settings = {} if settings is None else settings
        group = f"algorithm.{cls.GROUP}"
        if not isinstance(settings, Mapping):
            raise HDPOConfigError(
                f"{group} must be a group of settings, found {settings!r}; write for example +{group}.{cls.EXAMPLE}"
            )
        known = [f.name for f in fields(cls)]
        for key in settings:
            if key not in known:
                close = difflib.get_close_matches(str(key), known, n=1)
                hint = f"did you mean {group}.{close[0]}?" if close else f"known: {', '.join(known)}"
                raise HDPOConfigError(f"unknown setting {group}.{key}; {hint}")
        return cls(**settings)

    def _require(self, ok: bool, name: str, wanted: str) -> None:
        if not ok:
            raise HDPOConfigError(f"algorithm.{self.GROUP}.{name} must be {wanted}, found {getattr(self, name)!r}")

    def _require_at_least_0(self, *names: str) -> None:
        for name in names:
            self._require(is_number(value := getattr(self, name)) and value >= 0, name, "a finite number >= 0")

    def _require_positive(self, *names: str) -> None:
        for name in names:
            self._require(is_number(value := getattr(self, name)) and value > 0, name, "a finite number > 0")

    def _require_one_of(self, name: str, choices: tuple[str, ...]) -> None:
        self._require(getattr(self, name) in choices, name, f"one of {', '.join(choices)}")


def is_number(value: Any) -> bool:
    """A finite int or float; a bool is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
