"""What the text of an answer tells before math-verify is asked: a plain number, a sum left to do, no mathematics.

Texts are read after :func:`tidy`.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from fractions import Fraction

MAX_CHARS = 256
MAX_DEPTH = 12
"""A longer text than that, or one with more brackets in brackets, is compared as text only."""

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
_SUPERSCRIPT = re.compile("[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_WORDS = r"\\(?:text|mathrm|mbox|operatorname)\s*\{[^{}\d]*\}"
_UNIT = re.compile(rf"^{_WORDS}|{_WORDS}(?:\s*\^\s*(?:\d|\{{\s*\d\s*\}}))?[\s$]*$|(?<=\d)\s*dollars?$")
_UNIT_WORDS = re.compile(r"(?<=[\d.])\s+([a-zA-Z]{2,}(?:[\s./]+[a-zA-Z]+)*[\s.]*)$")
_CHANGES_THE_VALUE = re.compile(
    r"\b(?:hundred|thousand|(?:m|b|tr)illion|mil|[bmt]n|dozens?|score|percent|half|halves|thirds?|quarters?|fourths?|fifths?"
    r"|(?:ten|hundred|thousand)ths?|or|and|plus|minus|times|over|divided|point|squared|cubed|mod|pi|infinity|[ap]m)\b",
    re.IGNORECASE,
)
_CURRENCY = re.compile(r"[€£¥₹]\s*(?=[\d.])|(?<=[\d.])\s*[€£¥₹]")
_BOLD = re.compile(r"\*\*((?:(?!\*\*).)+)\*\*", re.DOTALL)
_DEGREE = re.compile(r"\^\s*(?:\\circ|\{\s*\\circ\s*\})|\\degree\b|°")
_THOUSANDS = re.compile(r"(?<=[\d,])\\[!,;:](?=\d{3}(?!\d))")
_DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d+)"
_DECIMAL = rf"[+-]?(?:{_DIGITS}(?:\.\d*)?|\.\d+)"
_PLAIN = re.compile(_DECIMAL, re.ASCII)
_POWER_OF_TEN = r"\s*(?:\*|×|x|\\times|\\cdot)\s*10\s*(?:\^|\*\*)\s*\{?\s*([+-]?\d{1,3})\s*\}?"
_SCIENTIFIC = re.compile(rf"({_DECIMAL}){_POWER_OF_TEN}", re.ASCII)
# As computers write it; 2e-1 may be twice Euler's number.
_E_NOTATION = re.compile(r"(?<![\w.])(\d+(?:\.\d*)?)(?:e([+-]\d{2,3})|E([+-]?\d{1,3}))(?![\w.])", re.ASCII)
_MIXED = re.compile(rf"([+-]?)({_DIGITS})(?:\s*\\[dt]?frac\s*\{{(\d+)\}}\s*\{{(\d+)\}}|\s+(\d+)\s*/\s*(\d+))", re.ASCII)
# A power of a power, an exponent or a factorial of four digits: hours of arithmetic in a few characters.
_EXPLOSIVE = re.compile(
    r"(?:\^|\*\*)[\s({+-]*[\d.]*[\s)}]*(?:\^|\*\*)|(?:\^|\*\*)[\s({+-]*\d{4}|\d{4}[\s)}]*!|!\s*[)}]*\s*!"
    r"|(?:\^|\*\*)\s*[({][^)}]*\d\s*(?:\*|\\times|\\cdot)\s*\d"
)
_LEFT_TO_DO = re.compile(
    r"[*×·^!+<>≤≥√]|[\d)}]\s*-|-\s*[({]|\\(?:times|cdot|binom|sqrt|ln|log|exp|[lr]floor|[lr]ceil|not|neq?|[lg](?:eq?|t))\b"
    r"|\b(?:sqrt|ln|log|exp|floor|ceil|round)\b"
)
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d*)?|\.\d+")
_NAME = re.compile(r"[\s$]*\\?[a-zA-Z]+(?:_\{?\w+\}?)?'?(?:\([a-zA-Z, ]*\))?\s*")
_FRACTION = re.compile(r"/|\\[dt]?frac|\\div|÷")
_COMMAND = re.compile(
    r"\\(?:begin|end)\s*\{\w+\*?\}|\\[a-zA-Z]+|\b(?:sqrt|sin|cos|tan|cot|sec|csc|log|exp|pi|inf|infty)\b"
)
_FORMULA = re.compile(r"\$[^$]*\$|\\boxed\s*\{.*\}")
# Dates, times, scores, 10 AM, the 1990s, U2: math-verify would work them out, or take their letters for factors.
_NO_MATHEMATICS = re.compile(
    r"\d+(?:[-:]\d+)+(?:\s*[AaPp]\.?[Mm]\.?)?|\d+(?:/\d+){2,}|\d+\s*[A-Z]{2,}|\d{4}s|[A-Z]+\d+", re.ASCII
)


def tidy(text: str) -> str:
    """``text`` in NFKC, with ``²`` and ``e-07`` as LaTeX's powers and no ``\\$``, ``{,}`` or ``\\!`` in numbers.

    Without the ``**`` that set the whole of it in bold.
    """
    text = _SUPERSCRIPT.sub(lambda power: f"^{{{power[0].translate(_SUPERSCRIPTS)}}}", text)
    text = unicodedata.normalize("NFKC", text).replace("\u2212", "-")
    text = text.replace("\\$", " ").replace("{,}", ",")
    text = _E_NOTATION.sub(lambda found: rf"{found[1]} \times 10^{{{int(found[2] or found[3])}}}", text)
    text = _THOUSANDS.sub("", text)
    text = re.sub(r"\\[!,;:]", " ", text).strip()
    return whole[1].strip() if (whole := _BOLD.fullmatch(text)) else text


def without_unit(text: str) -> str:
    """A number without the words, or the sign of a currency, that say what it counts: ``72`` of ``72 eggs``.

    Words that change the value stay: ``72 thousand``, ``72 and a half``.
    """
    text = _CURRENCY.sub("", text)
    found = _UNIT_WORDS.search(text)
    return text if found is None or _CHANGES_THE_VALUE.search(found[1]) else text[: found.start()]


def plain_number(text: str) -> Fraction | None:
    """The value of a decimal (commas between thousands and a power of ten allowed) or a mixed number.

    A unit, set as text, and a degree sign may follow; None for anything else.
    """
    if len(text) > MAX_CHARS:
        return None
    text = _without_units(text).strip("$ ")
    if _PLAIN.fullmatch(text):
        return _decimal(text)
    if found := _SCIENTIFIC.fullmatch(text):
        return _decimal(found[1]) * Fraction(10) ** int(found[2])
    if found := _MIXED.fullmatch(text):
        numerator, denominator = int(found[3] or found[5]), int(found[4] or found[6])
        if numerator < denominator:
            value = _decimal(found[2]) + Fraction(numerator, denominator)
            return -value if found[1] == "-" else value
    return None


def as_text(value: object) -> str:
    """``value`` as it is written by hand: a float in full, ``0.00001`` and not ``1e-05``."""
    return format(Decimal(repr(value)), "f") if isinstance(value, float) else str(value)


def depth(text: str) -> int:
    """Most brackets in brackets."""
    found = deepest = 0
    for char in text:
        found += (char in "([{") - (char in ")]}")
        deepest = max(deepest, found)
    return deepest


def is_explosive(text: str) -> bool:
    """A few characters that take hours to work out, of the kinds that are easily told."""
    return bool(_EXPLOSIVE.search(text))


def is_unevaluated(text: str, whole: bool) -> bool:
    """Something left to do, or more numbers than the one sought has: two in a fraction, if it is not ``whole``."""
    text = re.sub(_POWER_OF_TEN, "", _without_units(text))
    most = 2 if _FRACTION.search(text) and not whole else 1
    return bool(_LEFT_TO_DO.search(text)) or len(_NUMBER.findall(text)) > most


def is_several(text: str) -> bool:
    """Several formulas, or an equation that is more than a name for the answer, such as ``y = x + 1``."""
    if text.count("$") > 2 or text.count("\\boxed") > 1:
        return True
    if _FORMULA.search(text):
        around = _without_units(_FORMULA.sub(" ", text))
        return bool(re.search(r"[\d+=\\]", re.sub(r"[a-zA-Z]\s*\^\s*\{?\d\}?", "", around)))
    name, equals, value = text.partition("=")
    return bool(equals) and ("=" in value or not _NAME.fullmatch(name))


def is_mathematics(text: str) -> bool:
    """A digit, a command, an operator or one letter, and no word: math-verify reads ``blue`` as b*l*u*e."""
    if _NO_MATHEMATICS.fullmatch(text):
        return False
    rest = _COMMAND.sub(" ", re.sub(r"\\(?:text|mathrm|operatorname)\s*\{[^}]*\}", " ", text))
    if re.search(r"[^\W\d_]{3}", rest):
        return False
    return bool(re.search(r"[\d\\+*/^=<>()\[\]-]", text)) or len(text.strip(" $")) == 1


def _without_units(text: str) -> str:
    return _UNIT.sub("", _DEGREE.sub(" ", text).strip()).strip()


def _decimal(text: str) -> Fraction:
    return Fraction(text.replace(",", "").removesuffix("."))
