"""A tool that never returns holds its rollout, and so the training step, for ever.

No setting limits the time of a call.

Package: verl
Place: verl/experimental/agent_loop/tool_agent_loop.py, ToolAgentLoop._call_tool
Ours: verl_hdpo/adapters/agent_loop.py: tool_timeout
"""

import dataclasses
import inspect

from verl.experimental.agent_loop.tool_agent_loop import ToolAgentLoop
from verl.workers.config.rollout import MultiTurnConfig


def is_there() -> bool:
    has_setting = any("timeout" in field.name for field in dataclasses.fields(MultiTurnConfig))
    methods = (ToolAgentLoop._call_tool, ToolAgentLoop._handle_processing_tools_state)
    waits = any("wait_for" in inspect.getsource(method) for method in methods)
    return not (has_setting or waits)


if __name__ == "__main__":
    print("still there" if is_there() else "mended")
