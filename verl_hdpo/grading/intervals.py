"""The values that solve an inequality in one unknown, as an interval or a union of two."""

from __future__ import annotations

from fractions import Fraction

from verl_hdpo.grading.evaluation import NoValue
from verl_hdpo.grading.formula import Node
from verl_hdpo.grading.numbers import Number
from verl_hdpo.grading.shapes import Formula, Group, Infinity, Relation, Shape, Union

FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "=", "!=": "!="}


def interval(relation: Relation) -> Shape | None:
    """What solves ``relation``; None unless its unknown stands alone, negated, or in bars as in ``|x - 1| < 2``."""
    terms, ops = relation.terms, relation.ops
    if ops[0] in (">", ">="):
        terms, ops = terms[::-1], tuple(FLIPPED[op] for op in ops[::-1])
    if len(ops) > 2 or not all(op in ("<", "<=") for op in ops):
        return None
    if sum(map(has_symbol, terms)) != 1:
        return None
    if len(ops) == 1:
        terms, ops = (
            ((Infinity(-1), *terms), ("<", *ops)) if has_symbol(terms[0]) else ((*terms, Infinity(1)), (*ops, "<"))
        )
    low, middle, high = terms
    if not isinstance(middle, Formula) or not has_symbol(middle):
        return None
    tree = middle.tree
    if tree.kind == "minus" and tree.args[0].kind == "symbol":
        return _between(_plus(high, -1), _plus(low, -1), ops[1], ops[0])
    if tree.kind == "function" and tree.name == "abs":
        centre = _centre(tree.args[0])
        return None if centre is None else _around(centre, low, high, ops)
    return _between(low, high, *ops) if tree.is_name() else None


def _between(low: Shape, high: Shape, left: str, right: str) -> Group:
    return Group((low, high), "[" if left == "<=" else "(", "]" if right == "<=" else ")")


def _around(centre: Fraction, low: Shape, high: Shape, ops: tuple[str, ...]) -> Shape:
    """Where the distance from ``centre`` is between ``low`` and ``high``."""
    if low == Infinity(-1):
        return _between(_plus(high, -1, centre), _plus(high, 1, centre), ops[1], ops[1])
    below = _between(_plus(high, -1, centre), _plus(low, -1, centre), ops[1], ops[0])
    return Union((below, _between(_plus(low, 1, centre), _plus(high, 1, centre), *ops)))


def _plus(shape: Shape, sign: int, centre: Fraction = Fraction(0)) -> Shape:
    """``centre + sign * shape``"""
    if isinstance(shape, Infinity):
        return Infinity(sign * shape.sign)
    if isinstance(shape, Number):
        return Number(centre + sign * shape.value, unit=shape.unit, percent=shape.percent)
    tree = tree_of(shape)
    return Formula(Node("sum", (Node("number", value=centre), tree if sign > 0 else Node("minus", (tree,)))), "")


def _centre(tree: Node) -> Fraction | None:
    """Where ``x``, ``x - 1`` or ``1 - x`` is zero; None for anything else."""
    symbols, total = [], Fraction(0)
    for term in tree.args if tree.kind == "sum" else (tree,):
        sign, term = (-1, term.args[0]) if term.kind == "minus" else (1, term)
        if term.kind == "symbol":
            symbols.append(sign)
        elif term.kind == "number":
            total += sign * term.value
        else:
            return None
    return -total * symbols[0] if len(symbols) == 1 else None


def has_symbol(shape: Shape) -> bool:
    return isinstance(shape, Formula) and bool(shape.tree.leaves("symbol"))


def tree_of(shape: Shape) -> Node:
    """
    Raises:
        NoValue: it is neither a number nor a formula.
    """
    if isinstance(shape, Formula):
        return shape.tree
    if isinstance(shape, Number):
        return Node("number", value=shape.value / 100 if shape.percent else shape.value)
    raise NoValue("no expression")
