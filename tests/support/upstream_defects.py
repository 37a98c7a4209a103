"""``python tests/support/upstream_defects.py``: which defects of verl and its companions are still installed.

Each file in ``tests/upstream`` is one defect: a script that needs nothing of this package. Its docstring says what is
wrong, where, and which of our lines answer to it; ``is_there`` tries it. ``--json`` gives the verdicts as data.
"""

from __future__ import annotations

import ast
import json
import os
import runpy
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.version import Version

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "tests" / "upstream"


@dataclass(frozen=True)
class Defect:
    """What the docstring of a script says.

    Attributes:
        name: of the script.
        title: its first line.
        text: what follows it.
        packages: distributions that have the defect.
        place: in them.
        ours: (file, text in it) of our lines that answer to it.
        mended: first release without it; ours stay while an older one is supported.
    """

    name: str
    title: str
    text: str
    packages: tuple[str, ...]
    place: str
    ours: tuple[tuple[str, str], ...]
    mended: str | None

    @property
    def is_mended(self) -> bool:
        """Whether the installed release ought to be without it."""
        return self.mended is not None and Version(version(self.packages[0])) >= Version(self.mended)

    @property
    def lines(self) -> list[str]:
        """``file:line`` of each of ours."""
        found = []
        for file, text in self.ours:
            numbers = [number for number, line in enumerate((ROOT / file).read_text().splitlines(), 1) if text in line]
            found.append(f"{file}:{numbers[0]}" if numbers else f"{file} (without {text!r})")
        return found


def defects() -> list[Defect]:
    """All of them, by name."""
    return [_read(path) for path in sorted(SCRIPTS.glob("*.py")) if not path.name.startswith("test_")]


def _read(path: Path) -> Defect:
    paragraphs = (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n\n")
    facts = dict(line.split(": ", 1) for line in paragraphs[-1].splitlines())
    pairs = [one.strip().partition(": ") for one in facts["Ours"].split(";")]
    ours = tuple((file, text) for file, _, text in pairs)
    packages = tuple(name.strip() for name in facts["Package"].split(","))
    return Defect(
        path.stem, paragraphs[0], "\n\n".join(paragraphs[1:-1]), packages, facts["Place"], ours, facts.get("Mended")
    )


def verdict(defect: Defect) -> str:
    """``still there``, ``mended``, or why it could not be tried."""
    try:
        found = runpy.run_path(str(SCRIPTS / f"{defect.name}.py"))["is_there"]()
    except Exception as error:
        return f"cannot be tried: {type(error).__name__}: {error}"
    return "still there" if found else "mended"


def table() -> str:
    """All defects in Markdown, for docs/upstream.md."""
    rows = ["| defect | where | ours |", "|---|---|---|"]
    for defect in defects():
        ours = ", ".join(f"[{file.rpartition('/')[2]}](../{file})" for file, _ in defect.ours)
        title = defect.title.rstrip(".").replace("``", "`")
        title = f"[{title}](../tests/upstream/{defect.name}.py)"
        mended = f"; mended in {defect.mended}" if defect.mended else ""
        rows.append(f"| {title} | {', '.join(defect.packages)}: {defect.place}{mended} | {ours} |")
    return "\n".join(rows) + "\n"


def main() -> None:
    os.environ["VERL_USE_EXTERNAL_PLUGINS"] = "none"  # else our lines mend some of them
    verdicts = {defect.name: verdict(defect) for defect in defects()}
    if "--json" in sys.argv:
        print(json.dumps(verdicts))
        return
    for defect in defects():
        print(f"{verdicts[defect.name]:12} {defect.title}")
        print(f"{'':12} {', '.join(_installed(name) for name in defect.packages)}; ours: {', '.join(defect.lines)}")


def _installed(name: str) -> str:
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return f"{name}, not installed"


if __name__ == "__main__":
    main()
