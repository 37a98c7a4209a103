"""Rows for RL, in the columns that verl's data set reads: of the paper's parquet, and of question, image and answer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verl_hdpo.evaluation.datasets.converted import Converted, bad
from verl_hdpo.evaluation.datasets.messages import NotMessages, read_messages
from verl_hdpo.evaluation.datasets.records import Record
from verl_hdpo.runs.row_images import PLACEHOLDER

QUESTION = ("question", "query", "problem", "text", "instruction")
ANSWER = ("answer", "answers", "ground_truth", "label", "solution")
IMAGE = ("images", "image", "decoded_image", "image_path")
CHOICES = ("choices", "options")
"""Columns that are looked for where none is named, in this order; of images the first that holds some."""
LETTERS = "ABCDEFGHIJ"


@dataclass(frozen=True)
class RlForm:
    """How records become rows.

    Attributes:
        question, answer, image: columns; empty: those that data sets usually have.
        data_source: name of the set; empty: the record's, else its file's.
        system: a system prompt in front of every question; empty: none.
        mend: write images again that verl would show otherwise than they look.
    """

    question: str = ""
    answer: str = ""
    image: str = ""
    data_source: str = ""
    system: str = ""
    mend: bool = False

    @property
    def named(self) -> Mapping[str, str]:
        return {"--question": self.question, "--answer": self.answer, "--image": self.image}

    def convert(self, record: Record) -> Converted:
        """The row of a record."""
        row = record.row
        if not isinstance(row, Mapping):
            return bad(f"is {type(row).__name__}, not an object with columns", "write records as objects")
        prompt = next((row[key] for key in ("prompt", "messages") if isinstance(row.get(key), list)), None)
        try:
            messages, images = read_messages(prompt) if prompt else (self._asked(row), [])
        except NotMessages as error:
            return bad(f"has a chat that {error}", 'write it as [{"role": "user", "content": "..."}]')
        while messages and messages[-1]["role"] == "assistant":
            messages.pop()  # what the model is to write itself
        if not messages or not messages[-1]["content"].strip():
            return bad(*_lacks(row, "question", QUESTION, self.question))
        truth = _ground_truth(self._truth(row))
        if truth is None:
            return bad(*_lacks(row, "answer", ANSWER, self.answer))
        images = images or self._images(row)
        if images and not any(PLACEHOLDER in message["content"] for message in messages):
            messages[-1]["content"] = PLACEHOLDER * len(images) + messages[-1]["content"]
        if self.system and messages[0]["role"] != "system":
            messages.insert(0, {"role": "system", "content": self.system})
        model, info = row.get("reward_model"), row.get("extra_info")
        extra: dict[str, Any] = dict(info) if isinstance(info, Mapping) else {}
        extra.setdefault("index", record.number)
        extra.setdefault("question", messages[-1]["content"].replace(PLACEHOLDER, "").strip())
        if "answer" in extra:  # text here and a list there is no column
            extra["answer"] = _ground_truth(extra["answer"])
        style = model.get("style") if isinstance(model, Mapping) else None
        made = {
            "data_source": self._source(record),
            "prompt": messages,
            "ability": str(row.get("ability") or ("vision" if images else "text")),
            "reward_model": {"style": str(style or "rule"), "ground_truth": truth},
            "extra_info": extra,
        }
        return Converted.of(made, "prompt", images, record.folder, self.mend)

    def _asked(self, row: Mapping[str, Any]) -> list[dict[str, Any]]:
        text = _first(row, QUESTION, self.question)
        return [{"role": "user", "content": f"{text}{_choices(row)}"}] if isinstance(text, str) else []

    def _truth(self, row: Mapping[str, Any]) -> Any:
        model = row.get("reward_model")
        if isinstance(model, Mapping) and model.get("ground_truth") is not None and not self.answer:
            return model["ground_truth"]
        return _first(row, ANSWER, self.answer)

    def _images(self, row: Mapping[str, Any]) -> list[Any]:
        found = _first(row, IMAGE, self.image)
        if found is None:
            return []
        return list(found) if isinstance(found, list | tuple) else [found]

    def _source(self, record: Record) -> str:
        named = record.row.get("data_source")
        return self.data_source or (named if isinstance(named, str) else Path(record.file).stem)


def _lacks(row: Mapping[str, Any], what: str, usual: Iterable[str], named: str) -> tuple[str, str]:
    """What is wrong with a row without question or answer, and what to do: a column may be there, and be no text."""
    present = sorted((name for name in ((named,) if named else usual) if name in row), key=lambda at: row[at] is None)
    if not present:
        found = f"has no {what}; its columns are {', '.join(map(str, row))}"
        return found, f"name the column: --{what} NAME; looked for: {named or ', '.join(usual)}"
    held = "null" if row[present[0]] is None else f"{row[present[0]]!r:.40}"
    return f"has no {what}: its column {present[0]} holds {held}", f"fill it in, or name another: --{what} NAME"


def _first(row: Mapping[str, Any], usual: Iterable[str], named: str) -> Any:
    names = (named,) if named else usual
    return next((row[name] for name in names if row.get(name) is not None and row[name] != []), None)


def _choices(row: Mapping[str, Any]) -> str:
    """The choices below a question, where they are apart from it: as a list, or in columns A, B, ..."""
    found = _first(row, CHOICES, "")
    if not isinstance(found, list | tuple):
        found = [row[letter] for letter in LETTERS if row.get(letter) is not None]
    lines = [f"{letter}. {choice}" for letter, choice in zip(LETTERS, found, strict=False)]
    return "".join(f"\n{line}" for line in lines)


def _ground_truth(found: Any) -> str | None:
    """As text; several accepted answers as a list in text, which the grader reads: a column has one type."""
    if isinstance(found, list | tuple):
        texts = [str(one) for one in found if one is not None and one == one]
        return json.dumps(texts, ensure_ascii=False) if len(texts) > 1 else (texts[0] if texts else None)
    return None if found is None or str(found).strip() == "" or found != found else str(found)  # NaN: pandas' null
