"""Units of measure and of money, from a small table: what they measure, and how many of the base unit they are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

# base | factor | symbols (their case counts; * takes the prefixes of the SI) | words (plural added)
_TABLE = """
m | 1 | m* | meter* metre*
m | 0.0254 | in in. " | inch inches
m | 0.3048 | ft ft. ' | foot feet
m | 0.9144 | yd yds | yard
m | 1609.344 | mi | mile
m | 1852 | nmi | nautical-mile
m | 9460730472580800 | ly | lightyear light-year
m2 | 10000 | ha | hectare
m2 | 4046.8564224 | | acre
m3 | 0.001 | L* l* | liter* litre*
m3 | 0.000001 | cc |
m3 | 0.003785411784 | gal | gallon
m3 | 0.000946352946 | qt | quart
m3 | 0.000473176473 | pt | pint
m3 | 0.0002365882365 | | cup
m3 | 0.0000295735295625 | fl.oz | fluid-ounce
m3 | 0.00001478676478125 | tbsp | tablespoon
m3 | 0.00000492892159375 | tsp | teaspoon
g | 1 | g* | gram* gramme*
g | 1000000 | t | ton tonne
g | 453.59237 | lb lbs lb. lbs. | pound-weight
g | 28.349523125 | oz | ounce
s | 1 | s* sec secs sec. | second*
s | 60 | min mins min. | minute
s | 3600 | h hr hrs hr. | hour
s | 86400 | | day
s | 604800 | wk wks | week
mon | 1 | mo | month
mon | 12 | yr yrs yr. | year
mon | 120 | | decade
mon | 1200 | | century centuries
A | 1 | A* | ampere* amp*
K | 1 | K* | kelvin*
degC | 1 | degC | celsius
degF | 1 | degF | fahrenheit
mol | 1 | mol* | mole*
cd | 1 | cd* | candela*
Hz | 1 | Hz* | hertz*
g1m1s-2 | 1000 | N* | newton*
g1m2s-2 | 1000 | J* | joule*
g1m2s-2 | 4184 | kcal Cal | kilocalorie
g1m2s-2 | 4.184 | cal | calorie
g1m2s-2 | 0.0000000000000001602176634 | eV* | electronvolt*
g1m2s-2 | 3600000 | Wh* |
g1m2s-3 | 1000 | W* | watt*
g1m-1s-2 | 1000 | Pa* | pascal*
g1m-1s-2 | 101325000 | atm | atmosphere
g1m-1s-2 | 100000000 | bar | bars
A1s1 | 1 | C* | coulomb*
g1m2s-3A-1 | 1000 | V* | volt*
g1m2s-3A-2 | 1000 | Ω* ohm* | ohm*
A2s4g-1m-2 | 0.001 | F* | farad*
g1s-2A-1 | 1000 | T* | tesla*
g1m2s-2A-2 | 1000 | H* | henry* henries
m1s-1 | 0.44704 | mph |
m1s-1 | 5/18 | kph kmh |
deg | 1 | deg ° | degree
rad | 1 | rad | radian*
sr | 1 | sr | steradian*
B | 1 | B* | byte*
bit | 1 | bit* |
px | 1 | px | pixel
unit | 1 | | unit
rpm | 1 | rpm | revolution
dB | 1 | dB | decibel
USD | 1 | $ USD US$ usd | dollar buck
USD | 0.01 | ¢ | cent
USD | 0.05 | | nickel
USD | 0.1 | | dime
EUR | 1 | € EUR | euro
GBP | 1 | £ GBP | quid pound-sterling pounds-sterling
JPY | 1 | ¥ JPY | yen
CNY | 1 | CNY RMB 元 | yuan
INR | 1 | ₹ INR Rs Rs. | rupee
KRW | 1 | ₩ KRW | won
RUB | 1 | ₽ RUB | ruble rouble
"""
_PREFIX_SYMBOLS = {
    "n": -9, "µ": -6, "μ": -6, "u": -6, "m": -3, "c": -2, "d": -1, "h": 2, "k": 3, "M": 6, "G": 9, "T": 12, "p": -12,
}  # fmt: skip
_PREFIX_WORDS = {"nano": -9, "micro": -6, "milli": -3, "centi": -2, "deci": -1, "hecto": 2, "kilo": 3, "mega": 6,
    "giga": 9, "tera": 12, "pico": -12}  # fmt: skip
CURRENCY = frozenset("USD EUR GBP JPY CNY INR KRW RUB".split())


@dataclass(frozen=True)
class Unit:
    """A product of powers of base units, times ``factor``."""

    factor: Fraction = Fraction(1)
    dims: Mapping[str, int] = field(default_factory=dict)

    def measures_as(self, other: Unit) -> bool:
        """Whether both measure one thing: metres and miles, but not metres and seconds."""
        return self.dims == other.dims

    def times(self, other: Unit, power: int) -> Unit:
        dims = Counter(self.dims)
        for base, exponent in other.dims.items():
            dims[base] += exponent * power
        return Unit(self.factor * other.factor**power, {base: n for base, n in dims.items() if n})


def _read_table() -> tuple[dict[str, Unit], dict[str, Unit]]:
    symbols: dict[str, Unit] = {}
    words: dict[str, Unit] = {}
    for row in _TABLE.strip().splitlines():
        base, factor, names, spelled = (cell.strip() for cell in row.split("|"))
        dims = {found[1]: int(found[2] or 1) for found in re.finditer(r"([A-Za-z]+)(-?\d+)?", base)}
        unit = Unit(Fraction(factor), dims)
        for name in names.split():
            plain = name.removesuffix("*")
            symbols[plain] = unit
            if name.endswith("*"):
                for prefix, power in _PREFIX_SYMBOLS.items():
                    symbols.setdefault(prefix + plain, Unit(unit.factor * Fraction(10) ** power, dims))
        for name in spelled.split():
            plain = name.removesuffix("*").replace("-", " ")
            prefixes = {"": 0, **_PREFIX_WORDS} if name.endswith("*") else {"": 0}
            for prefix, power in prefixes.items():
                for form in (plain, plain + "s"):
                    words[prefix + form] = Unit(unit.factor * Fraction(10) ** power, dims)
    return symbols, words


_SYMBOLS, _WORDS = _read_table()
_POWERS = {"square": 2, "sq": 2, "sq.": 2, "cubic": 3, "cu": 3, "cu.": 3}
_POWERS_AFTER = {"squared": 2, "cubed": 3}
_TOKEN = re.compile(r"\s*(per\b|[A-Za-zµμΩ]+\$|[^\W\d_]+\.?|[$€£¥₹₩₽¢°\"']|\^\s*\{?\s*(-?\d)\s*\}?|[/*()]|\\cdot\b|.)")


def known_unit(text: str) -> Unit | None:
    """``km/h``, ``square metres``, ``m s^{-2}``; None for what is not made of units alone."""
    text = _spelled_out(text)
    if text in _SYMBOLS:
        return _SYMBOLS[text]
    return _WORDS.get(text.casefold()) or _product(text)


def _product(text: str) -> Unit | None:
    found, sign, power, last, place = Unit(), 1, 1, None, 0
    while place < len(text):
        token = _TOKEN.match(text, place)
        if token is None:
            break
        place, name = token.end(), token[1]
        if last is not None and (token[2] or name.casefold() in _POWERS_AFTER):
            exponent = int(token[2]) if token[2] else _POWERS_AFTER[name.casefold()]
            found = found.times(last[0], last[1] * (exponent - 1))
            last = None
        elif name in ("/", "per"):
            sign, last = -1, None
        elif name in ("*", "\\cdot", "(", ")") or (name in (".", "-") and last is not None):
            last = None
        elif name.casefold() in _POWERS:
            power = _POWERS[name.casefold()]
        elif (unit := _one(name)) is not None:
            found = found.times(unit, sign * power)
            last, power = (unit, sign), 1
        elif name.strip():
            return None
    return found if found.dims else None


def _one(name: str) -> Unit | None:
    return _SYMBOLS.get(name) or _WORDS.get(name.casefold()) or _SYMBOLS.get(name.removesuffix("."))


def _spelled_out(text: str) -> str:
    text = re.sub(r"\\(?:text|mathrm|mbox|textrm|textbf|mathbf|textnormal|mathit|operatorname)\s*", "", text)
    text = re.sub(r"\\frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}", r"\1/\2", text)
    text = text.replace("\\Omega", "Ω").replace("\\mu", "µ").replace("{", " ").replace("}", " ")
    text = re.sub(r"\^\s*\\circ\s*([CF])\b", r"deg\1", text)
    text = re.sub(r"(?:\^\s*)?\\circ", "°", text)
    text = re.sub(r"°\s*([CF])\b", r"deg\1", text)
    text = re.sub(
        r"\bdegrees?\s+(celsius|fahrenheit|C|F)\b", lambda found: f"deg{found[1][0].upper()}", text, flags=re.I
    )
    return " ".join(re.sub(r"\^\s+(-?\d)\s", r"^\1 ", text).split())
