"""Words, compared as the VQA and SQuAD benchmarks do: no case, articles or punctuation, one spelling."""

from __future__ import annotations

import re
import unicodedata

from verl_hdpo.grading.doubt import takes_back
from verl_hdpo.settings.policy import DEFAULT_POLICY, Policy

_ARTICLES = frozenset({"a", "an", "the"})
_BRITISH = dict(
    pair.split("/")
    for pair in (
        "grey/gray colour/color centre/center metre/meter litre/liter theatre/theater aeroplane/airplane tyre/tire "
        "favourite/favorite neighbour/neighbor harbour/harbor labour/labor jewellery/jewelry catalogue/catalog "
        "colours/colors centres/centers moustache/mustache doughnut/donut doughnuts/donuts cheque/check "
        "pyjamas/pajamas storey/story travelling/traveling defence/defense licence/license programme/program "
        "saint/st mount/mt doctor/dr"
    ).split()
)
_SENTENCE = re.compile(r"(?:[\w' -]{1,80}?\s)?(?:is|are|was|were|it's|that's)\s+(.+)", re.DOTALL)
_PREPOSITIONS = frozenset("on in at to from by of with near under".split())
_PLACES = frozenset("on in at to".split())
"""Prepositions that a reference may have and its answer leave out."""
_AND = re.compile(r"\s*(?:,\s*and\b|,|&|\band\b)\s*", re.IGNORECASE)
MAX_SENTENCE = 10


def plain(text: str, articles: bool = False) -> str:
    """``text`` without case, punctuation, LaTeX's fonts, and its ``articles`` unless they are kept."""
    text = re.sub(r"\\(?:text|mathrm|textbf|mathbf|textit|mbox|operatorname|quad)\b\s*", " ", text)
    text = unicodedata.normalize("NFC", text.replace("İ", "i").casefold()).replace("\u0307", "")
    text = re.sub(r"(?<=\w)'s\b|(?<=s)'(?=\s|$)", lambda found: found[0].replace("'", ""), text)
    text = re.sub(r"(?<=\b[a-z]\.)\s+(?=[a-z]\.)", "", text)  # J. K.
    text = re.sub(r"(?<=\w)[.](?=\w)(?!\d)|'", "", text)
    text = re.sub(r"[^\w\s+#%&@$€£./°:-]|(?<!\d)[./:]|[./:](?!\d)|-(?!\d)|(?<=[^\W\d])-|_", " ", text)
    words = [_BRITISH.get(word, word) for word in text.split() if articles or word not in _ARTICLES]
    return " ".join(words) or " ".join(text.split())


def same_words(reference: str, answer: str, policy: Policy = DEFAULT_POLICY) -> bool:
    """Whether ``answer`` says ``reference`` and nothing else: ``the red``, ``The car is red``, ``on the left``."""
    wanted, found = (plain(text, not policy.articles) for text in (reference, answer))
    if not wanted or not found:
        return False
    turned = [plain(_turned(text), not policy.articles) for text in (reference, answer)]
    if found == wanted or wanted in turned or found in turned:
        return True
    if _places(found, _PREPOSITIONS) == wanted or _places(wanted, _PLACES) == found:
        return True
    if "-" in reference + answer and wanted.replace(" ", "") == found.replace(" ", ""):
        return wanted.replace(" ", "").isalpha()
    if ", " in reference + answer and _items(reference) == _items(answer):
        return True
    if len(answer.split()) > MAX_SENTENCE + len(reference.split()) or re.search(r"[.;?!]\s|\n|,", answer):
        return False
    said = _SENTENCE.fullmatch(answer.strip())
    if said is None or takes_back(answer, but=reference.casefold().split()):
        return False
    ending = plain(said[1], not policy.articles)
    return wanted in (ending, _places(ending, _PREPOSITIONS))


def _turned(text: str) -> str:
    """``Curie, Marie`` as Marie Curie; any other text is empty."""
    last, comma, first = text.partition(",")
    is_name = comma and "," not in first and last[:1].isupper() and first.strip()[:1].isupper()
    return f"{first} {last}" if is_name else ""


def _places(text: str, prepositions: frozenset[str]) -> str:
    first, _, rest = text.partition(" ")
    return rest if first in prepositions else text


def _items(text: str) -> list[str]:
    return [plain(item) for item in _AND.split(text)]
