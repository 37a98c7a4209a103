"""Where a trajectory decides about calls: the first tokens of each turn, up to the opening of a call or the answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

DECISION_SPANS_KEY = "decision_spans"
"""Where the agent loop leaves them in ``AgentLoopOutput.extra_fields``, as [start, end) in the response."""


def decision_spans(
    response_ids: Sequence[int],
    turns: Sequence[Sequence[int]],
    openings: Sequence[str],
    decode: Callable[[Sequence[int]], str],
) -> list[list[int]]:
    """``[start, end)`` of each turn's decision: to the token that completes its first opening, or to its end.

    A turn without an opening could have opened a call at each of its tokens: all of it decides.

    Args:
        turns: ``[start, end)`` of each stretch that the model wrote.
        openings: texts with which a call or an answer begins.
        decode: from tokens to text, with special tokens.
    """
    spans = []
    for start, end in turns:
        written = list(response_ids[start:end])
        spans.append([start, start + _tokens_to_opening(written, openings, decode)])
    return spans


def _tokens_to_opening(ids: Sequence[int], openings: Sequence[str], decode: Callable[[Sequence[int]], str]) -> int:
    """The fewest first tokens whose text has an opening; all where none has. By bisection: text only grows."""

    def opened(count: int) -> bool:
        text = decode(ids[:count])
        return any(opening in text for opening in openings)

    low, high = 0, len(ids)
    if not opened(high):
        return high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if opened(middle) else (middle, high)
    return high
