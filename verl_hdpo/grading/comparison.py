"""Whether two shapes say the same; ``reference`` is the right one, and what is left to do in the other is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from verl_hdpo.grading import evaluation
from verl_hdpo.grading.evaluation import NoValue, close, proportional
from verl_hdpo.grading.formula import Node
from verl_hdpo.grading.number_equality import is_rounded, same_number
from verl_hdpo.grading.numbers import Number
from verl_hdpo.grading.policy import Policy
from verl_hdpo.grading.shapes import Formula, Group, Infinity, Matrix, Relation, Shape, Tagged, Union

_FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "=", "!=": "!="}


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
        if shape.ops[-1] == "=" and len(shape.ops) == 1 and _is_name(shape.terms[0]):
            views.append(shape.terms[-1])
        if set(shape.ops) == {"="} and len(shape.ops) > 1 and _is_name(shape.terms[0]) and _all_equal(shape.terms[1:]):
            views.append(shape.terms[-1])  # x = 5 + 6 = 11
        if (interval := _interval(shape)) is not None:
            views.append(interval)
    if isinstance(shape, Group):
        if len(shape.items) == 1:
            views.append(shape.items[0])
        elif not shape.left and all(isinstance(one, Relation) and one.ops == ("=",) for one in shape.items):
            relations = [one for one in shape.items if isinstance(one, Relation)]
            if all(_is_name(one.terms[0]) for one in relations):
                names = {
                    one.terms[0].text.partition("_")[0].strip() if isinstance(one.terms[0], Formula) else ""
                    for one in relations
                }
                # x=1, x=2 are two values in any order; x=1, y=2 are a pair.
                views.append(Group(tuple(one.terms[1] for one in relations), "" if len(names) == 1 else "("))
        elif not shape.left and all(isinstance(one, Relation) for one in shape.items):
            intervals = [_interval(one) for one in shape.items if isinstance(one, Relation)]
            if all(one is not None for one in intervals):
                views.append(Union(tuple(one for one in intervals if one is not None)))
    return views


def _all_equal(shapes: Sequence[Shape]) -> bool:
    try:
        values = [_real(_tree(shape)) for shape in shapes]
    except NoValue:
        return False
    return all(close(value, values[-1]) for value in values)


def _is_name(shape: Shape) -> bool:
    """Whether it only names what is sought: ``x``, ``f(x)``, ``(p, q)``, ``|AB|``, but not ``x + y``."""
    if isinstance(shape, Tagged):
        return shape.kind == "ratio"
    if isinstance(shape, Group):
        return shape.left == "(" and all(_is_name(one) for one in shape.items)
    return isinstance(shape, Formula) and _names_only(shape.tree)


def _names_only(tree: Node) -> bool:
    if tree.kind in ("symbol", "constant"):
        return True
    if tree.kind == "quotient" or (tree.kind == "product" and tree.args[0].kind != "number"):
        return all(_names_only(arg) or (tree.kind == "product" and arg.kind == "number") for arg in tree.args)
    return tree.kind == "function" and tree.name == "abs" and _names_only(tree.args[0])


def _interval(relation: Relation) -> Shape | None:
    """The values of the one symbol that solve ``relation``, where it stands alone or is linear in it."""
    ops, terms = relation.ops, relation.terms
    if (len(ops) == 2 and all(op in "<<=" for op in ops)) or (len(ops) == 2 and all(op in ">>=" for op in ops)):
        if not _is_unknown(terms[1]):
            return None
        low, high, left, right = terms[0], terms[2], ops[0], ops[1]
        if ">" in ops[0]:
            low, high, left, right = high, low, right, left
        return Group((low, high), "[" if "=" in left else "(", "]" if "=" in right else ")")
    if len(ops) != 1 or ops[0] in ("=", "!="):
        return None
    bound, op = terms[1], ops[0]
    if not _is_unknown(terms[0]):
        bound, op = terms[0], _FLIPPED[op]
        if not _is_unknown(terms[1]) or _has_symbol(bound):
            return _solved(relation)
    elif _has_symbol(bound):
        return None
    if "<" in op:
        return Group((Infinity(-1), bound), "(", "]" if "=" in op else ")")
    return Group((bound, Infinity(1)), "[" if "=" in op else "(", ")")


def _solved(relation: Relation) -> Shape | None:
    """``-x > -1`` as x < 1: multiplied by a number that is no symbol's."""
    left, right = relation.terms
    if not isinstance(left, Formula) or left.tree.kind != "minus" or _has_symbol(right):
        return None
    inner = left.tree.args[0]
    if inner.kind != "symbol":
        return None
    return _interval(Relation((Formula(inner, inner.name), _negated(right)), (_FLIPPED[relation.ops[0]],)))


def _negated(shape: Shape) -> Shape:
    if isinstance(shape, Number):
        return Number(-shape.value, shape.digits, shape.places, shape.unit, shape.percent)
    return Formula(Node("minus", (_tree(shape),)), "")


def _is_unknown(shape: Shape) -> bool:
    return isinstance(shape, Formula) and bool(shape.tree.leaves("symbol")) and _names_only(shape.tree)


def _has_symbol(shape: Shape) -> bool:
    return isinstance(shape, Formula) and bool(shape.tree.leaves("symbol"))


def _tree(shape: Shape) -> Node:
    if isinstance(shape, Formula):
        return shape.tree
    if isinstance(shape, Number):
        return Node("number", value=shape.value / 100 if shape.percent else shape.value)
    raise NoValue("no expression")


def _numbers(reference: Number, answer: Number, policy: Policy) -> bool:
    return same_number(reference, answer, policy)


def _number_and_formula(reference: Number, answer: Formula, policy: Policy) -> bool:
    """Only where the reference rounds it: ``\\sqrt{17}`` for 4.1231056, but not ``\\sqrt{16}`` for 4."""
    if answer.tree.leaves("symbol") or not reference.places or not _is_irrational(answer.tree):
        return False
    return is_rounded(reference, _real(answer.tree), policy)


def _formula_and_number(reference: Formula, answer: Number, policy: Policy) -> bool:
    if reference.tree.leaves("symbol"):
        return False
    value = _real(reference.tree)
    if close(value, evaluation.number(_tree(answer).value)):
        return _units_agree(reference, answer)
    return is_rounded(answer, value, policy) and _units_agree(reference, answer)


def _formulas(reference: Formula, answer: Formula, policy: Policy) -> bool:
    return _units_agree(reference, answer) and evaluation.equal(reference.tree, answer.tree)


def _units_agree(reference: Formula, answer: Formula | Number) -> bool:
    return not (reference.unit and answer.unit) or reference.unit == answer.unit


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
    if len(reference.items) != len(answer.items):
        return False
    if reference.ordered or answer.ordered:
        return all(same(one, other, policy) for one, other in zip(reference.items, answer.items, strict=True))
    return _any_order(reference.items, answer.items, policy)


def _brackets(group: Group) -> str:
    """Both, with those of a vector as a tuple's."""
    return (group.left + group.right).replace("<", "(").replace(">", ")")


def _any_order(wanted: Sequence[Shape], found: Sequence[Shape], policy: Policy) -> bool:
    """Each is the same as another one of the other side."""
    left = list(found)
    for one in wanted:
        place = next((n for n, other in enumerate(left) if same(one, other, policy)), None)
        if place is None:
            return False
        del left[place]
    return not left


def _unions(reference: Union, answer: Union, policy: Policy) -> bool:
    return _any_order(reference.parts, answer.parts, policy) if len(reference.parts) == len(answer.parts) else False


def _matrices(reference: Matrix, answer: Matrix, policy: Policy) -> bool:
    if [len(row) for row in reference.rows] != [len(row) for row in answer.rows]:
        return False
    pairs = (
        (one, other)
        for row, others in zip(reference.rows, answer.rows, strict=True)
        for one, other in zip(row, others, strict=True)
    )
    return all(same(one, other, policy) for one, other in pairs)


def _relations(reference: Relation, answer: Relation, policy: Policy) -> bool:
    turned = Relation(answer.terms[::-1], tuple(_FLIPPED[op] for op in answer.ops[::-1]))
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
    op = answer.ops[0] if factor >= 0 else _FLIPPED[answer.ops[0]]
    return op == reference.ops[0] and (factor != 0 or op in ("=", "!="))


def _difference(relation: Relation) -> Node:
    left, right = (_tree(term) for term in relation.terms)
    return Node("sum", (left, Node("minus", (right,))))


def _tagged(reference: Tagged, answer: Tagged, policy: Policy) -> bool:
    if reference.kind != answer.kind or len(reference.parts) != len(answer.parts):
        return False
    if reference.kind == "ratio":
        amounts = [[part.value for part in one.parts if isinstance(part, Number)] for one in (reference, answer)]
        return all(a * amounts[1][0] == b * amounts[0][0] for a, b in zip(*amounts, strict=True)) and any(amounts[0])
    return all(
        one == other if isinstance(one, str) or isinstance(other, str) else same(one, other, policy)
        for one, other in zip(reference.parts, answer.parts, strict=True)
    )


def _tagged_and_number(reference: Tagged, answer: Number, policy: Policy) -> bool:
    """``204`` for ``204_5``, the digits alone; ``3/4`` for ``3:4``."""
    if reference.kind == "base":
        return answer.value.denominator == 1 and str(answer.value) == reference.parts[0]
    return reference.kind == "ratio" and _is_fraction_of(reference, answer)


def _number_and_tagged(reference: Number, answer: Tagged, policy: Policy) -> bool:
    return answer.kind == "ratio" and _is_fraction_of(answer, reference)


def _is_fraction_of(ratio: Tagged, number: Number) -> bool:
    amounts = [part.value for part in ratio.parts if isinstance(part, Number)]
    return len(amounts) == 2 and number.slash and amounts[1] != 0 and amounts[0] / amounts[1] == number.value


_COMPARISONS: list[tuple[tuple[type, type], Callable[..., bool]]] = [
    ((Number, Number), _numbers),
    ((Number, Formula), _number_and_formula),
    ((Formula, Number), _formula_and_number),
    ((Formula, Formula), _formulas),
    ((Group, Group), _groups),
    ((Union, Union), _unions),
    ((Matrix, Matrix), _matrices),
    ((Relation, Relation), _relations),
    ((Tagged, Tagged), _tagged),
    ((Tagged, Number), _tagged_and_number),
    ((Number, Tagged), _number_and_tagged),
    ((Infinity, Infinity), lambda reference, answer, policy: bool(reference == answer)),
]
