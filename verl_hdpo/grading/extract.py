"""The answer in what the model wrote: the final one, outside its thinking, and whole."""

from __future__ import annotations

import re
from collections.abc import Sequence

from verl_hdpo.settings.reward import ANSWER_PATTERN

OPEN, CLOSE = "<answer>", "</answer>"
THINK, THOUGHT = "<think>", "</think>"


def extract_answer(turns: Sequence[str], pattern: str = ANSWER_PATTERN) -> str | None:
    """What the last match of ``pattern`` holds, in the last turn that has one; None without any.

    A match lies within one of the model's turns, so what a tool printed between them can neither supply nor
    complete it. What stands in a think block is no answer. An ``<answer>`` that is not closed ends the search: the
    model was giving another answer when it was cut off, and those before it no longer stand.
    """
    for turn in reversed(turns):
        said = without_thinking(turn)
        if pattern == ANSWER_PATTERN:
            if (found := _tagged(said)) is not None or OPEN in said:
                return found
        elif matches := re.findall(pattern, said, re.DOTALL):
            return str(matches[-1]).strip()
    return None


def follows_format(turns: Sequence[str], pattern: str = ANSWER_PATTERN) -> bool:
    """Whether the last turn ends with an answer and holds no other, whole or broken, outside its think block.

    Free text, or a ``<reason>`` block, may come before it; only white space may follow.
    """
    said = without_thinking(turns[-1]) if turns else ""
    matches = list(re.finditer(pattern, said, re.DOTALL))
    if len(matches) != 1 or said[matches[0].end() :].strip():
        return False
    before = said[: matches[0].start()]
    return OPEN not in before and CLOSE not in before


def without_thinking(turn: str) -> str:
    """``turn`` without its think blocks; one that is not closed reaches to the end, one not opened to the start."""
    first_open, first_close = turn.find(THINK), turn.find(THOUGHT)
    if first_close >= 0 and (first_open < 0 or first_close < first_open):  # the chat template opened it
        turn = turn[first_close + len(THOUGHT) :]
    kept = []
    while (start := turn.find(THINK)) >= 0:
        kept.append(turn[:start])
        _, _, turn = turn[start:].partition(THOUGHT)
    return "".join([*kept, turn])


def _tagged(said: str) -> str | None:
    """As ``ANSWER_PATTERN`` finds it, in time that 20 MB do not show in."""
    end = said.rfind(CLOSE)
    start = said.rfind(OPEN, 0, max(end, 0))
    if start < 0 or said.rfind(OPEN) > end:
        return None
    return said[start + len(OPEN) : said.find(CLOSE, start)].strip()
