"""``python docs/generate.py``: write the parts of the docs that are made from the code, between their markers.

<!-- settings: NAME --> ... <!-- end -->    a table of the group's keys, defaults and descriptions
"""

from __future__ import annotations

import ast
import re
from itertools import product
from pathlib import Path
from typing import Any

from verl_hdpo.settings.algorithms import ALGORITHMS
from verl_hdpo.settings.group import Settings
from verl_hdpo.settings.judge import JudgeSettings
from verl_hdpo.settings.reward import RewardSettings

DOCS = Path(__file__).parent
GROUPS: dict[str, type[Settings]] = {**ALGORITHMS, "reward": RewardSettings, "judge": JudgeSettings}
PACKAGE = DOCS.parent / "verl_hdpo"
MARKED = re.compile(r"(<!-- settings: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
IMPORTS = re.compile(r"(<!-- imports -->\n).*?(<!-- end -->)", re.DOTALL)


def settings_table(settings: type[Settings]) -> str:
    """A row of Markdown for each field: key, default, description."""
    made = settings()
    rows = ["| key | default | meaning |", "|---|---|---|"]
    for key, field in settings.model_fields.items():
        meaning = " ".join((field.description or "").split()).replace("|", "\\|")
        rows.append(f"| `{key}` | {_yaml(getattr(made, key))} | {meaning} |")
    return "\n".join(rows) + "\n"


def _yaml(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return "`" + text.replace("|", "\\|") + "`"


def arrows() -> set[tuple[str, str]]:
    """Pairs of folders of which the first imports the second."""
    found = set()
    for path in PACKAGE.glob("*/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("verl_hdpo."):
                found.add((path.relative_to(PACKAGE).parts[0], str(node.module).split(".")[1]))
    return {(one, other) for one, other in found if one != other and (PACKAGE / other).is_dir()}


def imports_diagram() -> str:
    """The arrows as a Mermaid flowchart, without those that follow from two others."""
    found = arrows()
    reach = set(found)
    for middle, one, other in product(sorted({x for pair in found for x in pair}), repeat=3):
        if (one, middle) in reach and (middle, other) in reach:
            reach.add((one, other))
    needless = {(one, far) for (one, middle), (near, far) in product(found, reach) if middle == near}
    lines = [f"    {one} --> {other}" for one, other in sorted(found - needless)]
    return "\n".join(["```mermaid", "flowchart TD", *lines, "```"]) + "\n"


def generated(page: str) -> str:
    """The page with all marked parts as the code has them."""
    page = IMPORTS.sub(lambda found: found[1] + imports_diagram() + found[2], page)
    return MARKED.sub(lambda found: found[1] + settings_table(GROUPS[found[2]]) + found[3], page)


if __name__ == "__main__":
    for path in sorted(DOCS.rglob("*.md")):
        path.write_text(generated(path.read_text()))
