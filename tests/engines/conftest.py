from pathlib import Path

import pytest
from engine_fixtures import directory, make_reference, reference, rollouts, start_engines  # noqa: F401

from verl_hdpo.runs.cpu_settings import ENVIRONMENT


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in Path(item.path).parents:
            item.add_marker(pytest.mark.engines)


@pytest.fixture(scope="session")
def engines(start_engines):  # noqa: F811
    return start_engines(ENVIRONMENT)
