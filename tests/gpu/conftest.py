import importlib.util
from pathlib import Path

import pytest
import torch
from engine_fixtures import directory, make_reference, reference, rollouts, start_engines  # noqa: F401
from layouts import LAYOUTS

NEEDED = ("flash_attn", "transformer_engine", "megatron.core", "mbridge")


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in Path(item.path).parents:
            item.add_marker(pytest.mark.gpu)


def missing() -> list[str]:
    """What this machine lacks."""
    lacking = [] if torch.cuda.is_available() else ["a CUDA GPU that torch can use"]
    for name in NEEDED:
        try:
            found = importlib.util.find_spec(name)
        except ModuleNotFoundError:
            found = None
        lacking += [] if found else [f"the package {name}"]
    return lacking


@pytest.fixture(scope="session")
def engines(start_engines):  # noqa: F811
    """Half precision, flash attention, Transformer Engine and NCCL; fails where they are not."""
    if lacking := missing():
        pytest.fail(f"these tests need {', '.join(lacking)}; see docs/engines.md", pytrace=False)
    start = start_engines({})

    def run(name: str):
        if LAYOUTS[name].world > torch.cuda.device_count():
            pytest.skip(f"{name} needs {LAYOUTS[name].world} GPUs, found {torch.cuda.device_count()}")
        return start(name)

    return run
