"""``write_export``: rollouts in the forms of other programs, a line of JSON each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from verl_hdpo.evaluation.dumps.rollout import Rollout
from verl_hdpo.evaluation.look.atif import trajectory
from verl_hdpo.evaluation.look.otel import traces
from verl_hdpo.runs.whole_file import whole_file

FORMS: dict[str, Callable[[Rollout], dict[str, Any]]] = {"atif": trajectory, "otel": traces}


def write_export(rollouts: Iterable[Rollout], path: Path, form: Callable[[Rollout], dict[str, Any]]) -> int:
    """Write them; returns their number."""
    count = 0
    with whole_file(path) as part, part.open("w", encoding="utf-8", errors="replace") as file:
        for count, one in enumerate(rollouts, 1):  # noqa: B007
            file.write(json.dumps(form(one), ensure_ascii=False, default=str) + "\n")
    return count
