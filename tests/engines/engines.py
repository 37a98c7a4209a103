"""The engines behind verl's workers, driven from a test: a layout is run when it is first asked for."""

import functools
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from engine_server import LIMIT
from layouts import LAYOUTS, Outcome

HERE = Path(__file__).parent
SUPPORT = HERE.parent / "support"
MEGATRON = Path(sys.prefix) / "megatron"
"""Where ``make install`` puts Megatron, out of the way of every process that does not ask for it."""


def python_path(*folders: Path) -> str:
    """``PYTHONPATH`` of a process that imports from this folder, and from those."""
    return os.pathsep.join(filter(None, [*map(str, (HERE, SUPPORT, *folders)), os.environ.get("PYTHONPATH")]))


class Engines:
    """The forking server, and what its ranks have found; ``verl`` is the version that they run."""

    def __init__(self, directory: Path, output: Path, env: Mapping[str, str], *path: Path):
        self.directory, self.output = directory, output
        self._failed: dict[str, str | None] = {}
        self._server = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(HERE / "engine_server.py")],
            env={**os.environ, "PYTHONPATH": python_path(MEGATRON, *path), "TORCH_COMPILE_DISABLE": "1", **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.verl = self._answer()["verl"]

    def _answer(self) -> dict[str, str | None]:
        line = self._server.stdout.readline()
        if not line:
            raise RuntimeError(
                "the engines' server ended, see its error above; if Megatron is missing: make install, or "
                f"pip install --no-deps --target {MEGATRON} megatron-core==0.16.1 mbridge==0.15.1"
            )
        return json.loads(line)

    def __call__(self, name: str) -> list[tuple[dict[str, torch.Tensor], list[Outcome]]]:
        """(initial weights, outcomes) of each rank of a layout, run when it is first asked for."""
        output = self.output / name
        if not output.exists():
            output.mkdir()
            request = {
                "layout": name, "directory": str(self.directory / LAYOUTS[name].model), "output": str(output),
            }  # fmt: skip
            self._server.stdin.write(json.dumps(request) + "\n")
            self._server.stdin.flush()
            self._failed[name] = self._answer()["error"]
        if error := self._failed[name]:
            pytest.fail(f"{name}: {error}", pytrace=False)
        return self._load(name)

    @functools.cache  # noqa: B019 (one per session)
    def _load(self, name: str) -> list[tuple[dict[str, torch.Tensor], list[Outcome]]]:
        ranks = range(LAYOUTS[name].world)
        return [torch.load(self.output / name / f"{rank}.pt", weights_only=False) for rank in ranks]

    def close(self) -> None:
        self._server.stdin.close()
        self._server.wait(LIMIT)
