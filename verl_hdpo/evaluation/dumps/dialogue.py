"""From the text of a rollout to its turns.

Three chat formats are read, with their special tokens or without, as verl's dumps have them: ChatML (Qwen), Llama 3's
headers, and none at all. Calls are found as ``<tool_call>{json}</tool_call>`` (hermes) and as
``<function=name><parameter=x>`` (qwen3_coder); those of other formats stay in the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from verl_hdpo.evaluation.dumps.rollout import Call, Turn

_HEADER = re.compile(r"<\|im_start\|>\s*(\w+)\n?|<\|start_header_id\|>(\w+)<\|end_header_id\|>\s*")
_ENDS = re.compile(
    r"(<\|im_end\|>|<\|eot_id\|>|<\|eom_id\|>|<\|endoftext\|>|<\|end_of_text\|>|<\|begin_of_text\|>|</s>)"
)
_OPEN, _CLOSE = "<tool_response>", "</tool_response>"
_FRAME = re.compile(r"(?:(?:user|tool|assistant)\s*)*")
"""What a template puts around answers of tools."""
_BARE_ROLES = re.compile(r"(?:\A|\n)(system|user|assistant)\n")
_CALL = re.compile(r"<tool_call>(.*?)(?:</tool_call>|\Z)", re.DOTALL)
_FUNCTION = re.compile(r"\s*<function=([^>\n]*)>(.*?)(?:</function>\s*|\Z)", re.DOTALL)
_PARAMETER = re.compile(r"<parameter=([^>\n]*)>\n?(.*?)\n?</parameter>", re.DOTALL)
_THINK = re.compile(r"\A\s*(?:<think>)?(.*?)</think>", re.DOTALL)
_ROLES = {"ipython": "tool", "observation": "tool", "model": "assistant"}


def assistant_turn(text: str) -> Turn:
    """A stretch that the model wrote: its thinking, its words and its calls apart."""
    text, thinking = _ENDS.sub("", text), ""
    if found := _THINK.match(text):
        thinking, text = found[1].strip(), text[found.end() :]
    calls = tuple(_read_call(body) for body in _CALL.findall(text))
    return Turn("assistant", _CALL.sub("", text).strip(), thinking, calls)


def tool_turns(text: str) -> list[Turn]:
    """A stretch that stands between two turns of the model: what tools, or a user, answered."""
    turns, at, parts = [], 0, _split(text)
    if _OPEN not in text:
        for role, said in parts or [("tool", _without_role(_ENDS.sub("", text), "assistant"))]:
            if role != "assistant" and (said := said.strip()):
                turns.append(Turn(role or "tool", said))
        return turns
    for start, end, answer in [*_responses(text), (len(text), len(text), None)]:
        between = _ENDS.sub("", _HEADER.sub("", text[at:start])).strip()
        if not _FRAME.fullmatch(between):
            turns.append(Turn("user", between))
        turns += [] if answer is None else [Turn("tool", answer)]
        at = end
    return turns


def response_turns(text: str) -> tuple[Turn, ...]:
    """A whole response, of which nobody says who wrote what."""
    turns, at = [], 0
    if parts := _split(text):
        for role, said in parts:
            turns += [assistant_turn(said)] if role in ("", "assistant") else tool_turns(said)
        return _without_empty(turns)
    for start, end, answer in _responses(text):
        turns += [assistant_turn(_without_role(text[at:start], "user")), Turn("tool", answer)]
        at = end
        if (rest := text[at:].lstrip()).startswith("assistant\n"):
            at = len(text) - len(rest) + len("assistant\n")
    return _without_empty([*turns, assistant_turn(text[at:])])


def prompt_turns(text: str) -> tuple[Turn, ...]:
    """A prompt as text, after the chat template."""
    bare = [*_BARE_ROLES.finditer(text)] if _BARE_ROLES.match(text) else []
    parts = _split(text) or _stretches(text, bare) or [("user", text)]
    return tuple(Turn(role or "user", said.strip()) for role, said in parts if said.strip())


def message_turns(messages: Iterable[Mapping[str, Any]]) -> tuple[Turn, ...]:
    """Messages in OpenAI's form; contents may be lists of parts."""
    turns = []
    for message in messages:
        text, images = content_of(message.get("content"))
        role = _ROLES.get(str(message.get("role")), str(message.get("role")))
        turn = assistant_turn(text) if role == "assistant" else Turn(role, text, images=images)
        calls = [_structured(call) for call in message.get("tool_calls") or ()]
        thinking = str(message.get("reasoning_content") or "") or turn.thinking
        turns.append(Turn(role, turn.text, thinking, tuple(calls) or turn.calls, images))
    return tuple(turns)


def content_of(content: Any) -> tuple[str, tuple[str, ...]]:
    """Text and images of a message's content."""
    if content is None or isinstance(content, str):
        return content or "", ()
    texts, images = [], []
    for part in content if isinstance(content, Sequence) else [content]:
        if not isinstance(part, Mapping):
            texts.append(str(part))
        elif "image" in part or "image_url" in part:
            image = part.get("image") or part.get("image_url")
            images.append(str(image.get("url") if isinstance(image, Mapping) else image))
        else:
            texts.append(str(part.get("text", "")))
    return "\n".join(texts), tuple(images)


def _responses(text: str) -> Iterator[tuple[int, int, str]]:
    """(start, end, what is in it) of each answer of a tool; in linear time, whatever a model repeats."""
    at = 0
    while (start := text.find(_OPEN, at)) >= 0 and (end := text.find(_CLOSE, start)) >= 0:
        at = end + len(_CLOSE)
        yield start, at, text[start + len(_OPEN) : end].removeprefix("\n").removesuffix("\n")


def _without_role(text: str, role: str) -> str:
    """``text`` without the name of the next turn's role, and the white space, at its end."""
    said = text.rstrip()
    return said[: -len(role)].rstrip() if re.search(rf"(?:\A|\s){role}\Z", said) else said


def _split(text: str) -> list[tuple[str, str]]:
    """(role, text) of each turn that a header of special tokens begins; empty where there is none.

    What stands before the first is of no role.
    """
    headers = [*_HEADER.finditer(text)]
    before = [("", text[: headers[0].start()])] if headers else []
    return [(role, _ENDS.sub("", said)) for role, said in before + _stretches(text, headers)]


def _stretches(text: str, headers: Sequence[re.Match[str]]) -> list[tuple[str, str]]:
    """(role, text up to the next header) of each of ``headers``."""
    ends = [header.start() for header in headers[1:]] + [len(text)] * bool(headers)
    roles = [next(filter(None, header.groups())) for header in headers]
    found = zip(roles, headers, ends, strict=True)
    return [(_ROLES.get(role, role), text[header.end() : end]) for role, header, end in found]


def _read_call(body: str) -> Call:
    if found := _FUNCTION.match(body):
        arguments = dict(_PARAMETER.findall(found[2]))
        return Call(found[1].strip(), json.dumps(arguments, ensure_ascii=False) if arguments else found[2].strip())
    try:
        # verl's parser for hermes takes what json takes; a repeated key is the last one.
        call = json.loads(body)
        return _structured({"function": call})
    except (ValueError, TypeError, AttributeError, RecursionError):
        return Call("", body.strip())


def _structured(call: Mapping[str, Any]) -> Call:
    function = call.get("function") or call
    arguments = function.get("arguments")
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return Call(str(function.get("name") or ""), text)


def _without_empty(turns: Iterable[Turn]) -> tuple[Turn, ...]:
    return tuple(
        turn for turn in turns if turn.text or turn.calls or turn.thinking or turn.images or turn.role == "tool"
    )
