"""``Template``: a system message to ask under. What it says of tools is neutral, so that it should change nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verl_hdpo.evaluation.benchmarks.question import BenchmarkError
from verl_hdpo.runs.user_text import read_text

KNOWN = {
    "none": "",
    "assistant": "You are a helpful assistant.",
    "brief": "Respond to the user. Be brief.",
    "tools": "You are an assistant. Tools may be listed for you. Call one where it is needed; else write a reply.",
}
"""Name -> system message. ``none`` leaves it to the chat template, which may have one of its own."""


@dataclass(frozen=True)
class Template:
    """A system message.

    Attributes:
        name: what the report calls it.
        text: empty: none.
    """

    name: str
    text: str

    @classmethod
    def parse(cls, given: str) -> Template:
        """One of ``KNOWN``, or the path of a text file.

        Raises:
            BenchmarkError: neither.
        """
        if given in KNOWN:
            return cls(given, KNOWN[given])
        path = Path(given)
        if not path.is_file():
            raise BenchmarkError(f"--templates: {given} is neither {', '.join(KNOWN)} nor a text file")
        return cls(path.stem, read_text(path).strip())

    def messages(self, asked: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """``asked`` under this system message; one that is there already follows it."""
        found = [dict(message) for message in asked]
        if not self.text:
            return found
        if found and found[0]["role"] == "system":
            return [{"role": "system", "content": f"{self.text}\n\n{found[0]['content']}"}, *found[1:]]
        return [{"role": "system", "content": self.text}, *found]
