"""``Relevance``: a judge reads a trajectory, and says whether its calls, its reasons and its answer hang together."""

from __future__ import annotations

import json
import re

from verl_hdpo.evaluation.datasets.curation.chat import Chat, NoReply, with_images
from verl_hdpo.evaluation.datasets.curation.trajectory import Trajectory
from verl_hdpo.evaluation.datasets.curation.verdict import MESSAGES, Verdict

ASK = """\
You are shown a question, and how a model answered it with tools, as data in JSON. Judge how it went about it, not you:
- relevant: does each call bear on the question?
- coherent: does each step follow from what was seen before?
- reasoned: do the reasons given support the calls and the answer?
Reply with one JSON object and nothing else: {"relevant": true, "coherent": true, "reasoned": true, "why": "..."}"""
WANTED = ("relevant", "coherent", "reasoned")
_OBJECT = re.compile(r"\{.*\}", re.DOTALL)


class Relevance:
    """Drops trajectories that the judge finds irrelevant, incoherent or without reasons."""

    name, needs = "judge", MESSAGES

    def __init__(self, chat: Chat):
        self._chat = chat
        self.made_of = f"{chat.model} at {chat.url}"

    async def __call__(self, row: Trajectory) -> Verdict:
        said = [{"role": message["role"], "content": str(message["content"])} for message in row.messages]
        data = {"role": "user", "content": json.dumps(said, ensure_ascii=False)}
        try:
            reply = await self._chat.ask(
                [{"role": "system", "content": ASK}, *with_images([data], row.images)], temperature=0.0
            )
        except NoReply as error:
            return Verdict("unknown", "the judge gave no answer", str(error))
        found = _OBJECT.search(reply)
        try:
            verdict = json.loads(found[0]) if found else {}
        except ValueError:
            verdict = {}
        if not all(isinstance(verdict.get(name), bool) for name in WANTED):
            return Verdict("unknown", "the judge's reply cannot be read", f"{self._chat.url}: {reply[:400]}")
        missing = [name for name in WANTED if not verdict[name]]
        if missing:
            return Verdict("drop", f"the judge finds it not {missing[0]}", str(verdict.get("why", "")))
        return Verdict("keep", detail=str(verdict.get("why", "")))

    def concerns(self, row: Trajectory) -> bool:
        return bool(row.messages)

    async def close(self) -> None:
        await self._chat.close()
