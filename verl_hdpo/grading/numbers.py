"""The one reader of numbers, for references and answers alike: ``1,200``, ``$5``, ``1½ cups``, ``5 million``."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from fractions import Fraction

from verl_hdpo.grading.brackets import closing
from verl_hdpo.grading.doubt import is_harmless
from verl_hdpo.grading.number_words import SCALES, fraction, ordinal, spelled
from verl_hdpo.grading.spelling import MONEY
from verl_hdpo.grading.units import CURRENCY, Unit, known_unit
from verl_hdpo.settings.policy import DEFAULT_POLICY, Policy

MAX_DIGITS = 1000
MAX_POWER_OF_TEN = 400

_GROUPS = r"[1-9]\d{0,2}(?:,\d{3})+(?![\d,])|[1-9]\d{0,2}(?:,\d{2})+,\d{3}(?![\d,])|[1-9]\d{0,2}(?:[ '_]\d{3})+(?!\d)"
_DECIMAL = re.compile(rf"(?:({_GROUPS})|(\d+))?(?:\.(\d*))?")
_CONTINENTAL = re.compile(r"(\d{1,3}(?:\.\d{3})+|\d+),(\d+)(?![\d,.])")
_DOTTED = re.compile(r"\d{1,3}(?:\.\d{3}){2,}(?![\d.,])")
_THOUSANDS = re.compile(r"[1-9]\d{0,2},\d{3}")
_EXPONENT = re.compile(r"[eE]([+-]?\d{1,4})(?![\w.])")
_POWER = r"10\s*(?:\^|\*\*)\s*(?:\{\s*([+-]?\d+)\s*\}|\(\s*([+-]?\d+)\s*\)|([+-]?\d+))"
_TIMES_TEN = re.compile(rf"\s*(?:\\times\b|\\cdot\b|\*|x(?= ?10))\s*{_POWER}")
_TEN = re.compile(rf"{_POWER}(?!\s*[\^.\d])")
_REPEATING = re.compile(r"(\d*)\.(\d*)\\(?:overline|bar|dot)\s*\{?(\d+)\}?")
_FRAC = re.compile(r"\\frac\s*(?:(\d)\s*(\d)(?!\d)|(\d)\s*\{|\{)")
_APPROXIMATE = re.compile(
    r"(?:\\approx|\\sim|~|\\simeq|=|:|(?:approximately|approx\.?|about|around|roughly|nearly|almost|exactly|just|only|"
    r"a\s+total\s+of|equals?)\b)\s*",
    re.IGNORECASE,
)
_NAME = re.compile(
    r"\s*(?:[A-Za-z]|\\(?:[a-zA-Z]+)|[A-Za-z]+_)(?:_\{?\w+\}?|')*(?:\s*\([\w, ]*\))?\s*(?:=|:|\\approx|\\sim)\s*"
    r"|\s*[A-Za-z]{1,3}\s*(?:=|\\approx)\s*|\s*\|[A-Za-z]{1,2}\|\s*=\s*"
)
_PERCENT = re.compile(r"\s*(?:\\?%|percent(?:age)?(?:\s+points?)?\b|per\s+cent\b|pct\b\.?)", re.IGNORECASE)
_MONEY = {MONEY: "USD", "$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR", "₩": "KRW", "₽": "RUB"}
_CODE = re.compile(r"(US\s?\$|USD|EUR|GBP|JPY|CNY|RMB|INR|Rs\.?|KRW|RUB)\s*(?=[\d.])")
_WORDS = re.compile(r"[A-Za-z]+(?:-[A-Za-z]+)*")
_START = re.compile(rf"(?<![A-Za-z0-9_\\^{{.])(?:[-+]?\s?[{MONEY}$€£¥₹₩₽]?\s?[-+]?(?:\d|\.\d)|[-+]?\\frac)")
_MINUS = re.compile(r"(?:minus|negative)\s+(?=[\d.$\\])", re.IGNORECASE)
_TIMES = re.compile(r"times(?:\s+(?:as|more|larger|greater|bigger|longer|higher|faster|per|a)\b[a-z ]*)?")
_OUT_OF = re.compile(r"\s+(?:out\s+of|in|of)\s+(?:every\s+|the\s+|all\s+)?", re.IGNORECASE)
_SCALE = re.compile(r"\s*(million\.|[A-Za-z]+|[万亿])")
_DECADE = re.compile(r"\d{3}0s")
_SAID = re.compile(r"\\(?:text|mathrm)\s*\{([^{}]*)\}\s*(?=\S)")
_REMARK = re.compile(r"\s*\(([^()]*)\)\s*$")


@dataclass(frozen=True)
class Number:
    """A number as it is written.

    Attributes:
        digits: significant digits of a decimal; None for a fraction, which is exact.
        places: decimal places of a decimal.
        unit: None without one, or with one that is not known, such as eggs.
        percent: ``value`` counts hundredths.
        ordinal: ``3rd``.
        slash: ``3/4``, which may be a ratio.
        divided: a fraction, with a stroke or a bar.
    """

    value: Fraction
    digits: int | None = None
    places: int = 0
    unit: Unit | None = None
    percent: bool = False
    ordinal: bool = False
    slash: bool = False
    divided: bool = False


def read_number(text: str, policy: Policy = DEFAULT_POLICY, prose: bool = False) -> Number | None:
    """The number that a peeled ``text`` is, with its unit; None for what is anything else, or anything more.

    Args:
        prose: whether words may come before it that say nothing else: ``There are 5 apples left``.
    """
    if len(text) > MAX_DIGITS:
        return None
    text = _without_dollars(text)
    if _DECADE.fullmatch(text):
        return None
    if (place := ordinal(re.sub(r"^the\s+", "", text, flags=re.I), policy.number_words)) is not None:
        return Number(Fraction(place), ordinal=True)
    if (found := _number_at_start(_without_lead(text), policy)) is not None:
        return found
    if policy.number_words and (found := _spelled(text, prose, policy)) is not None:
        return found
    if not prose or (start := _START.search(text)) is None or not start.start():
        return None
    lead = text[: start.start()]
    if "=" in lead or not is_harmless(re.sub(r"\\approx|[~$:]", " ", lead)):
        return None
    return _number_at_start(text[start.start() :], policy)


def read_share(text: str, policy: Policy) -> tuple[Number, Number] | None:
    """``6 out of 10`` as the share 6/10 and as the count 6."""
    found = _OUT_OF.search(text)
    if found is None:
        return None
    count, whole = read_number(text[: found.start()], policy), read_number(text[found.end() :], policy)
    if count is None or whole is None or count.unit or whole.unit or count.value.denominator > 1:
        return None
    if not 0 <= count.value <= whole.value != 0:
        return None
    return Number(count.value / whole.value, slash=True, divided=True), count


def _without_dollars(text: str) -> str:
    """Two set mathematics; a lone one is money."""
    if text.count("$") % 2 == 0:
        text = text.replace("$", " ")
    return text.strip()


def _without_lead(text: str) -> str:
    before = None
    while text != before:
        before = text
        if (said := _SAID.match(text)) and said[1].strip() and is_harmless(said[1]):
            text = text[said.end() :]
        for lead in (_APPROXIMATE, _NAME):
            if found := lead.match(text):
                text = text[found.end() :]
    return text


def _number_at_start(text: str, policy: Policy) -> Number | None:
    sign, money = 1, ""
    rest = text.strip()
    while rest:
        if rest[0] in "+-" and (sign == 1 or money) and rest[0] != "+":
            sign, rest = -sign, rest[1:].lstrip()
        elif (word := _MINUS.match(rest)) and sign == 1:
            sign, rest = -1, rest[word.end() :]
        elif rest[0] == "+" and not money:
            rest = rest[1:].lstrip()
        elif rest[0] in _MONEY and not money:
            money, rest = _MONEY[rest[0]], rest[1:].lstrip()
        elif (code := _CODE.match(rest)) and not money:
            unit = known_unit(code[1].replace(" ", ""))
            money, rest = next(iter(unit.dims)) if unit else "", rest[code.end() :]
        else:
            break
    read = _magnitude(rest, policy)
    if read is None:
        return None
    number, used = read
    number = replace(number, value=sign * number.value)
    tail = rest[used:]
    if (
        used
        and rest[used - 1].isdigit()
        and re.match(r"[\d.,]\d|[_!]|\^(?!\s*\\circ)", tail.lstrip() if tail[:1] != " " else tail)
    ):
        return None
    return _with_tail(number, tail, money, policy)


def _magnitude(text: str, policy: Policy) -> tuple[Number, int] | None:
    if (found := _REPEATING.match(text)) and len(found[0]) < 60:
        whole, fixed, cycle = found[1] or "0", found[2], found[3]
        value = Fraction(int(whole + fixed), 10 ** len(fixed))
        value += Fraction(int(cycle), (10 ** len(cycle) - 1) * 10 ** len(fixed))
        return Number(value), found.end()
    if found := _TEN.match(text):
        power = int(found[1] or found[2] or found[3])
        return (Number(Fraction(10) ** power), found.end()) if abs(power) <= MAX_POWER_OF_TEN else None
    if read := _latex_fraction(text):
        return Number(read[0], divided=True), read[1]
    if len(text) and unicodedata.numeric(text[0], None) is not None and not text[0].isdecimal():
        value = Fraction(unicodedata.numeric(text[0])).limit_denominator(1000)
        if text[1:2] and unicodedata.numeric(text[1], None) is not None:
            return None  # only one digit is read: 三, not 三十五
        return Number(value), 1
    return _decimal(text, policy)


def _decimal(text: str, policy: Policy) -> tuple[Number, int] | None:
    if policy.decimal_comma and (found := _CONTINENTAL.match(text)) and not _THOUSANDS.fullmatch(found[0]):
        whole, places, end = found[1].replace(".", ""), found[2], found.end()
        grouped = False
    elif policy.decimal_comma and (found := _DOTTED.match(text)):
        whole, places, end, grouped = found[0].replace(".", ""), "", found.end(), True
    else:
        found = _DECIMAL.match(text)
        if found is None or not (found[1] or found[2] or found[3]):
            return None
        whole, places, end = re.sub(r"\D", "", found[1] or found[2] or "0"), found[3] or "", found.end()
        grouped = bool(found[1])
    value = Fraction(int(whole + places), 10 ** len(places))
    number = Number(value, max(len((whole + places).lstrip("0")), 1), len(places))
    rest = text[end:]
    if power := _EXPONENT.match(rest) or _TIMES_TEN.match(rest):
        exponent = int(next(filter(None, power.groups())))
        if abs(exponent) > MAX_POWER_OF_TEN:
            return None
        number = replace(number, value=value * Fraction(10) ** exponent, places=max(len(places) - exponent, 0))
        return number, end + power.end()
    if (not places and not grouped) or whole == "0":
        after = rest.lstrip()
        skipped = len(rest) - len(after)
        if read := _latex_fraction(after):
            if 0 < read[0] < 1 and not places:
                return Number(value + read[0]), end + skipped + read[1]
            return None
        if skipped and (mixed := re.match(r"(\d{1,9})\s*/\s*(\d{1,9})(?![\d.])", after)):
            over, below_over = int(mixed[1]), int(mixed[2])
            end += skipped + mixed.end()
            return (Number(value + Fraction(over, below_over)), end) if over < below_over else None
    if slash := re.match(r"\s*/\s*(-?)\s*(?=[\d.])", rest):
        below = _DECIMAL.match(text, end + slash.end())
        if below is None or not (below[1] or below[2] or below[3]):
            return None
        under = Fraction(re.sub(r"[ ,'_]", "", below[1] or below[2] or "0") + "." + (below[3] or "0"))
        if not under:
            return None
        return Number(value / (-under if slash[1] else under), slash=True, divided=True), below.end()
    return number, end


def _latex_fraction(text: str) -> tuple[Fraction, int] | None:
    found = _FRAC.match(text)
    if found is None:
        return None
    if found[1]:
        over, under, end = found[1], found[2], found.end()
    else:
        if found[3]:
            over, brace = found[3], found.end() - 1
        else:
            close = closing(text, found.end() - 1)
            over, brace = text[found.end() : close], close + 1
            while text[brace : brace + 1] == " ":
                brace += 1
            if close < 0:
                return None
        if text[brace : brace + 1] == "{":
            end = closing(text, brace) + 1
            under = text[brace + 1 : end - 1]
        else:
            under, end = text[brace : brace + 1], brace + 1
        if not end:
            return None
    values = [_plain(part) for part in (over, under)]
    if values[0] is None or not values[1]:
        return None
    return values[0] / values[1], end


def _plain(text: str) -> Fraction | None:
    text = text.strip().strip("{}").replace(" ", "").replace(",", "")
    return Fraction(text) if re.fullmatch(r"-?(?:\d+(?:\.\d+)?|\.\d+)", text) else None


def _with_tail(number: Number, tail: str, money: str, policy: Policy) -> Number | None:
    """``number`` with what follows it: a scale, percent, a unit, or words that say what it counts."""
    unit = Unit(Fraction(1), {money: 1}) if money else None
    tail = tail.strip().rstrip(".!").strip() if not tail.startswith("!") else tail
    remark = _REMARK.search(tail)
    if remark and known_unit(tail) is None:
        inside = read_number(remark[1], policy)
        if inside is None and not is_harmless(remark[1], cjk=True) and known_unit(remark[1]) is None:
            return None
        if inside is not None and inside.value != number.value:
            return None
        tail = tail[: remark.start()].strip()
    if (about := re.match(r"\\(?:approx|sim(?:eq)?)\b|~|or\s+(?:about|approximately)\b", tail)) and money == "":
        rounded = read_number(tail[about.end() :].strip(), policy)
        near = rounded is not None and abs(rounded.value - number.value) * 100 <= abs(number.value)
        return number if near else None
    if tail.startswith("\\text") or tail.startswith(("\\mathrm", "\\mbox")):
        plain = re.sub(r"\\(?:text(?:rm|bf|it|normal)?|mathrm|mbox)\s*\{([^{}]*)\}", r" \1 ", tail).strip()
        if not re.search(r"[\\{}]", plain):
            tail = plain
    if policy.number_words and tail.startswith("and ") and (part := fraction(tail.split()[1:])):
        number, tail = replace(number, value=number.value + part[0]), " ".join(tail.split()[1 + part[1] :])
    scale = _SCALE.match(tail)
    if scale and (factor := _scale(scale[1], bool(money), tail[scale.end() :])):
        number = replace(number, value=number.value * factor, places=0)
        tail = tail[scale.end() :].strip()
    if percent := _PERCENT.match(tail):
        tail = tail[percent.end() :].strip()
        if tail and not is_harmless(tail, cjk=True):
            return None
        return replace(number, percent=True)
    if not tail or _TIMES.fullmatch(tail):
        return replace(number, unit=unit)
    if tail[0] in "$" + MONEY and not money and (not tail[1:].strip() or is_harmless(tail[1:])):
        return replace(number, unit=Unit(Fraction(1), {"USD": 1}))
    known = known_unit(tail.removeprefix("of").strip() if tail.startswith("of ") else tail)
    if known is None and " " in tail and (first := known_unit(_first_word(tail))) and _says_little(tail):
        known = first
    if known is not None:
        if money and not (known.dims.keys() <= CURRENCY and money in known.dims):
            return replace(number, unit=unit) if not known.dims.keys() & CURRENCY else None
        return replace(number, unit=known)
    if (compound := _compound(number, tail, policy)) is not None:
        return compound
    return replace(number, unit=unit) if is_harmless(tail, cjk=True) and not _is_symbol(tail) else None


def _first_word(tail: str) -> str:
    return tail.split()[0].rstrip(",.")


def _says_little(tail: str) -> bool:
    words = tail.split()
    return len(words[0]) > 1 and is_harmless(" ".join(words[1:]))


def _is_symbol(tail: str) -> bool:
    """One letter that is no unit is a factor: ``5 x``, ``5 i``; so are two that stand close to the number."""
    return len(tail) <= 1 and tail.isascii()


def _scale(word: str, money: bool, after: str) -> Fraction | None:
    if len(word) == 1 and word.isascii():
        if word in ("K", "M", "B") and not money and not (word == "M" or word == "B"):
            return None  # kelvin
        return None if after.strip() and not money and not after.strip().isalpha() else SCALES.get(word)
    return SCALES.get(word.casefold()) or (SCALES.get(word.casefold().removesuffix("s")) if len(word) > 3 else None)


def _compound(number: Number, tail: str, policy: Policy) -> Number | None:
    """``hours 30 minutes`` after 3, in the first unit."""
    found = re.match(r"([A-Za-z'.]+)[\s,]*(?:and\s+)?(?=\d)", tail)
    if found is None or (first := known_unit(found[1])) is None:
        return None
    rest = read_number(tail[found.end() :], policy)
    if rest is None or rest.unit is None or not rest.unit.measures_as(first) or rest.unit.factor >= first.factor:
        return None
    if rest.value < 0:
        return None
    total = abs(number.value) + rest.value * rest.unit.factor / first.factor
    return Number(total if number.value >= 0 else -total, unit=first)


def _spelled(text: str, prose: bool, policy: Policy) -> Number | None:
    words = [word.casefold() for found in _WORDS.finditer(text) for word in found[0].split("-")]
    if not words or re.search(r"[\d\\=+*/^<>]", text):
        return None
    begin = 0
    if prose and words[0] in ("there", "it", "they", "he", "she", "this", "that", "i", "we"):
        begin = next((n for n, word in enumerate(words) if spelled(words[n:])), 0)
        if not is_harmless(" ".join(words[:begin])):
            return None
    sign = 1
    if words[begin] in ("minus", "negative"):
        sign, begin = -1, begin + 1
    found = spelled(words[begin:])
    if found is None:
        return None
    value, used = found
    tail = " ".join(words[begin + used :])
    return _with_tail(Number(sign * value), tail, "", policy)
