"""Tool calls that verl's parsers leave out because they cannot be read.

To verl a turn with nothing but such a call is the end of the trajectory. Here it is a call that failed: it is in the
ledger, and the model is told what was wrong.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from verl.experimental.agent_loop.tool_parser import FunctionCall

from verl_hdpo.outcomes.ledger import UNKNOWN_TOOL

TEXT = "Error: a tool call could not be read: {problem}. Write {shape}."


class UnreadableCall(FunctionCall):
    """A call that was not read; ``answer`` tells the model why."""

    answer: str


@dataclass(frozen=True)
class Markup:
    """How a format writes calls.

    Attributes:
        opening: of a block of calls; a regular expression, as are those below.
        closing: of the block.
        begins: beginning of a call in a block.
        name: name of a call, in group 1.
        shape: a call in its block, as the model is told to write it; without tokens that are special to the model.
        problem: what is wrong with a block of one call; None if nothing is.
    """

    opening: str
    closing: str
    begins: str
    name: str
    shape: str = "it as your instructions say"
    problem: Callable[[str], str | None] | None = None


def _json_problem(block: str) -> str | None:
    try:
        call = json.loads(block)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and block[error.pos :].lstrip().startswith("{"):
            return "two JSON objects in one tag; each call needs a tag of its own"
        if "control character" in error.msg:
            return "a line break, or another control character, inside a JSON string; write it as \\n"
        return f"not valid JSON: {error.msg} at character {error.pos}"
    except (RecursionError, ValueError) as error:
        return f"not valid JSON: {error}"
    if not isinstance(call, dict):
        return f"not a JSON object but {type(call).__name__}"
    for key in ("name", "arguments"):
        if key not in call:
            return f"the key {key!r} is missing; found {', '.join(map(repr, call)) or 'none'}"
    return None if isinstance(call["name"], str) else "'name' must be a text"


_FUNCTION = "<function=NAME><parameter=ARGUMENT>VALUE</parameter></function>"
MARKUPS = {
    "hermes": Markup(
        "<tool_call>", "</tool_call>", r"\A\s*\{", r'"name"\s*:\s*"([^"]*)"',
        '{"name": NAME, "arguments": {ARGUMENT: VALUE}}', _json_problem,
    ),
    "qwen3_coder": Markup("<tool_call>", "</tool_call>", "<function=", r"<function=([^>\s<]+)", _FUNCTION),
    "glm": Markup("<tool_call>", "</tool_call>", r"\A[^<]*<arg_key>", r"\A\s*([^<\s]+)"),
    "seed": Markup("<seed:tool_call>", "</seed:tool_call>", "<function=", r"<function=([^>\s<]+)", _FUNCTION),
    "minimax": Markup(
        "<minimax:tool_call>", "</minimax:tool_call>", r"<invoke\b", r'<invoke name="?([^">\s]+)',
        '<invoke name="NAME"><parameter name="ARGUMENT">VALUE</parameter></invoke>',
    ),
    "kimi": Markup(
        r"<\|tool_calls_section_begin\|>", r"<\|tool_calls_section_end\|>", r"<\|tool_call_begin\|>",
        r"<\|tool_call_begin\|>\s*(?:functions\.)?([\w-]+)",
    ),
    "deepseek_v4": Markup(
        "<｜DSML｜tool_calls>", "</｜DSML｜tool_calls>", "<｜DSML｜invoke", r'<｜DSML｜invoke name="?([^">\s]+)',
    ),
    "gemma4": Markup(r"<\|tool_call>", r"<tool_call\|>", r"\A", r"call:([\w-]+)"),
    "gpt-oss": Markup(r"<\|channel\|>(?!analysis<)", r"<\|call\|>", "to=functions", r"to=functions\.([\w-]+)"),
}  # fmt: skip
"""By the names of ``actor_rollout_ref.rollout.multi_turn.format``. Of other formats nothing is known, and nothing is
added to what their parser reads."""


def unreadable_calls(text: str, markup: Markup, read: Sequence[FunctionCall], finished: bool) -> list[UnreadableCall]:
    """The calls in a turn that its parser did not read.

    A block of calls holds one at least; an empty one, as in a quoted instruction, none. An unclosed block counts only
    where a call begins in it, and the turn was ended by the model.

    Args:
        text: the turn.
        read: the calls that the parser made of it.
        finished: whether the model ended it; if not, the last call is cut off.
    """
    begun, problems, names = 0, [], []
    for block in re.finditer(f"{markup.opening}(.*?)({markup.closing}|\\Z)", text, re.DOTALL):
        inside, closed = block[1], block[2] != ""
        calls = len(re.findall(markup.begins, inside)) if closed or finished else 0
        if closed and inside.strip():
            calls = max(calls, 1)
        if not calls:
            continue
        begun += calls
        names += re.findall(markup.name, inside)[:calls]
        if not closed:
            problems.append("its closing tag is missing")
        elif markup.problem and (problem := markup.problem(inside)):
            problems.append(problem)
    missing = max(0, begun - len(read))
    names = [*(Counter(names) - Counter(call.name for call in read)).elements(), *[UNKNOWN_TOOL] * missing]
    problems += ["it has another form"] * missing
    return [
        unreadable_call(name, problem, markup.shape)
        for name, problem in zip(names[:missing], problems[:missing], strict=True)
    ]


def unreadable_call(name: str, problem: str, shape: str = Markup.shape) -> UnreadableCall:
    return UnreadableCall(name=name, arguments="{}", answer=TEXT.format(problem=problem, shape=shape))
