"""``Solving``: a model without tools answers the question k times. What it always solves teaches nothing of tools."""

from __future__ import annotations

import asyncio

from verl_hdpo.evaluation.datasets.curation.chat import Chat, NoReply, with_images
from verl_hdpo.evaluation.datasets.curation.trajectory import Trajectory
from verl_hdpo.evaluation.datasets.curation.verdict import MESSAGES, Verdict
from verl_hdpo.grading.extract import extract_answer
from verl_hdpo.grading.question import Question
from verl_hdpo.grading.rules import RuleChecker

ASK = "Answer the question. Give the final answer alone between <answer> and </answer>."


class Solving:
    """Drops rows that ``chat`` solves ``tries`` times of ``tries``.

    Args:
        tries: answers to each question, at temperature 1.
    """

    name, needs = "solve", MESSAGES

    def __init__(self, chat: Chat, tries: int):
        self._chat, self._tries = chat, tries
        self._checker = RuleChecker()
        self.made_of = f"{chat.model} at {chat.url}, {tries} tries"

    async def __call__(self, row: Trajectory) -> Verdict:
        if row.reference is None:
            return Verdict("drop", "it has no answer to compare with")
        messages = [{"role": "system", "content": ASK}, *with_images(row.question, row.images)]
        try:
            replies = await asyncio.gather(*(self._chat.ask(messages, temperature=1.0) for _ in range(self._tries)))
        except NoReply as error:
            return Verdict("unknown", "the solver gave no answer", str(error))
        right = sum([await self._is_right(reply, row) for reply in replies])
        if right == self._tries:
            return Verdict("drop", f"solved {right} of {self._tries} times without tools")
        return Verdict("keep", detail=f"{right} of {self._tries}")

    def concerns(self, row: Trajectory) -> bool:
        return bool(row.messages)

    async def close(self) -> None:
        await self._chat.close()

    async def _is_right(self, reply: str, row: Trajectory) -> bool:
        answer = extract_answer([reply])
        if answer is None:
            return False
        outcome = await self._checker(answer, row.reference, Question(""), {})
        return bool(outcome.known and outcome.acc > 0.5)
