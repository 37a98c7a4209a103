"""Words that change what the rest says: no, or, half, million. Beside an answer others are harmless."""

from __future__ import annotations

import re
from collections.abc import Collection

from verl_hdpo.grading.number_words import SMALL

_DENIALS = frozenset(
    """
    no not never nor neither none cannot without
    wrong incorrect false untrue invalid mistaken opposite contrary unknown unclear
    or either maybe perhaps possibly might could but unless except instead rather alternatively versus vs however
    although sometimes depends both if whether than
    """.split()
)
_AMOUNTS = frozenset(
    """
    inverse reciprocal negative plus minus times divided multiplied by-product squared cubed root factorial mod modulo
    power exponent
    half halves third thirds quarter quarters fourth fourths fifth fifths tenth tenths hundredth hundredths thousandth
    thousandths twice double triple thrice percent percentage pct
    hundred thousand million billion trillion quadrillion hundreds thousands millions billions
    dozen dozens gross score scores lakh lakhs crore crores myriad myriads couple couples pair pairs trio trios
    mil mn bn tn
    greater larger smaller fewer above below under least most minimum maximum exceeds between from until
    difference sum product ratio point and infinity pi
    """.split()
) | (SMALL.keys() - {"one", "zero"})
_WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*\.?")
_CJK = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_CJK_CHANGES = re.compile("[或不非无未没和与及加减乘除万亿千百十兆半倍成分之负错]")
MAX_WORDS, MAX_LETTERS = 12, 40


def is_harmless(text: str, cjk: bool = False) -> bool:
    """Whether ``text`` holds but a few words, none of which changes the value of the number beside them.

    Args:
        cjk: whether it may be Chinese, Japanese or Korean, as after a number; before one, it orders: 第3 is the third.
    """
    words = re.sub(r"[\s,:;.()]+", " ", text.replace("n't", " not")).split()
    if len(words) > MAX_WORDS or any(len(word) > MAX_LETTERS for word in words):
        return False
    for word in words:
        if _CJK.search(word):
            if not cjk or _CJK_CHANGES.search(word):
                return False
        elif not _WORD.fullmatch(word) or word.rstrip(".").casefold() in _DENIALS | _AMOUNTS:
            return False
    return True


def takes_back(text: str, but: Collection[str] = ()) -> bool:
    """Whether ``text`` denies or doubts what stands beside it.

    Args:
        but: words that do not count here.
    """
    words = re.findall(r"[^\W\d_]+", text.casefold().replace("n't", " not"))
    return bool(_DENIALS.intersection(words).difference(but))
