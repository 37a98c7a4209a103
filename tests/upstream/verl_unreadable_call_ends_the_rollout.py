"""A tool call that is not valid JSON ends the trajectory as if it were the answer.

The parser logs the call and leaves it out. The loop then sees a turn without calls, so the model never learns what was
wrong with it.

Package: verl
Place: verl/experimental/agent_loop/tool_parser.py, HermesToolParser.extract_tool_calls
Ours: verl_hdpo/adapters/unreadable_calls.py: unreadable_calls
"""

import asyncio
import logging

from verl.experimental.agent_loop.tool_parser import HermesToolParser


class Tokenizer:
    def decode(self, text):
        return text


def is_there() -> bool:
    logging.disable(logging.CRITICAL)
    text = '<tool_call>{"name": "search", "arguments": {"q": "a"}</tool_call>'
    _, calls = asyncio.run(HermesToolParser(Tokenizer()).extract_tool_calls(text))
    logging.disable(logging.NOTSET)
    return calls == []


if __name__ == "__main__":
    print("still there" if is_there() else "mended")
