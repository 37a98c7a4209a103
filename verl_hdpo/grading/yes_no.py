"""Yes or no, true or false: the first word counts, unless the rest takes it back."""

from __future__ import annotations

import re

OPPOSITES = {"yes": "no", "no": "yes", "true": "false", "false": "true"}
_DOUBT = frozenset("or but maybe perhaps unless however although not n't sometimes depends both neither either".split())


def same_side(reference: str, answer: str) -> bool | None:
    """Whether both say the same; None if ``reference`` is neither, or it cannot be told."""
    side = reference.casefold().strip(" .!,'\"")
    if side not in OPPOSITES:
        return None
    words = re.findall(r"[a-z]+(?:'[a-z]+)?", answer.casefold().replace("n't", " n't"))
    if not words:
        return False
    if words[0] not in OPPOSITES:
        return None
    rest = set(words[1:])
    if words[0] != side:
        return False if side not in rest or OPPOSITES[side] == words[0] else None
    if OPPOSITES[side] in rest or rest & _DOUBT - ({"not", "n't"} if side in ("no", "false") else set()):
        return False if "or" in rest or OPPOSITES[side] in rest else None
    return True
