"""Words, compared as the VQA and SQuAD benchmarks do: no case, articles or punctuation, one spelling."""

from __future__ import annotations

import re
import unicodedata

_ARTICLES = frozenset({"a", "an", "the"})
_BRITISH = dict(
    pair.split("/")
    for pair in (
        "grey/gray colour/color centre/center metre/meter litre/liter theatre/theater aeroplane/airplane tyre/tire "
        "favourite/favorite neighbour/neighbor harbour/harbor labour/labor jewellery/jewelry catalogue/catalog "
        "colours/colors centres/centers moustache/mustache doughnut/donut doughnuts/donuts cheque/check "
        "pyjamas/pajamas storey/story travelling/traveling defence/defense licence/license programme/program"
    ).split()
)
_SENTENCE = re.compile(r"(?:[\w' -]{1,80}?\s)?(?:is|are|was|were|it's|that's)\s+(.+)", re.DOTALL)
_PREPOSITIONS = frozenset("on in at to from by of with near under".split())
_DOUBT = frozenset(
    "not no never or nor either neither n't but maybe perhaps unless isn't aren't wasn't if which what who whether "
    "unclear unknown false wrong incorrect than".split()
)
MAX_SENTENCE = 10


def plain(text: str) -> str:
    """``text`` without case, articles, punctuation and LaTeX's fonts."""
    text = re.sub(r"\\(?:text|mathrm|textbf|mathbf|textit|mbox|operatorname|quad)\b\s*", " ", text)
    text = unicodedata.normalize("NFC", text.replace("İ", "i").casefold()).replace("\u0307", "")
    text = re.sub(r"(?<=\w)'s\b|(?<=s)'(?=\s|$)", lambda found: found[0].replace("'", ""), text)
    text = re.sub(r"(?<=\w)[.](?=\w)(?!\d)|'", "", text)
    text = re.sub(r"[^\w\s+#%&@$€£./°:-]|(?<!\d)[./:-]|[./:](?!\d)|-(?!\d)|_", " ", text)
    words = [_BRITISH.get(word, word) for word in text.split() if word not in _ARTICLES]
    return " ".join(words) or " ".join(text.split())


def same_words(reference: str, answer: str) -> bool:
    """Whether ``answer`` says ``reference`` and nothing else: ``the red``, ``The car is red``, ``on the left``."""
    wanted = plain(reference)
    if not wanted:
        return False
    found = plain(answer)
    if found == wanted:
        return True
    first, _, rest = found.partition(" ")
    if first in _PREPOSITIONS and rest == wanted:
        return True
    if len(answer.split()) > MAX_SENTENCE + len(reference.split()) or re.search(r"[.;?!]\s|\n|,", answer):
        return False
    said = _SENTENCE.fullmatch(answer.strip())
    if said is None or set(answer.casefold().replace("n't", " n't").split()) & _DOUBT - set(
        reference.casefold().split()
    ):
        return False
    ending = plain(said[1])
    first, _, rest = ending.partition(" ")
    return wanted in (ending, rest if first in _PREPOSITIONS else ending)
