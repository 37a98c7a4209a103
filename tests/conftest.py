"""What holds for all tests: none fails for being slow, none takes the width of pytest's terminal for its own, and the
function tools that a test file loads are gone after it."""

import os
import sys

import pytest
from hypothesis import settings

# Each of hypothesis's examples would have 200 ms.
settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")

# GNU readline, which pytest imports, leaves them to the processes that pytest-xdist starts.
for name in ("COLUMNS", "LINES"):
    os.environ.pop(name, None)


@pytest.fixture(scope="module", autouse=True)
def own_function_tools():
    """verl keeps the function tools of a process in one registry, and refuses a second tool of one name."""
    yield
    if registry := sys.modules.get("verl.tools.function_tool"):
        registry.FUNCTION_TOOL_REGISTRY.clear()
        registry._LOADED_FUNCTION_TOOL_PATHS.clear()
