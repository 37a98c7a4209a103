"""What ``verl-hdpo doctor`` and ``compare`` find by importing verl.

``python -m verl_hdpo.doctor.probe request.json findings.json``

A process of its own, because registration is only proved by a process that starts as verl's do, because a broken
package may end the process, and because the run's own tool and reward files are imported here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from verl_hdpo.doctor.registrations import device, registrations, torchvision
from verl_hdpo.runs.finding import Finding


def probe(request: dict[str, Any]) -> Iterator[Finding]:
    """Every finding that takes an import of verl; then those on each of ``request["runs"]``, overrides by label."""
    yield from torchvision()
    yield from device()
    broken = False
    for finding in registrations():
        broken |= finding.mark == "FAIL"
        yield finding
    runs = {} if broken else request.pop("runs")
    if runs:
        from verl_hdpo.doctor.run_config import check_composed
    for label, overrides in runs.items():
        for finding in check_composed(**request, overrides=overrides):
            yield replace(finding, section=f"{finding.section} {label}".rstrip())


def main() -> None:
    request, findings = map(Path, sys.argv[1:])
    with findings.open("w") as out:  # one by one: what was found stays if a later step ends the process
        for finding in probe(json.loads(request.read_text())):
            out.write(json.dumps(asdict(finding)) + "\n")
            out.flush()


if __name__ == "__main__":
    main()
