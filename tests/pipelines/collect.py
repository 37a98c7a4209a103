"""Print the verl command lines of a checked-out project, one JSON object a line, for ``corpus/*.jsonl``.

``python tests/pipelines/collect.py CHECKOUT owner/name [--revision v0.7.1] [--under examples]``

Only the words of the commands are kept. What doctor must say of each is written by hand.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from shell import commands

VERL = re.compile(r"algorithm\.adv_estimator|data\.train_files|data\.train_batch_size|actor_rollout_ref\.")
TOOL_YAML = re.compile(r"(.*multi_turn\.tool_config_path=)(.+)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkout", type=Path)
    parser.add_argument("project")
    parser.add_argument("--revision", default="HEAD")
    parser.add_argument("--under", default="")
    given = parser.parse_args()

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", given.checkout, *words], stdout=subprocess.PIPE, check=True)
        return done.stdout.decode(errors="replace")

    commit = git("rev-parse", f"{given.revision}^{{commit}}").strip()
    every = git("ls-tree", "-r", "--name-only", commit).splitlines()

    def content(path: str) -> Any:
        """The YAML file that a command line means by ``path``, from wherever it is started."""
        parts = Path(path).parts
        ends = ["/".join(parts[at:]) for at in range(len(parts))]
        found = next((file for end in ends for file in every if file == end or file.endswith(f"/{end}")), None)
        try:
            return yaml.safe_load(git("show", f"{commit}:{found}")) if found else None
        except yaml.YAMLError:
            return None

    for path in every:
        if path.startswith(given.under) and path.endswith((".sh", ".slurm", ".sbatch")):
            for words in commands(git("show", f"{commit}:{path}")):
                if sum(bool(VERL.search(word)) for word in words) > 3:
                    line = {"project": given.project, "commit": commit, "path": path}
                    print(json.dumps(line | _with_files(list(filter(None, words)), content), ensure_ascii=False))


def _with_files(words: list[str], content: Callable[[str], Any]) -> dict[str, Any]:
    """The command, the tool yaml that it names, and the keys of a config of its own."""
    told: dict[str, Any] = {"command": words}
    for at, word in enumerate(words):
        if (match := TOOL_YAML.fullmatch(word)) and isinstance(tools := content(match[2]), dict) and "tools" in tools:
            words[at] = f"{match[1]}tools.yaml"
            kept = ("class_name", "config")
            told["tools"] = [{key: tool[key] for key in kept if key in tool} for tool in tools["tools"]]
    options = dict(word.split("=", 1) for word in words if word.startswith("--config-") and "=" in word)
    if (folder := options.get("--config-path")) and (name := options.get("--config-name")):
        own = content(f"{folder}/{name.removesuffix('.yaml')}.yaml")
        if isinstance(own, dict) and "hydra" in own:  # one of their own, on top of verl's
            told["config"] = {key: own[key] for key in own if key != "hydra"}
    return told


if __name__ == "__main__":
    main()
