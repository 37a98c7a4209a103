"""A text argument that looks like a number reaches the tool as a number.

The formats of GLM, Seed and MiniMax write every value as bare text. Their parsers read whatever is JSON as JSON,
although the tool's schema says ``string``: a query ``2024`` becomes the number.

Package: verl
Place: verl/experimental/agent_loop/tool_parser.py, _convert_arg_value and _convert_parameter_value
Ours: verl_hdpo/adapters/argument_types.py: CONVERTERS
"""

from verl.experimental.agent_loop.tool_parser import ToolParser


def is_there() -> bool:
    return ToolParser._registry["glm"]._convert_arg_value("2024") == 2024


if __name__ == "__main__":
    print("still there" if is_there() else "mended")
