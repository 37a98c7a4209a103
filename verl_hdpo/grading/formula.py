"""Formulas, in LaTeX or as programmers write them, read into a tree of operations."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

MAX_CHARS = 600
MAX_DEPTH = 24

FUNCTIONS = frozenset(
    "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh coth asin acos atan log ln exp lg "
    "sqrt abs floor ceil".split()
)
_ALIASES = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "lg": "log", "overrightarrow": "vec"}
_CONSTANTS = {"pi": "pi", "infty": "infinity", "infinity": "infinity", "inf": "infinity", "circ": "degree"}
_FONTS = frozenset(
    "mathbf mathit mathsf mathcal mathfrak boldsymbol bm text mathrm textrm textbf textit operatorname mbox".split()
)
_ACCENTS = frozenset("hat vec bar overline tilde dot ddot widehat overrightarrow underline mathbb".split())
_GREEK = frozenset(
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho sigma tau "
    "upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega hbar ell Re Im angle "
    "triangle".split()
)
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?|\.\d+)|(?P<command>\\[a-zA-Z]+)|(?P<escaped>\\[^a-zA-Z])|(?P<letters>[^\W\d_]+)"
    r"|(?P<operator>\*\*|.))"
)
_NAMES = sorted([*FUNCTIONS, "pi", "infinity", "infty"], key=len, reverse=True)


class UnreadableFormula(ValueError):
    """Not a formula of the kinds that are read here."""


@dataclass(frozen=True)
class Node:
    """An operation on others, or a leaf: ``number`` with a value, ``symbol`` or ``constant`` with a name."""

    kind: str
    args: tuple[Node, ...] = ()
    name: str = ""
    value: Fraction = Fraction(0)

    def leaves(self, kind: str) -> set[str]:
        """Names of the leaves of that kind."""
        found = {self.name} if self.kind == kind else set()
        return found.union(*(arg.leaves(kind) for arg in self.args))

    def is_name(self) -> bool:
        """Whether it only names something: ``x``, ``f(x)``, ``AB/CD``, ``|AB|``, but not ``2x``."""
        if self.kind in ("symbol", "constant"):
            return True
        if self.kind == "quotient" or (self.kind == "product" and self.args[0].kind != "number"):
            return all(arg.is_name() or (self.kind == "product" and arg.kind == "number") for arg in self.args)
        return self.kind == "function" and self.name == "abs" and self.args[0].is_name()


def read_formula(text: str) -> Node:
    """
    Raises:
        UnreadableFormula: too long, too deep, or of another kind.
    """
    if len(text) > MAX_CHARS:
        raise UnreadableFormula("too long")
    reader = _Reader(_tokens(text.replace("$", " ").strip()))
    tree = reader.sum()
    if reader.kind:
        raise UnreadableFormula(f"{reader.text!r} left over")
    return tree


def _tokens(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    place = 0
    while place < len(text) and (token := _TOKEN.match(text, place)):
        place = token.end()
        kind = token.lastgroup or ""
        if kind != "letters":
            found.append((kind, token[kind]))
            continue
        letters = token[kind]
        while letters:
            name = next((one for one in _NAMES if letters.startswith(one)), None)
            if name is not None:
                found.append(("command", "\\" + name))
                letters = letters[len(name) :]
                continue
            found.append(("letter", letters[0]))
            letters = letters[1:]
            if not letters and (digits := re.compile(r"\d+(?![\d.]|\s*\^)").match(text, place)):
                found.append(("subscript", digits[0]))  # x1
                place = digits.end()
    return found


class _Reader:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens, self._place, self._depth, self._bars = tokens, 0, 0, 0

    @property
    def kind(self) -> str:
        return self._tokens[self._place][0] if self._place < len(self._tokens) else ""

    @property
    def text(self) -> str:
        return self._tokens[self._place][1] if self._place < len(self._tokens) else ""

    def take(self, *texts: str) -> str:
        """The next token, if it is one of ``texts``; else an empty text."""
        if self.kind and self.kind != "subscript" and self.text in texts:
            self._place += 1
            return self._tokens[self._place - 1][1]
        return ""

    def need(self, text: str) -> None:
        if not self.take(text):
            raise UnreadableFormula(f"{text!r} missing")

    def sum(self) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise UnreadableFormula("too deep")
        terms = [self.term()]
        while sign := self.take("+", "-", "\\pm", "\\mp"):
            term = self.term()
            terms.append(term if sign == "+" else Node("minus", (term,)) if sign == "-" else Node(sign[1:], (term,)))
        self._depth -= 1
        return terms[0] if len(terms) == 1 else Node("sum", tuple(terms))

    def term(self) -> Node:
        if sign := self.take("+", "-", "\\pm", "\\mp"):
            inner = self.term()
            return inner if sign == "+" else Node("minus" if sign == "-" else sign[1:], (inner,))
        found = self.power()
        while True:
            if self.take("*", "\\times", "\\cdot", "\\ast"):
                sign = self.take("-", "+")
                factor = self.power()
                found = Node("product", (found, Node("minus", (factor,)) if sign == "-" else factor))
            elif self.take("/"):
                sign = self.take("-", "+")
                below = self.power()
                found = Node("quotient", (found, Node("minus", (below,)) if sign == "-" else below))
            elif self._starts_factor():
                if self.kind == "number" and found.kind == "number":
                    raise UnreadableFormula("two numbers side by side")
                found = Node("product", (found, self.power()))
            else:
                return found

    def _starts_factor(self) -> bool:
        if self.kind in ("number", "letter"):
            return True
        if self.kind == "command":
            return self.text not in ("\\pm", "\\mp", "\\times", "\\cdot", "\\ast", "\\rfloor", "\\rceil")
        return self.text in ("(", "[", "{", "\\{") or (self.text == "|" and not self._bars)

    def power(self) -> Node:
        return self._raised(self.atom())

    def _raised(self, base: Node) -> Node:
        while True:
            if self.take("!"):
                base = Node("factorial", (base,))
            elif self.take("^", "**"):
                if self.take("\\circ"):
                    base = Node("product", (base, Node("constant", name="degree")))
                    continue
                exponent = self._script()
                return self._raised_after(Node("power", (base, exponent)))
            else:
                return base

    def _raised_after(self, base: Node) -> Node:
        return Node("factorial", (base,)) if self.take("!") else base

    def _script(self) -> Node:
        """What ``^`` or ``_`` applies to: a group, or a number with its sign, as programmers write it."""
        if self.take("{"):
            inner = self.sum()
            self.need("}")
            return inner
        if sign := self.take("-", "+"):
            inner = self._script()
            return Node("minus", (inner,)) if sign == "-" else inner
        return self.power()

    def _argument(self) -> Node:
        """Of a LaTeX command: a group or one character."""
        if self.take("{"):
            inner = self.sum()
            self.need("}")
            return inner
        if self.kind == "number" and len(self.text) > 1 and self.text.isdigit():
            kind, text = self._tokens[self._place]
            self._tokens[self._place] = (kind, text[1:])
            return Node("number", value=Fraction(int(text[0])))
        return self.atom()

    def atom(self) -> Node:
        kind, text = self.kind, self.text
        if not kind:
            raise UnreadableFormula("it ends too early")
        self._place += 1
        if kind == "number":
            if self.text == "_" and self.kind == "operator":
                raise UnreadableFormula("a number of another base")
            return Node("number", value=Fraction(text))
        if kind == "letter":
            return self._symbol(text)
        if kind == "command":
            return self._command(text[1:])
        if text in ("(", "[", "{", "\\{"):
            bars, self._bars = self._bars, 0
            inner = self.sum()
            self._bars = bars
            self.need({"(": ")", "[": "]", "{": "}", "\\{": "\\}"}[text])
            return inner
        if text == "|":
            self._bars += 1
            inner = self.sum()
            self._bars -= 1
            self.need("|")
            return Node("function", (inner,), "abs")
        raise UnreadableFormula(f"{text!r} is not expected")

    def _symbol(self, name: str) -> Node:
        if self.kind == "subscript":
            name += "_" + self.text
            self._place += 1
        while mark := self.take("_", "'"):
            name += "'" if mark == "'" else "_" + self._raw()
        while self.text == "^" and self._place + 1 < len(self._tokens) and self._is_prime():
            name += "'"
        return Node("constant", name=name) if name in ("e", "i") else Node("symbol", name=name)

    def _is_prime(self) -> bool:
        """Steps over ``^\\prime`` and ``^{\\prime}``."""
        texts = [text for _, text in self._tokens[self._place + 1 : self._place + 4]]
        if texts[:1] == ["\\prime"]:
            self._place += 2
            return True
        if texts == ["{", "\\prime", "}"]:
            self._place += 4
            return True
        return False

    def _raw(self) -> str:
        """The text of a group, or the next token."""
        if not self.take("{"):
            text = self.text
            if not text:
                raise UnreadableFormula("it ends too early")
            self._place += 1
            return text
        parts: list[str] = []
        level = 1
        while self.kind:
            level += (self.text == "{") - (self.text == "}")
            text = self.text
            self._place += 1
            if not level:
                return "".join(part for part in parts if part not in ("{", "}"))
            parts.append(text)
        raise UnreadableFormula("a group is not closed")

    def _command(self, name: str) -> Node:
        name = _ALIASES.get(name, name)
        if name in ("frac", "binom"):
            over = self._argument()
            return Node("quotient" if name == "frac" else "binomial", (over, self._argument()))
        if name == "sqrt":
            index = None
            if self.take("["):
                index = self.sum()
                self.need("]")
            return Node("root", (self._argument(), index) if index is not None else (self._argument(),))
        if name in FUNCTIONS:
            return self._function(name)
        if name in _CONSTANTS:
            return Node("constant", name=_CONSTANTS[name])
        if name in _GREEK:
            return self._symbol("\\" + name)
        if name in _FONTS:
            name = self._raw()
            return self._symbol(name if len(name) == 1 else f"text {name}")
        if name in _ACCENTS:
            return self._symbol(f"{name} {self._raw()}")
        if name in ("lfloor", "lceil"):
            inner = self.sum()
            self.need("\\r" + name[1:])
            return Node("function", (inner,), "floor" if name == "lfloor" else "ceil")
        raise UnreadableFormula(f"\\{name} is not read")

    def _function(self, name: str) -> Node:
        base: Node | None = None
        power: Node | None = None
        while mark := self.take("_", "^", "**"):
            if mark == "_":
                base = self._argument()
            else:
                power = self._script()
        if self.take("("):
            argument = self.sum()
            self.need(")")
        elif self.take("{"):
            argument = self.sum()
            self.need("}")
        else:
            argument = self._bare_argument()
        args = (argument,) if base is None else (argument, base)
        inverse = power is not None and power == Node("minus", (Node("number", value=Fraction(1)),))
        if inverse and name in ("sin", "cos", "tan"):
            return Node("function", args, "arc" + name)
        found = Node("function", args, name)
        return found if power is None else Node("power", (found, power))

    def _bare_argument(self) -> Node:
        """``2x`` of ``\\sin 2x \\cos y``: factors side by side, up to another function or a bracket after the first."""
        if sign := self.take("-", "+"):
            inner = self._bare_argument()
            return Node("minus", (inner,)) if sign == "-" else inner
        found = self.power()
        while self.kind in ("number", "letter") or (
            self.kind == "command" and self.text[1:] in (_GREEK | _CONSTANTS.keys() | {"frac", "sqrt"})
        ):
            found = Node("product", (found, self.power()))
        if self.kind == "operator" and self.text == "/" and found.kind != "function":
            self._place += 1
            found = Node("quotient", (found, self.power()))
        return found
