"""One spelling for what Unicode and LaTeX spell in several ways."""

from __future__ import annotations

import re
import unicodedata

MONEY = "\ue000"
"""Stands for ``\\$``, which is a sign of money wherever it stands; a bare dollar may set mathematics."""

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_SYMBOLS = {
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-"),  # not the em dash, which is no minus
    **dict.fromkeys("\u2018\u2019\u02bc\u2032\u00b4", "'"),
    **dict.fromkeys("\u201c\u201d\u2033", '"'),
    **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u00ad", ""),
    **dict.fromkeys("·⋅∙", "\\cdot "),
    **dict.fromkeys("。｡", "."),
    "、": ",",
    "×": "\\times ",
    "÷": "/",
    "∕": "/",
    "⁄": "/",
    "∗": "*",
    "π": "\\pi ",
    "∞": "\\infty ",
    "≤": "\\le ",
    "≥": "\\ge ",
    "⩽": "\\le ",
    "⩾": "\\ge ",
    "≠": "\\ne ",
    "≈": "\\approx ",
    "∪": "\\cup ",
    "∩": "\\cap ",
    "∈": "\\in ",
    "∅": "\\emptyset ",
    "±": "\\pm ",
    "ℝ": "\\mathbb{R}",
    "→": "\\to ",
    "°": "^\\circ ",
    "º": "^\\circ ",
    "Ω": "\\Omega ",  # the ohm sign
    "′": "'",
    "⟨": "<",
    "⟩": ">",
}
_ALIASES = {
    **dict.fromkeys(("dfrac", "tfrac", "cfrac"), "frac"),
    **dict.fromkeys(("textnormal", "textrm", "textup", "textsf", "mbox", "textbf", "textit", "emph"), "text"),
    **dict.fromkeys(("dbinom", "tbinom"), "binom"),
    **dict.fromkeys(("leq", "leqslant"), "le"),
    **dict.fromkeys(("geq", "geqslant"), "ge"),
    **dict.fromkeys(("neq",), "ne"),
    "varnothing": "emptyset",
    "langle": "<",
    "rangle": ">",
    "lt": "<",
    "gt": ">",
    "lbrace": "{",
    "rbrace": "}",
    "div": "/",
    "lvert": "|",
    "rvert": "|",
    "vert": "|",
    "mid": "|",
}
_DROPPED = frozenset(
    (
        "left right big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr displaystyle textstyle limits nolimits "
        "quad qquad enspace thinspace nobreak hfill"
    ).split()
)
_BARE_SYMBOLS = frozenset({"<", ">", "/", "|"})
_COMMAND = re.compile(r"\\([a-zA-Z]+)")
_END_TOKEN = re.compile(
    r"<\|[\w ]{1,40}\|>|</?s>|<pad>|<eos>|</?(?:b|i|em|strong|u|p|br|sub|span|div) ?/?>|<end_of_turn>"
)
_ROOT = re.compile(r"√\s*(\d+(?:\.\d+)?|\w)?")


def tidy(text: str) -> str:
    """``text`` in NFKC and LaTeX's ASCII: ``²`` is ``^{2}``, ``½`` is ``1/2``, ``≤`` is ``\\le``."""
    text = _END_TOKEN.sub("", text)
    text = re.sub("[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹ⁿ]+", lambda found: f"^{{{found[0].translate(_SUPERSCRIPTS)}}}", text)
    text = re.sub("[₀₁₂₃₄₅₆₇₈₉]+", lambda found: f"_{{{found[0].translate(_SUBSCRIPTS)}}}", text)
    text = "".join(map(_plain, text)) if not text.isascii() else text
    text = unicodedata.normalize("NFKC", text)
    if not text.isascii():
        text = _ROOT.sub(lambda found: f"\\sqrt{{{found[1]}}}" if found[1] else "\\sqrt", text)
        text = _greek(text)
    return " ".join(_latex(text).split())


def squeezed(text: str) -> str:
    """A tidy text without dollars, and the blanks that tell nothing apart: ``12 34`` keeps its own."""
    text = " ".join(text.replace("$", " ").split())
    text = re.sub(r"(?<![0-9A-Za-z,])\s+|\s+(?![0-9A-Za-z])|(?<=,)\s+(?!\d)", "", text)
    return re.sub(r"([_^])\{(\w)\}", r"\1\2", text)


def _plain(char: str) -> str:
    if char in _SYMBOLS:
        return _SYMBOLS[char]
    if unicodedata.decomposition(char).startswith("<fraction>"):
        return " " + unicodedata.normalize("NFKC", char).replace("\u2044", "/")
    if char.isdecimal():
        return str(unicodedata.decimal(char))
    return char


def _greek(text: str) -> str:
    """A Greek letter on its own as LaTeX's command; those of words stay."""
    out = []
    for place, char in enumerate(text):
        around = text[max(place - 1, 0) : place] + text[place + 1 : place + 2]
        name = unicodedata.name(char, "")
        if name.startswith("GREEK ") and " LETTER " in name and not any("\u0370" <= one <= "\u03ff" for one in around):
            case, _, letter = name.removeprefix("GREEK ").partition(" LETTER ")
            letter = letter.lower().replace("lamda", "lambda")
            out.append(f"\\{letter if case == 'SMALL' else letter.title()} ")
        else:
            out.append(char)
    return "".join(out)


def _latex(text: str) -> str:
    if "\\" not in text and "{" not in text and "~" not in text:
        return text
    if "\\begin" not in text:
        text = re.sub(r"\\\\(?=[a-zA-Z{}\[\]()$%])", r"\\", text)  # escaped once too often
    text = text.replace("\\$", MONEY).replace("\\%", "%").replace("\\#", "#").replace("\\&", "&")
    text = re.sub(r"\s*\{\s*,\s*\}\s*", ",", text)
    text = re.sub(r"\\!\s*", "", text)
    text = re.sub(r"(?<!\\)\\[,;: >]|(?<!\\)~|\\\\?$", " ", text)
    text = _COMMAND.sub(_command, text.replace("\\degree", "^\\circ "))
    return re.sub(r"\^\s*\{\s*\\circ\s*\}", r"^\\circ ", text)


def _command(found: re.Match[str]) -> str:
    if found[1].startswith("quad"):
        return " " + found[1].removeprefix("quad")
    name = _ALIASES.get(found[1], found[1])
    if name in _DROPPED:
        return " "
    return name if name in _BARE_SYMBOLS else f"\\{name}"
