"""What an answer is made of: a number, a formula, a list, an interval, a relation, a matrix, or words."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from verl_hdpo.grading.brackets import depth, split, top_level
from verl_hdpo.grading.evaluation import signs
from verl_hdpo.grading.formula import MAX_DEPTH, Node, UnreadableFormula, read_formula
from verl_hdpo.grading.numbers import Number, read_number
from verl_hdpo.grading.units import Unit, known_unit
from verl_hdpo.settings.policy import Policy

MAX_ITEMS = 200
_EMPTY = frozenset({"\\emptyset", "\\{\\}", "no solution", "no solutions", "no real solution", "no real solutions",
    "empty set", "the empty set", "there is no solution"})  # fmt: skip
_REALS = frozenset({"\\mathbb{R}", "\\mathbf{R}", "\\R", "all real numbers", "all reals", "all real", "any real number",
    "the set of all real numbers", "all real numbers.\\}:\\mathbb{r"})  # fmt: skip
_RELATIONS = {
    "=": "=",
    "<=": "<=",
    ">=": ">=",
    "!=": "!=",
    "\\le": "<=",
    "\\ge": ">=",
    "\\ne": "!=",
    "<": "<",
    ">": ">",
}
_SEPARATORS = (",", ";", "\\land", "\\lor", "\\vee", "\\wedge")
_AND = re.compile(r",?\s*\\(?:text|mathrm)\s*\{\s*,?\s*(?:and|or)\s*\}\s*|,?\s+(?:and|or)\s+")
_MATRIX = re.compile(r"\\begin\s*\{([a-zA-Z]*)\}(?:\s*\{[clr|]+\})?(.*)\\end\s*\{\1\}", re.DOTALL)
_MATRICES = frozenset("pmatrix bmatrix matrix array Bmatrix smallmatrix".split())
_BASED = re.compile(r"([0-9A-Fa-f]+)_\s*(?:\{\s*(\d+)\s*\}|(\d+))")
_IN = re.compile(
    r"\s*\(?\s*(?:\\(?!in\b)[a-z]+|[a-zA-Z])(?:_\{?\w+\}?|\s*\(\w\))?(?:\s*,\s*[a-zA-Z](?:_\{?\w+\}?)?)*\s*\)?\s*\\in(?![a-zA-Z])"
)
_RATIO = re.compile(r"(?:0|[1-9]\d*)(?:\.\d+)?(?:\s*:\s*(?:0|[1-9]\d*)(?:\.\d+)?)+")
_MODULUS = re.compile(r"\(?\s*(?:\\pmod|\\bmod|\\mod|\bmod\b)\s*")
_SPAN = re.compile(r"(?:from\s+|between\s+)?(-?\d+(?:\.\d+)?)\s*(?:-|\bto\b|\band\b(?<=and))\s*(\d+(?:\.\d+)?)")
_LEFT, _RIGHT = ("(", "[", "{", "<"), (")", "]", "}", ">")


@dataclass(frozen=True)
class Formula:
    """An expression that is more than a number."""

    tree: Node
    text: str
    unit: Unit | None = None


@dataclass(frozen=True)
class Group:
    """Several in brackets, or in none: then ``left`` is empty."""

    items: tuple[Shape, ...]
    left: str = ""
    right: str = ""

    @property
    def ordered(self) -> bool:
        return self.left in ("(", "[", "<")


@dataclass(frozen=True)
class Union:
    """Intervals or sets; the one of none of them is empty."""

    parts: tuple[Shape, ...]


@dataclass(frozen=True)
class Relation:
    """``terms[0] ops[0] terms[1] ...``"""

    terms: tuple[Shape, ...]
    ops: tuple[str, ...]


@dataclass(frozen=True)
class Matrix:
    rows: tuple[tuple[Shape, ...], ...]


@dataclass(frozen=True)
class Tagged:
    """What is equal only to the same of its kind: a number of another base, a residue, a ratio, a span."""

    kind: str
    parts: tuple[Shape | str, ...]


@dataclass(frozen=True)
class Infinity:
    sign: int


Shape = Number | Formula | Group | Union | Relation | Matrix | Tagged | Infinity
REALS = Group((Infinity(-1), Infinity(1)), "(", ")")


class NoShape(ValueError):
    """Words, or mathematics of a kind that is not read here."""


def read_shape(text: str, policy: Policy, prose: bool = False) -> Shape:
    """
    Args:
        text: peeled.
        prose: whether words may stand before a number.

    Raises:
        NoShape: it has none that is known.
    """
    if depth(text) > MAX_DEPTH:
        raise NoShape("too deep")
    text = text.strip()
    if (found := _special(text)) is not None:
        return found
    if (number := read_number(text, policy, prose)) is not None:
        return number
    for reader in (_tagged, _matrix, _union, _listed, _relation, _bracketed, _with_sign):
        if (shape := reader(text, policy)) is not None:
            return shape
    return _formula(text)


@functools.cache
def without_decimal_comma(policy: Policy) -> Policy:
    return policy.model_copy(update={"decimal_comma": False})


def _special(text: str) -> Shape | None:
    plain = re.sub(r"\s*([\\{}:])\s*", r"\1", text.replace("$", "")).strip("\\{} ").casefold()
    if text in _EMPTY or plain in _EMPTY or text.casefold() in _EMPTY:
        return Union(())
    if text in _REALS or text.casefold() in _REALS or plain in _REALS:
        return REALS
    bare = text.replace(" ", "").casefold()
    if bare.lstrip("+-") in ("\\infty", "infinity", "inf"):
        return Infinity(-1 if bare.startswith("-") else 1)
    return None


def _tagged(text: str, policy: Policy) -> Shape | None:
    if found := _BASED.fullmatch(text):
        return Tagged("base", (found[1].upper(), found[2] or found[3]))
    if found := _RATIO.fullmatch(text):
        return Tagged("ratio", tuple(Number(Fraction(part)) for part in text.replace(" ", "").split(":")))
    if (found := _SPAN.fullmatch(text)) and _is_span(text, found):
        return Tagged("span", (found[1], found[2]))
    names = split(text, (":",))
    if len(names) > 1 and not re.search(r"[\s=<>]", text):
        with contextlib.suppress(UnreadableFormula):
            if all(read_formula(name).is_name() for name in names):
                return Tagged("names", tuple(names))
    if found := _MODULUS.search(text):
        modulus = text[found.end() :].strip("(){} ")
        left = text[: found.start()].strip(" (").replace("\\equiv", "=")
        return Tagged("residue", (read_shape(left, policy), read_shape(modulus, policy)))
    return None


def _is_span(text: str, found: re.Match[str]) -> bool:
    """``1-5`` and ``3 to 9``, but not ``5 - 1``, a difference, and not ``1 and 5``, a list."""
    if "between" not in text and "and" in text:
        return False
    return "-" not in text[found.end(1) : found.start(2)] or " " not in text


def _matrix(text: str, policy: Policy) -> Shape | None:
    found = _MATRIX.fullmatch(text.strip("()[] "))
    if found is None or found[1] not in _MATRICES:
        return None
    rows = [row for row in re.split(r"\\\\", found[2]) if row.strip()]
    read = tuple(tuple(read_shape(cell, policy) for cell in row.split("&")) for row in rows)
    if sum(map(len, read)) > MAX_ITEMS:
        raise NoShape("too many")
    return Matrix(read)


def _union(text: str, policy: Policy) -> Shape | None:
    parts = split(text, ("\\cup",)) if "\\cup" in text else re.split(r"(?<=[\])])\s*U\s*(?=[\[(])", text)
    if len(parts) < 2:
        return None
    first = _IN.sub("", parts[0], count=1)
    return Union(tuple(read_shape(part, policy) for part in [first, *parts[1:]]))


def _listed(text: str, policy: Policy) -> Shape | None:
    if text.startswith("<") and text.endswith(">"):
        return None
    plain = _AND.sub(" , ", text)
    plain = re.sub(r"(?<=[\d)\]}])\s*or\s*(?=[\d(\[A-Za-z\\])", " , ", plain)
    parts = [part.strip() for part in split(plain, _SEPARATORS)]
    groups = split(plain, (";",))
    if 1 < len(groups) < len(parts):  # p=5, q=2; p=7, q=2
        read = [read_shape(group, policy) for group in groups]
        return Group(
            tuple(Group(one.items, "(", ")") if isinstance(one, Group) and not one.left else one for one in read)
        )
    if len(parts) < 2 or any(not part for part in parts):
        return None
    if len(parts) > MAX_ITEMS:
        raise NoShape("too many")
    if not _is_bracketed(parts[0]):
        parts[0] = _IN.sub("", parts[0], count=1)
    shapes = [_relation(part, policy) or read_shape(part, policy) for part in parts]
    if (
        isinstance(shapes[0], Relation)
        and not any(isinstance(one, Relation) for one in shapes[1:])
        and shapes[0].ops in (("=",), ("!=",))
        and isinstance(shapes[0].terms[0], Formula)
        and shapes[0].terms[0].tree.is_name()
        and not isinstance(shapes[0].terms[1], Group)
    ):  # x = 1, 2
        op = shapes[0].ops
        if op == ("=",):
            shapes[0] = shapes[0].terms[1]
        else:
            shapes[1:] = [Relation((shapes[0].terms[0], one), op) for one in shapes[1:]]
    return Group(tuple(one for shape in shapes for one in _flat(shape)))


def _flat(shape: Shape) -> Sequence[Shape]:
    return shape.items if isinstance(shape, Group) and not shape.left else (shape,)


def _relation(text: str, policy: Policy) -> Shape | None:
    if found := _IN.match(text):
        return read_shape(text[found.end() :], policy)
    places, start, terms, ops = set(top_level(text)), 0, [], []
    place = 0
    if text.startswith("<") and text.endswith(">"):
        return None
    while place < len(text):
        op = next((one for one in _RELATIONS if text.startswith(one, place)), None) if place in places else None
        if op and not (op[-1].isalpha() and text[place + len(op) : place + len(op) + 1].isalpha()):
            terms.append(text[start:place])
            ops.append(_RELATIONS[op])
            place = start = place + len(op)
        else:
            place += 1
    if not ops:
        return None
    terms.append(text[start:])
    if any(not term.strip() for term in terms):
        raise NoShape("a relation without a side")
    return Relation(tuple(read_shape(term, policy) for term in terms), tuple(ops))


def _is_bracketed(text: str) -> bool:
    left, right = ("\\{" if text.startswith("\\{") else text[:1]), ("\\}" if text.endswith("\\}") else text[-1:])
    if left.removeprefix("\\") not in _LEFT or right.removeprefix("\\") not in _RIGHT:
        return False
    if left == "<":
        return right == ">"
    inside = text[len(left) : len(text) - len(right)]
    level = 0
    for char in inside:
        level += (char in "([{") - (char in ")]}")
        if level < 0:
            return False
    return level == 0


def _bracketed(text: str, policy: Policy) -> Shape | None:
    if len(text) < 3 or not _is_bracketed(text):
        return None
    width = 2 if text.startswith("\\{") else 1
    left, right = text[width - 1], text[-1]
    inside = text[width : -2 if text.endswith("\\}") else -1].strip()
    mid = split(inside, ("|", ":"))
    if left == "{" and len(mid) == 2 and re.search(r"[<>=]|\\(?:le|ge|ne|in)\b", mid[1]):  # {x | x < 3}
        return read_shape(mid[1], policy)
    strict = without_decimal_comma(policy) if re.fullmatch(r"[^()\[\]{}]*,[^()\[\]{}]*", inside) else policy
    found = _listed(inside, strict)
    if isinstance(found, Group):
        return Group(found.items, left, right)
    if left == "{":
        return Group((read_shape(inside, policy),), left, right)
    return read_shape(inside, policy)


def _with_sign(text: str, policy: Policy) -> Shape | None:
    """Both numbers that ± stands for."""
    if "\\pm" not in text and "\\mp" not in text:
        return None
    found = _formula(text)
    if not isinstance(found, Formula):
        return None
    return Group(tuple(_folded(Formula(tree, f"{text} {n}", found.unit)) for n, tree in enumerate(signs(found.tree))))


def _folded(formula: Formula) -> Shape:
    """A number, if it is one with its sign."""
    tree, sign = formula.tree, 1
    if tree.kind == "minus":
        tree, sign = tree.args[0], -1
    return Number(sign * tree.value, unit=formula.unit) if tree.kind == "number" else formula


def _formula(text: str) -> Shape:
    unit = None
    tail = re.search(
        r"(?:(?<=[\d)}\s])\\(?:text|mathrm|mbox)\s*\{[^{}]*\}(?:\s*\^\s*\{?\d\}?)?|\s[A-Za-z]{2,}|\^\s*\\circ)$", text
    )
    if tail and (unit := known_unit(tail[0])):
        text = text[: tail.start()].strip()
    if is_wordy(text):
        raise NoShape("words")
    try:
        return Formula(read_formula(text), text, unit)
    except UnreadableFormula as error:
        raise NoShape(str(error)) from None


_NAMES_OF_MATHEMATICS = re.compile(
    r"\\[a-zA-Z]+(?:\s*\{[a-zA-Z,. ]*\})?|\b(?:sqrt|arcsin|arccos|arctan|sin|cos|tan|cot|sec|csc|log|exp|infinity|mod)"
    r"(?=\b|\d|_)|(?<![a-zA-Z])pi(?![a-zA-Z])|_\{[a-zA-Z]+\}"
)
_DECADE = re.compile(r"\d{4}s")


def is_wordy(text: str) -> bool:
    """Whether ``text`` is words: a run of letters, no name of mathematics, too long to be a product of letters."""
    rest = _NAMES_OF_MATHEMATICS.sub(" ", text)
    if _DECADE.fullmatch(text) or re.search(r"[^\W\d_]{5}|[^\x00-\x7f]{2}", rest):
        return True
    if re.search(r"[\d+*/^=<>(){}\[\]\\|_]", text):
        return bool(
            re.search(r"(?<![a-zA-Z])[aeiou]?[b-df-hj-np-tv-z]*[aeiou][a-z]{2,}|\b(?:not|and|or)\b", rest)
        ) and not re.search(r"[\^_=*]", text)
    return bool(re.search(r"[^\W\d_]{2}", rest)) or (not rest.isascii() and bool(re.search(r"\w", rest)))
