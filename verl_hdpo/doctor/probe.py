"""What doctor and ``compare`` find in a process of their own, cheap things first.

``python -m verl_hdpo.doctor.probe request.json findings.jsonl``

A process of its own, because registration is only proved by one that starts as verl's do, because a broken package may
end it, and because the run's own tool and reward files are imported here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from verl_hdpo.doctor.config import composed
from verl_hdpo.doctor.data import check_data
from verl_hdpo.doctor.files import model
from verl_hdpo.doctor.progress import doing, tell
from verl_hdpo.runs.finding import Finding


def probe(request: dict[str, Any]) -> Iterator[Finding]:
    """Findings on each of ``request["runs"]``, overrides by label, and on the plugin; verl is imported half-way."""
    runs = request.pop("runs")
    configs: dict[str, DictConfig] = {}
    for label, overrides in runs.items():
        doing("composing the config")
        config, found = composed(**request, overrides=overrides)
        yield from _labelled(label, found)
        if config is not None:
            configs[label] = config
            yield from _labelled(label, at_rest(config))
    doing("importing torch and verl")
    from verl_hdpo.doctor.registrations import device, registrations, torchvision

    yield from torchvision()
    yield from device()
    broken = False
    for finding in registrations():
        broken |= finding.mark == "FAIL"
        yield finding
    if broken or not configs:
        return
    from verl_hdpo.doctor.run_checks import check_composed_run

    for label, config in configs.items():
        yield from _labelled(label, check_composed_run(config))


def at_rest(config: DictConfig) -> Iterator[Finding]:
    """The files of a run, whatever verl makes of them."""
    doing("reading the data")
    if (finding := model(str(config.actor_rollout_ref.model.path))).mark == "ok":  # else it is told already
        yield finding
    yield from check_data(config)


def _labelled(label: str, findings) -> Iterator[Finding]:
    for finding in findings:
        yield replace(finding, section=f"{finding.section} {label}".rstrip())


def main() -> None:
    """Write each finding, and what is looked at next, as a line of JSON: what was found stays if a later step dies."""
    request, findings = map(Path, sys.argv[1:])
    with findings.open("w") as out:

        def write(fields: dict[str, Any]) -> None:
            out.write(json.dumps(fields) + "\n")
            out.flush()

        tell(lambda step: write({"doing": step}))
        for finding in probe(json.loads(request.read_text())):
            write(asdict(finding))


if __name__ == "__main__":
    main()
