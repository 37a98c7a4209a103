"""A call whose arguments are JSON but no object fails the rollouts of the whole prompt.

``{"name": "search", "arguments": ["a"]}`` raises ValueError where the assistant's message is built.

Package: verl
Place: verl/experimental/agent_loop/tool_agent_loop.py, ToolAgentLoop._build_assistant_message
Ours: verl_hdpo/adapters/agent_loop.py: except ValueError
Mended: 0.9.1
"""

import logging

from verl.experimental.agent_loop.tool_agent_loop import ToolAgentLoop
from verl.experimental.agent_loop.tool_parser import FunctionCall


class Loop:
    max_parallel_calls = 1


class AgentData:
    def __init__(self):
        self.tool_calls = [FunctionCall(name="search", arguments='["a"]')]


def is_there() -> bool:
    logging.disable(logging.CRITICAL)
    try:
        ToolAgentLoop._build_assistant_message(Loop(), "", AgentData())
    except ValueError:
        return True
    finally:
        logging.disable(logging.NOTSET)
    return False


if __name__ == "__main__":
    print("still there" if is_there() else "mended")
