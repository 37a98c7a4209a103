"""What every group of settings has in common: typed, frozen, and refused with what was found and what to do."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from typing_extensions import Self


class SettingsError(ValueError):
    """A setting that a run cannot have; the message says what was found and what to do."""


class Wanted(NamedTuple):
    """What a field takes, for the message ``... must be <text>, found ...``."""

    text: str


NonNegative = Annotated[float, Field(ge=0), Wanted("a finite number >= 0")]
Positive = Annotated[float, Field(gt=0), Wanted("a finite number > 0")]
Share = Annotated[float, Field(ge=0, le=1), Wanted("a number in [0, 1]")]
Flag = Annotated[bool, Wanted("true or false")]


class Settings(BaseModel):
    """A group of settings: unknown keys are refused, and a field's docstring is its description."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    EXAMPLE: ClassVar[str] = ""
    """``key=value`` for the message to someone who wrote a value in the group's place."""
    HINT: ClassVar[str] = ""
    """What to say of an unknown key beside the known ones."""

    @classmethod
    def read(cls, found: Any, group: str) -> Self:
        """Build from what a config holds under ``group``; None gives the defaults.

        Raises:
            SettingsError: every unknown or missing key, and every value outside its range, a line each.
        """
        found = {} if found is None else found
        if not isinstance(found, Mapping):
            example = f"; write for example +{group}.{cls.EXAMPLE}" if cls.EXAMPLE else ""
            raise SettingsError(f"{group} must be a group of settings, found {found!r}{example}")
        try:
            return cls.model_validate(dict(found))
        except ValidationError as error:
            raise SettingsError("\n".join(cls._problems(found, group, error))) from None

    @classmethod
    def _problems(cls, found: Mapping[str, Any], group: str, error: ValidationError) -> Iterator[str]:
        told: set[str] = set()
        for problem in error.errors():
            where = ".".join(str(part) for part in (group, *problem["loc"]))
            name, nested = (str(problem["loc"][0]), len(problem["loc"]) > 1) if problem["loc"] else ("", False)
            wanted = cls._wanted(name)
            if problem["type"] == "extra_forbidden":
                # The value is left out: it may be a password that has no place here.
                yield f"unknown setting {where}" if nested else f"unknown setting {where}; {cls._hint(name, group)}"
            elif problem["type"] == "missing":
                yield f"{where} is missing"
            elif wanted and name not in told:
                told.add(name)
                yield f"{group}.{name} must be {wanted}, found {found[name]!r}"
            elif not wanted:
                shown = "" if isinstance(problem["input"], Mapping) else f", found {problem['input']!r}"
                yield f"{where}: {problem['msg'].removeprefix('Value error, ')}{shown}"

    @classmethod
    def _wanted(cls, name: str) -> str | None:
        if name not in cls.model_fields:
            return None
        field = cls.model_fields[name]
        if typing.get_origin(field.annotation) is typing.Literal:
            return f"one of {', '.join(map(str, typing.get_args(field.annotation)))}"
        return next((mark.text for mark in field.metadata if isinstance(mark, Wanted)), None)

    @classmethod
    def _hint(cls, name: str, group: str) -> str:
        close = difflib.get_close_matches(name, cls.model_fields, n=1)
        return f"did you mean {group}.{close[0]}?" if close else f"known: {', '.join(cls.model_fields)}{cls.HINT}"


class StrictSettings(Settings):
    """Settings whose values are taken as they are written: no text for a number, no infinity."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)
