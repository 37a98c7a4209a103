"""``python docs/generate.py``: write the parts of the docs that are made from the code, between their markers.

<!-- settings: NAME --> ... <!-- end -->    a table of the group's keys, defaults and descriptions
<!-- pairs --> ... <!-- end -->             labelled answers of the tests, those that are to be shown
<!-- policies --> ... <!-- end -->          labelled answers that a policy decides
<!-- changes: NAME --> ... <!-- end -->     a table of what became of keys, launchers, estimators or tool classes
<!-- hosts --> ... <!-- end -->             verl's trainers, and which of them are supported
<!-- defects --> ... <!-- end -->           defects of verl and its companions, of tests/upstream
"""

from __future__ import annotations

import ast
import json
import re
import runpy
from collections.abc import Callable, Iterator
from itertools import groupby, product
from pathlib import Path
from typing import Any

from verl_hdpo.adapters.hosts import hosts_table
from verl_hdpo.runs.migration.estimators import CHANGED as ESTIMATORS
from verl_hdpo.runs.migration.estimators import SAME
from verl_hdpo.runs.migration.keys import ASYNCHRONOUS, OTHER_PROJECTS, REMOVED, UNREAD, Change
from verl_hdpo.runs.migration.launchers import LAUNCHERS
from verl_hdpo.runs.migration.tool_classes import TOOL_CLASSES
from verl_hdpo.settings.algorithms import ALGORITHMS
from verl_hdpo.settings.group import Settings
from verl_hdpo.settings.judge import JudgeSettings
from verl_hdpo.settings.policy import Policy
from verl_hdpo.settings.reward import RewardSettings

DOCS = Path(__file__).parent
GROUPS: dict[str, type[Settings]] = {**ALGORITHMS, "reward": RewardSettings, "judge": JudgeSettings, "policy": Policy}
PACKAGE = DOCS.parent / "verl_hdpo"
MARKED = re.compile(r"(<!-- settings: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
PAIRS = DOCS.parent / "tests" / "grading" / "data"
TABLES = re.compile(r"(<!-- (pairs|policies) -->\n).*?(<!-- end -->)", re.DOTALL)
CHANGED = re.compile(r"(<!-- changes: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
HOSTS = re.compile(r"(<!-- hosts -->\n).*?(<!-- end -->)", re.DOTALL)
DEFECTS = re.compile(r"(<!-- defects -->\n).*?(<!-- end -->)", re.DOTALL)
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
    if isinstance(value, Settings):
        return "a group"
    return _code(f"{value:g}" if isinstance(value, float) else str(value))


def _code(text: str) -> str:
    return "`" + text.replace("|", "\\|") + "`"


def _labelled(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def pairs_table() -> str:
    """A row for each reference, verdict and reason."""
    shown = [row for file in sorted(PAIRS.glob("*.jsonl")) for row in _labelled(file) if row.get("page")]
    rows = ["| reference | answer | verdict | why |", "|---|---|---|---|"]
    for (gold, right, why), same in groupby(shown, lambda row: (row["gold"], row["right"], row["why"])):
        answers = ", ".join(_code(row["answer"]) for row in same)
        rows.append(f"| {_code(gold)} | {answers} | {'right' if right else 'wrong'} | {why} |")
    return "\n".join(rows) + "\n"


def policies_table() -> str:
    """A row for each policy: what it decides, and the setting that decides it otherwise."""
    rows = ["| reference | answer | verdict | why | the opposite with |", "|---|---|---|---|---|"]
    for row in _labelled(PAIRS / "policies.jsonl"):
        key, value = next(iter(row["flipped_by"].items()))
        setting = _code(f"{key}={str(value).lower()}")
        verdict = "right" if row["right"] else "wrong"
        rows.append(f"| {_code(row['gold'])} | {_code(row['answer'])} | {verdict} | {row['why']} | {setting} |")
    return "\n".join(rows) + "\n"


def changes_table(name: str) -> str:
    """A row of Markdown for each entry of a table in ``verl_hdpo/runs/migration``."""
    rows = CHANGES[name]()
    return "\n".join([next(rows), "|---" * 3 + "|", *rows]) + "\n"


def _keys(table: dict[str, Change]) -> Iterator[str]:
    yield "| key | now | why |"
    for key, change in table.items():
        now = f"`{change.moved}`" if change.moved else change.instead or "delete it"
        yield f"| `{key}` | {now} | {change.why} |"


def _launchers() -> Iterator[str]:
    yield "| launcher | settings that do the same | why |"
    for name, known in LAUNCHERS.items():
        yield f"| `{name}` | {', '.join(f'`{setting}`' for setting in known.settings) or 'none needed'} | {known.why} |"


def _estimators() -> Iterator[str]:
    yield "| estimator | changes with hdpo | |"
    yield f"| {', '.join(f'`{name}`' for name in SAME)} | nothing but the efficiency channel | |"
    yield from (f"| `{name}` | {changed} | |" for name, changed in ESTIMATORS.items())


def _tool_classes() -> Iterator[str]:
    yield "| class of verl 0.7 and 0.8 | class here | |"
    for name, known in TOOL_CLASSES.items():
        yield f"| `{name}` | {f'`{known.class_name}`' if known.class_name else 'none'} | {known.how} |"


def defects_table() -> str:
    """A row for each script in tests/upstream."""
    table: str = runpy.run_path(str(DOCS.parent / "tests" / "support" / "upstream_defects.py"))["table"]()
    return table


CHANGES: dict[str, Callable[[], Iterator[str]]] = {
    "unread": lambda: _keys(UNREAD),
    "removed": lambda: _keys(REMOVED),
    "asynchronous": lambda: _keys(ASYNCHRONOUS),
    "other_projects": lambda: _keys(OTHER_PROJECTS),
    "launchers": _launchers,
    "estimators": _estimators,
    "tool_classes": _tool_classes,
}


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
    tables = {"pairs": pairs_table, "policies": policies_table}
    page = TABLES.sub(lambda found: found[1] + tables[found[2]]() + found[3], page)
    page = IMPORTS.sub(lambda found: found[1] + imports_diagram() + found[2], page)
    page = CHANGED.sub(lambda found: found[1] + changes_table(found[2]) + found[3], page)
    page = DEFECTS.sub(lambda found: found[1] + defects_table() + found[2], page)
    page = HOSTS.sub(lambda found: found[1] + hosts_table() + found[2], page)
    return MARKED.sub(lambda found: found[1] + settings_table(GROUPS[found[2]]) + found[3], page)


if __name__ == "__main__":
    for path in sorted(DOCS.rglob("*.md")):
        path.write_text(generated(path.read_text()))
