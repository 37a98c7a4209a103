"""``Variant``: an algorithm with its knobs, as ``verl-hdpo compare --algos`` names it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection
from dataclasses import dataclass

from verl_hdpo.runs.did_you_mean import did_you_mean
from verl_hdpo.runs.verl_keys import ESTIMATOR
from verl_hdpo.settings.algorithms import ALGORITHMS

GRPO = "grpo"
ALIASES = {"gdpo": "tool_gdpo"}
"""verl's own ``gdpo`` cannot run on its V1 trainer, and is given the name under which GDPO can."""

_VARIANT = re.compile(r"(\w+)(?:\[(.*)\])?", re.DOTALL)
_KEY = re.compile(r"[\w.]+")


class VariantError(ValueError):
    """A text that names no algorithm; the message says what to write."""


@dataclass(frozen=True)
class Variant:
    """An advantage estimator and what is set for it alone.

    Attributes:
        algorithm: ``algorithm.adv_estimator``.
        knobs: (key, value) in the order given. A plain key is one of ``algorithm.<algorithm>``, one with a dot is a
            whole key of verl's config; a value is text in hydra's grammar.
        alias: the name that the user gave in place of ``algorithm``; empty if none.
    """

    algorithm: str
    knobs: tuple[tuple[str, str], ...] = ()
    alias: str = ""

    @classmethod
    def parse(cls, text: str) -> Variant:
        """``name`` or ``name[key=value,...]``.

        Raises:
            VariantError: another form, a knob that is not a setting of the algorithm, or one given twice.
        """
        match = _VARIANT.fullmatch(text.strip())
        if match is None:
            raise VariantError(f"{text!r} is not an algorithm; write name or name[key=value,...]")
        name, inside = match[1], match[2]
        algorithm = ALIASES.get(name, name)
        knobs: list[tuple[str, str]] = []
        for part in split_outside_brackets(inside) if inside else ():
            key, equals, value = (piece.strip() for piece in part.partition("="))
            if not equals or not _KEY.fullmatch(key) or not value:
                raise VariantError(f"{part!r} in {text!r} is not key=value")
            if key in dict(knobs):
                raise VariantError(f"{key} is given twice in {text!r}")
            _check_key(algorithm, key)
            knobs.append((key, value))
        return cls(algorithm, tuple(knobs), name if name != algorithm else "")

    @property
    def label(self) -> str:
        """What tables and legends call it."""
        knobs = ",".join(f"{key.rpartition('.')[2]}={value}" for key, value in self.knobs)
        return f"{self.algorithm}[{knobs}]" if knobs else self.algorithm

    @property
    def folder(self) -> str:
        """``label`` as the name of a folder."""
        return re.sub(r"[^\w.-]+", "_", self.label.replace("=", "-")).strip("_")

    @property
    def overrides(self) -> list[str]:
        """What sets it apart from the other runs, as hydra overrides."""
        keys = ((key if "." in key else f"algorithm.{self.algorithm}.{key}", value) for key, value in self.knobs)
        return [f"{ESTIMATOR}={self.algorithm}", *(f"++{key}={value}" for key, value in keys)]


def parse_variants(text: str) -> list[Variant]:
    """Variants in a list with commas, ``grpo,grpo_penalty[a=0.5,gated=true],hdpo``.

    Raises:
        VariantError: one that cannot be read, two of one name, or none.
    """
    variants = [Variant.parse(part) for part in split_outside_brackets(text) if part.strip()]
    if not variants:
        raise VariantError("name at least one algorithm")
    for one, other in itertools.combinations(variants, 2):
        if one.overrides == other.overrides:
            raise VariantError(f"{one.label} is named twice")
        if one.folder == other.folder:
            raise VariantError(f"two would be called {one.label}, by their keys' last words; compare them apart")
    return variants


def own_variants(text: str) -> list[Variant]:
    """:func:`parse_variants` of algorithms whose advantages this package computes.

    Raises:
        VariantError: another one.
    """
    variants = parse_variants(text)
    for variant in variants:
        if variant.algorithm not in (GRPO, *ALGORITHMS):
            advice = did_you_mean(variant.algorithm, [GRPO, "gdpo", *ALGORITHMS])
            raise VariantError(f"{variant.label} is not an algorithm of this package; {advice}")
    return variants


def known_variants(text: str, known: Collection[str] | None) -> list[Variant]:
    """:func:`parse_variants` of algorithms that are among ``known``; None: it is not known which there are.

    Raises:
        VariantError: another one.
    """
    variants = parse_variants(text)
    for variant in variants:
        if known is not None and variant.algorithm not in known:
            advice = did_you_mean(variant.algorithm, sorted(known))
            raise VariantError(f"{variant.label} is an unknown algorithm; {advice}")
    return variants


def split_outside_brackets(text: str) -> list[str]:
    """The parts of ``text`` between commas that stand in no bracket."""
    parts, depth = [""], 0
    for char in text:
        depth += (char in "[{(") - (char in ")}]")
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return parts


def _check_key(algorithm: str, key: str) -> None:
    if "." in key:
        return
    if algorithm not in ALGORITHMS:
        raise VariantError(
            f"{algorithm} has no settings of its own; write {key} as the whole key, such as algorithm.{key}"
        )
    known = list(ALGORITHMS[algorithm].model_fields)
    if key not in known:
        raise VariantError(f"{algorithm} has no setting {key}; {did_you_mean(key, known)}")
