"""``python docs/generate.py``: write the parts of the docs that are made from the code, between their markers.

<!-- settings: NAME --> ... <!-- end -->    a table of the group's keys, defaults and descriptions
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from verl_hdpo.settings.algorithms import ALGORITHMS
from verl_hdpo.settings.group import Settings
from verl_hdpo.settings.reward import RewardSettings

DOCS = Path(__file__).parent
GROUPS: dict[str, type[Settings]] = {**ALGORITHMS, "reward": RewardSettings}
MARKED = re.compile(r"(<!-- settings: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


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


def generated(page: str) -> str:
    """The page with all marked parts as the code has them."""
    return MARKED.sub(lambda found: found[1] + settings_table(GROUPS[found[2]]) + found[3], page)


if __name__ == "__main__":
    for path in sorted(DOCS.rglob("*.md")):
        path.write_text(generated(path.read_text()))
