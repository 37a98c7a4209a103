"""Whether two formulas have one value, found by working both out at a few points.

Every operation is bounded before it is done, so that no formula takes long: what is too large has no value here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

from mpmath import MPContext

from verl_hdpo.grading.formula import Node

DIGITS = 50
TOLERANCE = 1e-25
MAX_EXPONENT = 1e6
MAX_FACTORIAL = 5000
MAX_ARGUMENT = 1e6
POINTS = 3


class NoValue(ArithmeticError):
    """A formula has no finite value at a point."""


class TooLarge(NoValue):
    """A formula would take too long to work out."""


mp = MPContext()
mp.dps = DIGITS


def signs(tree: Node) -> Iterator[Node]:
    """``tree`` itself, or both formulas that its ± stand for; all of them go together."""
    if not _has(tree, ("pm", "mp")):
        yield tree
        return
    for upper in ("pm", "mp"):
        yield _signed(tree, upper)


def value(tree: Node, point: int = 0) -> Any:
    """At one of ``POINTS`` points: all positive at the first, of mixed signs at the others.

    Raises:
        NoValue: there is none.
    """
    try:
        found = _value(tree, point)
    except (ZeroDivisionError, ValueError, OverflowError, TypeError) as error:
        raise NoValue(str(error)) from None
    if not (mp.isfinite(found)):
        raise NoValue("not finite")
    return found


def equal(one: Node, other: Node) -> bool:
    """Whether they are equal wherever both are real, and at a point where all symbols are positive.

    Raises:
        NoValue: one of them has no value at any point.
    """
    compared = False
    for point in range(POINTS):
        try:
            left, right = value(one, point), value(other, point)
        except TooLarge:
            raise
        except NoValue:
            continue
        if point and (mp.im(left) or mp.im(right)):
            continue
        compared = True
        if not close(left, right):
            return False
    if not compared:
        raise NoValue("no point at which both have a value")
    return True


def proportional(one: Node, other: Node) -> int | None:
    """The sign of the constant that ``other`` is times ``one``, 0 if it is not real; None if there is no such."""
    ratios = []
    for point in range(POINTS):
        left, right = value(one, point), value(other, point)
        if abs(left) < TOLERANCE or abs(right) < TOLERANCE:
            return None
        ratios.append(right / left)
    if not all(close(ratio, ratios[0]) for ratio in ratios):
        return None
    ratio = ratios[0]
    return 0 if abs(mp.im(ratio)) > TOLERANCE else 1 if mp.re(ratio) > 0 else -1


def close(left: Any, right: Any) -> bool:
    return bool(abs(left - right) <= TOLERANCE * max(abs(left), abs(right)) + mp.mpf(10) ** -45)


def number(amount: Fraction) -> Any:
    return mp.mpf(amount.numerator) / amount.denominator


def _has(tree: Node, kinds: tuple[str, ...]) -> bool:
    return tree.kind in kinds or any(_has(arg, kinds) for arg in tree.args)


def _signed(tree: Node, upper: str) -> Node:
    args = tuple(_signed(arg, upper) for arg in tree.args)
    if tree.kind in ("pm", "mp"):
        return args[0] if tree.kind == upper else Node("minus", args)
    return Node(tree.kind, args, tree.name, tree.value)


def _symbol(name: str, point: int) -> Any:
    seed = hashlib.sha256(f"{point} {name}".encode()).digest()
    size = Fraction(int.from_bytes(seed[:12], "big"), 2**96) * 2 + Fraction(1, 3)
    negative = point and (hashlib.sha256(name.encode()).digest()[0] + point) % 2  # each symbol at one of the two
    return number(-size if negative else size)


def _value(tree: Node, point: int) -> Any:
    if tree.kind == "number":
        return number(tree.value)
    if tree.kind == "symbol":
        return _symbol(tree.name, point)
    if tree.kind == "constant":
        if tree.name == "infinity":
            raise NoValue("infinite")
        return {"pi": +mp.pi, "e": +mp.e, "i": mp.mpc(0, 1), "degree": mp.pi / 180}[tree.name]
    args = [_value(arg, point) for arg in tree.args]
    return _OPERATIONS[tree.kind](*args) if tree.kind != "function" else _function(tree.name, *args)


def _power(base: Any, exponent: Any) -> Any:
    if base == 0:
        if mp.re(exponent) <= 0:
            raise NoValue("zero to a power that is not positive")
        return mp.zero
    if abs(exponent) > MAX_EXPONENT or abs(exponent) * abs(mp.log(abs(base))) > MAX_EXPONENT:
        raise TooLarge("a power")
    return mp.power(base, exponent)


def _root(radicand: Any, index: Any = 2) -> Any:
    if index != 2 and mp.im(radicand) == 0 and mp.re(radicand) < 0 and mp.isint(index) and int(index) % 2:
        return -_power(-radicand, 1 / mp.mpf(index))
    if abs(index) < 1e-6:
        raise NoValue("a root of index zero")
    return mp.zero if radicand == 0 else _power(radicand, 1 / mp.mpmathify(index))


def _factorial(of: Any) -> Any:
    if abs(of) > MAX_FACTORIAL:
        raise TooLarge("a factorial")
    return mp.factorial(of)


def _binomial(n: Any, k: Any) -> Any:
    if max(abs(n), abs(k)) > MAX_FACTORIAL:
        raise TooLarge("a binomial coefficient")
    return mp.binomial(n, k)


def _function(name: str, argument: Any, base: Any = None) -> Any:
    if name in ("log", "ln"):
        if argument == 0:
            raise NoValue("the logarithm of zero")
        if name == "ln" and base is None:
            return mp.log(argument)
        return mp.log(argument) / mp.log(10 if base is None else base)
    if abs(argument) > MAX_ARGUMENT and name not in ("abs", "floor", "ceil"):
        raise TooLarge(name)
    return _FUNCTIONS[name](argument)


_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "sin": mp.sin, "cos": mp.cos, "tan": mp.tan, "cot": mp.cot, "sec": mp.sec, "csc": mp.csc, "arcsin": mp.asin,
    "arccos": mp.acos, "arctan": mp.atan, "sinh": mp.sinh, "cosh": mp.cosh, "tanh": mp.tanh, "coth": mp.coth,
    "exp": mp.exp, "abs": abs, "floor": mp.floor, "ceil": mp.ceil,
}  # fmt: skip
_OPERATIONS: dict[str, Callable[..., Any]] = {
    "sum": lambda *terms: mp.fsum(terms),
    "minus": lambda one: -one,
    "product": lambda one, other: one * other,
    "quotient": lambda over, under: over / under,
    "power": _power,
    "root": _root,
    "factorial": _factorial,
    "binomial": _binomial,
}
