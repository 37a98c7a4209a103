"""``BENCHMARKS``: what each is, whose, under which licence, and where its files are."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from verl_hdpo.evaluation.benchmarks import bfcl, metatool, when2call
from verl_hdpo.evaluation.benchmarks.question import BenchmarkError, Decision, Question
from verl_hdpo.runs.fingerprint import fingerprint


@dataclass(frozen=True, eq=False)
class Benchmark:
    """A published benchmark.

    Attributes:
        name: after ``--benchmark``.
        licence: of its data, as its project states it.
        project: where it comes from.
        files: name -> patterns of its path in a folder that the user names; the first that is found.
        read: the questions in these files; the seed is for what is drawn.
        in_words: a call is announced in words, by a yes or a no, and no tool can be called.
        classes: its labels tell asking, refusing and answering apart.
        draws: some of what is asked is drawn by the seed.
        samples: answers in words that come with it, and what each of them does.
        package: what carries the files, if a package does: the module, the folder in it, and how to install it.
    """

    name: str
    licence: str
    project: str
    files: Mapping[str, tuple[str, ...]]
    read: Callable[[Mapping[str, Path], int], list[Question]] = field(repr=False)
    in_words: bool = False
    classes: bool = False
    draws: bool = False
    samples: Callable[[Mapping[str, Path]], list[tuple[str, Decision]]] | None = field(default=None, repr=False)
    package: tuple[str, str, str] | None = None

    def find(self, given: Path | None) -> dict[str, Path]:
        """The files, in the folder ``given`` or in the package.

        Raises:
            BenchmarkError: there is no such folder or package, or a file is not in it.
        """
        if given is not None and given.is_file() and len(self.files) == 1:
            return dict.fromkeys(self.files, given)
        folder = given if given is not None else self._of_package()
        if not folder.is_dir():
            raise BenchmarkError(f"--benchmark {self.name}: {folder} is not a folder; {self._where()}")
        return {name: self._one(folder, name, patterns) for name, patterns in self.files.items()}

    def questions(self, files: Mapping[str, Path], seed: int) -> list[Question]:
        """What is in ``files``.

        Raises:
            BenchmarkError: they are not as the benchmark published them.
        """
        try:
            found = self.read(files, seed)
        except (KeyError, TypeError, IndexError, AttributeError, json.JSONDecodeError) as error:
            where = ", ".join(str(path) for path in files.values())
            raise BenchmarkError(
                f"{where}: not as {self.name} publishes it ({type(error).__name__}: {error}); {self._where()}"
            ) from error
        if not found:
            raise BenchmarkError(f"{', '.join(map(str, files.values()))}: no rows")
        return found

    def about(self, files: Mapping[str, Path]) -> dict[str, Any]:
        """What the report says of it."""
        return {
            "licence": self.licence,
            "project": self.project,
            "files": {path.name: fingerprint(path) for path in files.values()},
        }

    def _of_package(self) -> Path:
        if self.package is None:
            raise BenchmarkError(f"--benchmark {self.name}: no package carries its data; {self._where()}")
        module, folder, install = self.package
        spec = importlib.util.find_spec(module)  # found, not imported: it would bring all that it needs
        if spec is None or not spec.submodule_search_locations:
            raise BenchmarkError(f"--benchmark {self.name}: {module} is not installed: {install}; or {self._where()}")
        return Path(next(iter(spec.submodule_search_locations))) / folder

    def _one(self, folder: Path, name: str, patterns: tuple[str, ...]) -> Path:
        for pattern in patterns:
            found = sorted(folder.glob(pattern))
            if len(found) > 1:
                raise BenchmarkError(f"--benchmark {self.name}: {' and '.join(map(str, found))}; name a folder of one")
            if found:
                return found[0]
        raise BenchmarkError(f"--benchmark {self.name}: {folder} has no {patterns[0]} ({name}); {self._where()}")

    def _where(self) -> str:
        return f"name the folder of a copy of {self.project} by --benchmark {self.name}=FOLDER"


def _under(folders: tuple[str, ...], *names: str) -> tuple[str, ...]:
    return tuple(f"{folder}{name}" for folder in folders for name in names)


_UNUSED = "unused_datasets/question/"
_BFCL = ("", "data/", "bfcl_eval/data/")
_METATOOL_PROJECT = "https://github.com/HowieHwong/MetaTool"
_METATOOL = ("dataset/tmp_dataset/", "tmp_dataset/", "")
_TASK_1 = {"task": _under(_METATOOL, "Task1.json")}
_TOOLS = {"tools": _under(("dataset/", ""), "plugin_des.json")}

BENCHMARKS = {
    one.name: one
    for one in (
        Benchmark(
            "bfcl", "Apache-2.0", "https://github.com/ShishirPatil/gorilla",
            {
                **{part: _under(_BFCL, f"BFCL_v[0-9]_{part}.json") for part in bfcl.SHOULD_CALL},
                "chatable": _under(_BFCL, *(f"{folder}BFCL_v[0-9]_chatable.json" for folder in ("", _UNUSED))),
            },
            bfcl.read, package=("bfcl_eval", "data", "pip install --no-deps bfcl-eval"),
        ),
        Benchmark(
            "when2call", "Apache-2.0", "https://github.com/NVIDIA/When2Call",
            {"test": _under(("data/test/", "test/", ""), "when2call_test_llm_judge.jsonl")},
            when2call.read, classes=True, samples=when2call.labelled_texts,
        ),
        Benchmark("metatool", "MIT", _METATOOL_PROJECT, _TASK_1, metatool.read_words, in_words=True),
        Benchmark(
            "metatool-tools", "MIT", _METATOOL_PROJECT, {**_TASK_1, **_TOOLS}, metatool.read_tools, draws=True
        ),
    )
}  # fmt: skip
"""Name -> benchmark."""
