"""The arm ``counterfactual``: the last answers that tools gave to a rollout are exchanged, under the same prefix.

What the model wrote before is played back, the tools run again, and in place of their last answers the model reads
other plausible ones. If it then says what it said before, it did not look at the answer for which it called.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import wrapt
from verl.tools.function_tool import normalize_function_tool_return

from verl_hdpo.evaluation.record import Record
from verl_hdpo.evaluation.token_client import TRAJECTORY, Exchange

_NUMBER = re.compile(r"\d[\d.,]*")
_BARE_NUMBER = re.compile(r"\s*[-+$€£]?\s*\d[\d.,]*\s*%?\s*")


class ExchangedTool(wrapt.ObjectProxy):
    """The same tool, whose answers the trajectory notes, and may exchange."""

    async def call(self, parameters: dict[str, Any]) -> Any:
        result = await self.__wrapped__.call(parameters)
        try:
            return self._noted(normalize_function_tool_return(result))
        except (TypeError, ValueError):
            return result  # the agent loop says what is wrong with it

    async def execute(self, *args: Any, **kwargs: Any) -> Any:
        return self._noted(await self.__wrapped__.execute(*args, **kwargs))

    def _noted(self, result: Any) -> Any:
        match result:
            case (response, *others) if isinstance(text := getattr(response, "text", None), str):
                shown = TRAJECTORY.get().answered(self.name, text)
                return response.model_copy(update={"text": shown}), *others
        return result


def to_exchange(records: Mapping[Any, Record], questions: int, rollouts: int) -> Iterator[Record]:
    """The free rollouts in which a tool answered and the model wrote on, and that are not exchanged yet."""
    for record in records.values():
        mine = record.arm == "free" and record.question < questions and record.rollout < rollouts
        made = ("counterfactual", record.question, record.rollout) in records
        if mine and record.answers and len(record.turns) > 1 and not made:
            yield record


def exchange_for(record: Record, others: Iterable[Record], seed: int) -> Exchange:
    """Of a tool's name and its answer to ``record``, another plausible answer; None where there is none.

    1. The model's final answer stands in the tool's: it is exchanged there, a number for another of the same length,
       words for another question's final answer.
    2. The tool's answer is a number: another of the same length.
    3. What the same tool answered to another question.
    4. Every number in the answer is exchanged.
    """
    others = [one for one in others if one.arm == "free" and one.question != record.question]
    chance = random.Random(f"{seed}/{record.question}/{record.rollout}")
    finals = sorted({one.answer for one in others if one.answer})

    def exchange(tool: str, text: str) -> str | None:
        tried = [
            lambda: _final_exchanged(text, record.answer, finals, chance),
            lambda: _renumbered(text, chance) if _BARE_NUMBER.fullmatch(text) else None,
            lambda: _of_another(
                text, sorted({said for one in others for name, said in one.answers if name == tool}), chance
            ),
            lambda: _renumbered(text, chance),
        ]
        return next((other for attempt in tried if (other := attempt()) is not None and other != text), None)

    return exchange


def _final_exchanged(text: str, final: str, finals: Sequence[str], chance: random.Random) -> str | None:
    final = final.strip()
    place = re.compile(rf"(?<![\w.,]){re.escape(final)}(?!\w|[.,]\d)", re.IGNORECASE)
    if not final or not place.search(text):
        return None
    if _NUMBER.search(final):
        other = _renumbered(final, chance)
    else:
        other = _of_another(final, [one for one in finals if not _NUMBER.search(one)], chance)
    return None if other is None else place.sub(lambda found: other, text)


def _renumbered(text: str, chance: random.Random) -> str | None:
    return _NUMBER.sub(lambda found: _other_number(found[0], chance), text) if _NUMBER.search(text) else None


def _other_number(number: str, chance: random.Random) -> str:
    """As long as ``number``, with its points and commas; its first digit is another, and no zero."""
    first = chance.choice([digit for digit in "123456789" if digit != number[0]])
    return first + re.sub(r"\d", lambda _: chance.choice("0123456789"), number[1:])


def _of_another(text: str, candidates: Sequence[str], chance: random.Random) -> str | None:
    fitting = [one for one in candidates if one.strip().casefold() != text.strip().casefold()]
    return chance.choice(fitting) if fitting else None
