"""Numbers spelled out in English: ``twenty-one``, ``two thirds``, ``one and a half``, ``3rd``."""

from __future__ import annotations

from fractions import Fraction

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
SMALL = {word: n for n, word in enumerate(_ONES)} | {word: 10 * n for n, word in enumerate(_TENS, 2)}
SCALES: dict[str, Fraction] = {
    "hundred": Fraction(100), "thousand": Fraction(1000), "million": Fraction(10**6), "billion": Fraction(10**9),
    "trillion": Fraction(10**12), "dozen": Fraction(12), "gross": Fraction(144), "lakh": Fraction(10**5),
    "crore": Fraction(10**7), "score": Fraction(20), "mil": Fraction(10**6), "mn": Fraction(10**6),
    "bn": Fraction(10**9), "tn": Fraction(10**12), "k": Fraction(1000), "K": Fraction(1000), "M": Fraction(10**6),
    "B": Fraction(10**9), "万": Fraction(10**4), "亿": Fraction(10**8), "million.": Fraction(10**6),
}  # fmt: skip
_ORDINALS = (
    "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
    "fifteenth sixteenth seventeenth eighteenth nineteenth"
).split()
_ORDINAL = {word: n for n, word in enumerate(_ORDINALS)} | {
    word.removesuffix("y") + "ieth": 10 * n for n, word in enumerate(_TENS, 2)
}
_PARTS = {"half": 2, "halve": 2, "quarter": 4} | {word: n for word, n in _ORDINAL.items() if n > 2}


def spelled(words: list[str]) -> tuple[Fraction, int] | None:
    """The value that ``words`` begin with, and how many of them say it; None if they begin with no number."""
    value, used = _whole(words)
    rest = words[used:]
    if used and rest and (part := _part(rest[0])):
        return (value / part, used + 1) if value == 1 or rest[0].endswith(("s", "lf")) else (value, used)
    if not used:
        if words and words[0] == "half":
            return Fraction(1, 2), 1
        return None
    if rest[:1] == ["and"] and len(rest) > 1 and (parts := fraction(rest[1:])):
        return value + parts[0], used + 1 + parts[1]
    return value, used


def ordinal(text: str, words: bool = True) -> int | None:
    """``3rd``, and with ``words`` ``third``, as 3; None for anything else."""
    text = text.casefold()
    if words and text in _ORDINAL:
        return _ORDINAL[text]
    tens, _, ones = text.partition("-")
    if words and tens in _TENS and ones in _ORDINALS[1:10]:
        return SMALL[tens] + _ORDINAL[ones]
    digits = text[:-2]
    if not (digits.isdecimal() and len(digits) < 10 and text[-2:] in ("st", "nd", "rd", "th")):
        return None
    return int(digits)


def fraction(words: list[str]) -> tuple[Fraction, int] | None:
    """The value of ``a half`` or ``two thirds`` that ``words`` begin with, and how many of them say it."""
    value, used = _whole(words)
    if used and words[used:] and (part := _part(words[used])):
        return value / part, used + 1
    return None


def _part(word: str) -> int | None:
    return _PARTS.get(word) or _PARTS.get(word.removesuffix("s"))


def _whole(words: list[str]) -> tuple[Fraction, int]:
    """0 words used: none."""
    total, current, used, seen = Fraction(0), Fraction(0), 0, False
    for place, word in enumerate(words):
        scale = SCALES.get(word.removesuffix("s") if len(word) > 3 else word) if len(word) > 2 else None
        if word in SMALL and (not seen or current % 100 == 0 or (current % 10 == 0 and 0 < SMALL[word] < 10)):
            if seen and current % 100 and current % 100 < 20:
                break
            current += SMALL[word]
            seen = True
        elif word in ("a", "an") and not seen and words[place + 1 : place + 2]:
            after = words[place + 1]
            if after not in SCALES and not _part(after):
                break
            current, seen = Fraction(1), True
        elif scale is not None and seen:
            if scale == 100:
                current *= 100
            else:
                total, current = total + current * scale, Fraction(0)
        elif (
            word == "and" and seen and words[place + 1 : place + 2] and words[place + 1] in SMALL and current % 100 == 0
        ):
            continue
        else:
            break
        used = place + 1
    return total + current, used
