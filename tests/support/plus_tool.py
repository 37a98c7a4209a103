"""A function tool of verl that adds, as the text of a file."""

TOOLS = '''
from verl.tools.function_tool import function_tool

@function_tool()
def plus(a: int, b: int) -> str:
    """Add two numbers.

    Args:
        a: the one
        b: the other
    """
    return str(a + b)
'''
