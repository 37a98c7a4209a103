"""BM25 over a list of texts, written out: every passage is scored for every query."""

from __future__ import annotations

import math
import re

K1, B = 1.2, 0.75


def terms(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


def stored_length(length: int) -> int:
    """Lucene's one-byte length, which tantivy shares: exact to 40, above it four significant bits of what is over.

    https://github.com/apache/lucene/blob/main/lucene/core/src/java/org/apache/lucene/util/SmallFloat.java
    """
    over = length - 24
    if over < 16:
        return length
    shift = over.bit_length() - 4
    return 24 + (over >> shift << shift)


def scores(texts: list[str], query: str) -> dict[int, float]:
    """Text's number -> score, for the texts that share a term with the query."""
    passages = [terms(text) for text in texts]
    average = sum(map(len, passages)) / len(passages)
    found: dict[int, float] = {}
    for term in terms(query):
        having = sum(term in passage for passage in passages)
        idf = math.log(1 + (len(passages) - having + 0.5) / (having + 0.5))
        for number, passage in enumerate(passages):
            if count := passage.count(term):
                norm = K1 * (1 - B + B * stored_length(len(passage)) / average)
                found[number] = found.get(number, 0.0) + idf * (K1 + 1) * count / (count + norm)
    return found
