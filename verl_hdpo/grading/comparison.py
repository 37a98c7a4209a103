"""Whether two shapes say the same; ``reference`` is the right one, and what is left to do in the other is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from verl_hdpo.grading import evaluation
from verl_hdpo.grading.doubt import is_harmless
from verl_hdpo.grading.evaluation import NoValue, close, proportional
from verl_hdpo.grading.formula import Node
from verl_hdpo.grading.intervals import FLIPPED, interval, tree_of
from verl_hdpo.grading.number_equality import is_rounded, same_number
from verl_hdpo.grading.numbers import Number
from verl_hdpo.grading.shapes import Formula, Group, Infinity, Matrix, Relation, Shape, Tagged, Union
from verl_hdpo.settings.policy import Policy

_NO_WORD = re.compile(r"\\[a-zA-Z]+|[^a-zA-Z ]|\b(?:[a-z]|[A-Z]+)\b")


def same(reference: Shape, answer: Shape, policy: Policy) -> bool:
    """Whether ``answer`` says what ``reference`` says."""
    return any(_same(one, other, policy) for one in _views(reference) for other in _views(answer))


def _same(reference: Shape, answer: Shape, policy: Policy) -> bool:
    for kinds, compare in _COMPARISONS:
        if isinstance(reference, kinds[0]) and isinstance(answer, kinds[1]):
            try:
                return bool(compare(reference, answer, policy))
            except NoValue:  # of the answer, or of both: has_value tells
                return False
    return False


def has_value(shape: Shape) -> bool:
    """Whether every formula in ``shape`` can be worked out somewhere."""
    if isinstance(shape, Formula):
        try:
            return evaluation.equal(shape.tree, shape.tree)
        except NoValue:
            return False
    if isinstance(shape, Group | Union | Relation):
        parts = shape.items if isinstance(shape, Group) else shape.parts if isinstance(shape, Union) else shape.terms
        return all(has_value(part) for part in parts)
    return True


def _views(shape: Shape) -> list[Shape]:
    """``shape`` and what it may be written for: ``5`` for ``x = 5``, an interval for an inequality."""
    views = [shape]
    if isinstance(shape, Relation):
        if set(shape.ops) == {"="} and _is_name(shape.terms[0]):
            views.append(shape.terms[-1])  # 11 for x = 5 + 6 = 11; the way there is not graded
        if (solution := interval(shape)) is not None:
            views.append(solution)
    if isinstance(shape, Group):
        if len(shape.items) == 1:
            views.append(shape.items[0])
        elif named := _named(shape):
            # x=1, x=2 are two values in any order; x=1, y=2 are a pair.
            brackets = "()" if _are_several(named) else ("", "")
            views.append(Group(tuple(value for _, value in named), *brackets))
        elif not shape.left and all(isinstance(one, Relation) for one in shape.items):
            intervals = [interval(one) for one in shape.items if isinstance(one, Relation)]
            if all(one is not None for one in intervals):
                views.append(Union(tuple(one for one in intervals if one is not None)))
    return views


def _named(shape: Shape) -> list[tuple[str, Shape]]:
    """Names and values of ``x = 1, y = 2``; none of anything else."""
    if not isinstance(shape, Group) or shape.left:
        return []
    relations = [one for one in shape.items if isinstance(one, Relation) and one.ops == ("=",)]
    if len(relations) < len(shape.items) or not all(_is_name(one.terms[0]) for one in relations):
        return []
    return [(_name(one.terms[0]), one.terms[1]) for one in relations]


def _name(shape: Shape) -> str:
    return shape.text.strip() if isinstance(shape, Formula) else ""


def _are_several(named: Sequence[tuple[str, Shape]]) -> bool:
    """Whether they name different things: ``x`` and ``y``, but not ``x_1`` and ``x_2``, which have no order."""
    return len({name.partition("_")[0] for name, _ in named}) > 1


def _is_name(shape: Shape) -> bool:
    """Whether it only names what is sought: ``x``, ``f(x)``, ``(p, q)``, ``|AB|``, but not ``x + y``."""
    if isinstance(shape, Tagged):
        return shape.kind == "names"
    if isinstance(shape, Group):
        return shape.left == "(" and all(_is_name(one) for one in shape.items)
    return isinstance(shape, Formula) and shape.tree.is_name() and is_harmless(_NO_WORD.sub(" ", shape.text))


def _number_and_formula(reference: Number, answer: Formula, policy: Policy) -> bool:
    """Only where the reference rounds it: ``\\sqrt{17}`` for 4.1231056, but not ``\\sqrt{16}`` for 4."""
    if answer.tree.leaves("symbol"):
        return False
    if policy.arithmetic and close(_real(answer.tree), evaluation.number(reference.value)):
        return True
    return bool(reference.places) and _is_irrational(answer.tree) and is_rounded(reference, _real(answer.tree), policy)


def _formula_and_number(reference: Formula, answer: Number, policy: Policy) -> bool:
    if reference.tree.leaves("symbol") or not _units_agree(reference, answer, policy):
        return False
    value = _real(reference.tree)
    return close(value, evaluation.number(tree_of(answer).value)) or is_rounded(answer, value, policy)


def _formulas(reference: Formula, answer: Formula, policy: Policy) -> bool:
    return _units_agree(reference, answer, policy) and evaluation.equal(reference.tree, answer.tree)


def _units_agree(reference: Formula, answer: Formula | Number, policy: Policy) -> bool:
    if not (reference.unit and answer.unit):
        return not reference.unit or policy.units == "optional"
    return reference.unit == answer.unit


def _real(tree: Node) -> Any:
    found = evaluation.value(tree)
    if evaluation.mp.im(found):
        raise NoValue("not real")
    return evaluation.mp.re(found)


def _is_irrational(tree: Node) -> bool:
    """Whether something in it has no end of digits: a root, a function, π or e."""
    return (
        tree.kind in ("root", "function")
        or (tree.kind == "constant" and tree.name in ("pi", "e"))
        or any(_is_irrational(arg) for arg in tree.args)
    )


def _groups(reference: Group, answer: Group, policy: Policy) -> bool:
    bare = not reference.left or not answer.left
    if not bare and _brackets(reference) != _brackets(answer):
        return False
    if _are_several(wanted := _named(reference)):
        found = _named(answer)
        if sorted(name for name, _ in wanted) != sorted(name for name, _ in found):
            return False  # its values are compared in their order
        pairs = zip(*(sorted(named, key=lambda one: one[0]) for named in (wanted, found)), strict=True)
        return all(same(one, other, policy) for (_, one), (_, other) in pairs)
    if reference.ordered or answer.ordered or (policy.list_order and "{" not in reference.left + answer.left):
        return _in_order(reference.items, answer.items, policy)
    is_set = "{" in reference.left + answer.left or all(isinstance(one, Group) for one in reference.items)
    return _any_order(reference.items, answer.items, policy, repeats=is_set)


def _brackets(group: Group) -> str:
    """Both, with those of a vector as a tuple's."""
    return (group.left + group.right).replace("<", "(").replace(">", ")")


def _in_order(wanted: Sequence[Shape], found: Sequence[Shape], policy: Policy) -> bool:
    return len(wanted) == len(found) and all(same(*pair, policy) for pair in zip(wanted, found, strict=True))


def _any_order(wanted: Sequence[Shape], found: Sequence[Shape], policy: Policy, repeats: bool = False) -> bool:
    """Each is the same as another one of the other side; with ``repeats`` those of ``found`` may come again."""
    left = list(found)
    for one in wanted:
        place = next((n for n, other in enumerate(left) if same(one, other, policy)), None)
        if place is None:
            return False
        del left[place]
    return not left or (repeats and all(any(same(one, other, policy) for one in wanted) for other in left))


def _unions(reference: Union, answer: Union, policy: Policy) -> bool:
    return _any_order(reference.parts, answer.parts, policy)


def _matrices(reference: Matrix, answer: Matrix, policy: Policy) -> bool:
    return len(reference.rows) == len(answer.rows) and all(
        _in_order(*rows, policy) for rows in zip(reference.rows, answer.rows, strict=True)
    )


def _vectors(group: Group, matrix: Matrix, policy: Policy) -> bool:
    """A tuple and a matrix of one column or row."""
    cells = [cell for row in matrix.rows for cell in row]
    is_vector = len(matrix.rows) == 1 or len(cells) == len(matrix.rows)
    return is_vector and group.left in ("(", "<") and _in_order(group.items, cells, policy)


def _relations(reference: Relation, answer: Relation, policy: Policy) -> bool:
    turned = Relation(answer.terms[::-1], tuple(FLIPPED[op] for op in answer.ops[::-1]))
    for one in (answer, turned):
        if one.ops == reference.ops and all(
            same(wanted, found, policy) for wanted, found in zip(reference.terms, one.terms, strict=True)
        ):
            return True
    if len(reference.ops) != 1 or len(answer.ops) != 1:
        return False
    try:
        factor = proportional(_difference(reference), _difference(answer))
    except NoValue:
        return False
    if factor is None:
        return False
    op = answer.ops[0] if factor >= 0 else FLIPPED[answer.ops[0]]
    return op == reference.ops[0] and (factor != 0 or op in ("=", "!="))


def _difference(relation: Relation) -> Node:
    left, right = (tree_of(term) for term in relation.terms)
    return Node("sum", (left, Node("minus", (right,))))


def _tagged(reference: Tagged, answer: Tagged, policy: Policy) -> bool:
    if len(reference.parts) != len(answer.parts):
        return False
    if reference.kind == "ratio" and answer.kind in ("ratio", "span"):  # 2:3, 2 to 3
        one, other = (_amounts(tagged) for tagged in (reference, answer))
        return all(one) and all(other) and all(a * other[0] == b * one[0] for a, b in zip(one, other, strict=True))
    return reference.kind == answer.kind and all(
        one == other if isinstance(one, str) or isinstance(other, str) else same(one, other, policy)
        for one, other in zip(reference.parts, answer.parts, strict=True)
    )


def _tagged_and_number(reference: Tagged, answer: Number, policy: Policy) -> bool:
    """``204`` for ``204_5``, the digits alone; ``3/4`` for ``3:4``."""
    if reference.kind == "base":
        return answer.value.denominator == 1 and str(answer.value) == reference.parts[0]
    return reference.kind == "ratio" and policy.ratios and _is_fraction_of(reference, answer)


def _number_and_tagged(reference: Number, answer: Tagged, policy: Policy) -> bool:
    return answer.kind == "ratio" and policy.ratios and _is_fraction_of(answer, reference)


def _is_fraction_of(ratio: Tagged, number: Number) -> bool:
    amounts = _amounts(ratio)
    return len(amounts) == 2 and number.slash and amounts[1] != 0 and amounts[0] / amounts[1] == number.value


def _amounts(tagged: Tagged) -> list[Fraction]:
    return [part.value if isinstance(part, Number) else Fraction(str(part)) for part in tagged.parts]


_COMPARISONS: list[tuple[tuple[type, type], Callable[..., bool]]] = [
    ((Number, Number), same_number),
    ((Number, Formula), _number_and_formula),
    ((Formula, Number), _formula_and_number),
    ((Formula, Formula), _formulas),
    ((Group, Group), _groups),
    ((Union, Union), _unions),
    ((Matrix, Matrix), _matrices),
    ((Group, Matrix), lambda reference, answer, policy: _vectors(reference, answer, policy)),
    ((Matrix, Group), lambda reference, answer, policy: _vectors(answer, reference, policy)),
    ((Relation, Relation), _relations),
    ((Tagged, Tagged), _tagged),
    ((Tagged, Number), _tagged_and_number),
    ((Number, Tagged), _number_and_tagged),
    ((Infinity, Infinity), lambda reference, answer, policy: bool(reference == answer)),
]
