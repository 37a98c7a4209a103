"""What holds for all tests: none fails for being slow, none takes the width of pytest's terminal for its own, and the
function tools that a test file loads are gone after it.

Processes of pytest-xdist share the files out (``--dist loadfile``); those that need Ray all go to one of them.
"""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

ROOT = Path(__file__).parents[1]

# Each of hypothesis's examples would have 200 ms.
settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")

# GNU readline, which pytest imports, leaves them to the processes that pytest-xdist starts.
for name in ("COLUMNS", "LINES"):
    os.environ.pop(name, None)


def pytest_addoption(parser):
    parser.addoption("--ends", action="store_true", help="of each parametrized test only the first case and the last")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--ends"):
        cases = {}
        for item in items:
            cases.setdefault(item.nodeid.split("[")[0], []).append(item)
        kept = {item for of_one in cases.values() for item in (of_one[0], of_one[-1])}
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = [item for item in items if item in kept]


class OneRay(LoadFileScheduling):
    def _split_scope(self, nodeid):
        file = super()._split_scope(nodeid)
        return "ray" if '"transfer_queue"' in (ROOT / file).read_text() else file


def pytest_xdist_make_scheduler(config, log):
    return OneRay(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="module", autouse=True)
def own_function_tools():
    """verl keeps the function tools of a process in one registry, and refuses a second tool of one name."""
    yield
    if registry := sys.modules.get("verl.tools.function_tool"):
        registry.FUNCTION_TOOL_REGISTRY.clear()
        registry._LOADED_FUNCTION_TOOL_PATHS.clear()
