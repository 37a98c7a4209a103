"""``Pipeline``: a line of ``corpus/*.jsonl``, and what doctor says of it with the estimator changed to hdpo."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import click
import yaml
from tiny import tiny_tokenizer

from verl_hdpo.adapters.composed_config import STOCK_CONFIG
from verl_hdpo.cli.doctor import doctor
from verl_hdpo.doctor import tools
from verl_hdpo.doctor.config import composed
from verl_hdpo.doctor.run_checks import check_composed_run
from verl_hdpo.doctor.sections import FILES
from verl_hdpo.runs.finding import Finding, each_once

NOT_HERE = "on this machine"
"""In what doctor says of an engine that is not installed where it is run."""
ESTIMATOR = "algorithm.adv_estimator="


@dataclass(frozen=True)
class Pipeline:
    """A verl command line, and what doctor must say of it.

    Attributes:
        command: its words.
        project, commit, path: where it is from; without a project, one of our own and what it is about.
        tools: the entries of the tool yaml that it names, which is ``tools.yaml`` then.
        config: the config of its own that it starts from.
        files: other files, name -> text.
        rows: of its data, which is ``train.jsonl`` then.
        lacks: modules that are not installed where it is checked.
        says: (mark, phrase) of each finding of doctor's that is not ok.
    """

    command: list[str]
    project: str = ""
    commit: str = ""
    path: str = ""
    tools: list[dict[str, Any]] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    lacks: list[str] = field(default_factory=list)
    says: list[list[str]] = field(default_factory=list)

    def switched(self) -> list[str]:
        """The command of a public project with ``adv_estimator=hdpo``; one of our own as it is."""
        if not self.project:
            return self.command
        others = [word for word in self.command if not word.lstrip("+").startswith(ESTIMATOR)]
        return [*others, f"{ESTIMATOR}hdpo"]

    def findings(self, folder: Path) -> list[Finding]:
        """All that is not ok, in this process; of files, only those that the line holds are looked at."""
        words = self.switched()
        if self.config:
            name = next(word for word in words if word.startswith("--config-name=")).partition("=")[2]
            words = [f"--config-path={folder}" if word.startswith("--config-path") else word for word in words]
            own = {"hydra": {"searchpath": [f"file://{STOCK_CONFIG}"]}, **self.config}
            (folder / f"{name.removesuffix('.yaml')}.yaml").write_text(yaml.safe_dump(own, sort_keys=False))
        tools._loaded.cache_clear()  # every line has a file of the same name
        if self.tools:
            (folder / "tools.yaml").write_text(yaml.safe_dump({"tools": self.tools}))
        for file, text in self.files.items():
            (folder / file).write_text(text)
        if "actor_rollout_ref.model.path=model" in words:
            tiny_tokenizer().save_pretrained(folder / "model")
            (folder / "model" / "config.json").write_text("{}")
        if self.rows:
            (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in self.rows))
        try:
            context = doctor.make_context("doctor", ["--", *words])
        except click.UsageError as error:
            return [Finding("Command line", "FAIL", "command", error.message)]
        found = each_once(_all(context.params))
        here = bool(self.lacks)  # else what this machine lacks is not looked at
        wrong = [finding for finding in found if finding.mark != "ok" and not _elsewhere(finding)]
        return [finding for finding in wrong if here or NOT_HERE not in finding.found]


def _elsewhere(finding: Finding) -> bool:
    """Whether it is only about a file that is not on this machine."""
    return finding.section == FILES and "does not exist" in finding.found


def _all(params: dict[str, Any]) -> Iterator[Finding]:
    config, found = composed(params["config_name"], params["config_path"], params["config_dir"], params["overrides"])
    yield from found
    if config is not None:
        yield from check_composed_run(config)


def corpus() -> list[Pipeline]:
    """All lines of ``corpus/*.jsonl``."""
    files = sorted(Path(__file__).with_name("corpus").glob("*.jsonl"))
    return [Pipeline(**json.loads(line)) for file in files for line in file.open()]


def main() -> None:
    """Print the seconds of CPU that doctor takes for a config, once verl is imported."""
    seconds = []
    for pipeline in corpus():
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            before = time.process_time()
            pipeline.findings(Path(folder))
            seconds.append(time.process_time() - before)
    print(f"{len(seconds)} pipelines, CPU seconds each: median {median(seconds):.2f}, most {max(seconds):.2f}")


if __name__ == "__main__":
    main()
