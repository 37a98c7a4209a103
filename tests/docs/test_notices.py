"""What is taken from other projects is named, with its licence."""

import json
import re
from collections import Counter

from pages import ROOT

PIPELINES = ROOT / "tests" / "pipelines"


def test_every_project_of_the_corpus_is_named_with_its_lines():
    row = r"^\| `([\w.-]+)` \| ([\w.-]+/[\w.-]+) \| (\d+) \| ([^|]+) \|"
    named = re.findall(row, (PIPELINES / "NOTICE.md").read_text(), re.MULTILINE)
    here = Counter()
    for path in (PIPELINES / "corpus").glob("*.jsonl"):
        projects = (json.loads(line).get("project") for line in path.read_text().splitlines())
        here.update((path.name, project) for project in projects if project)
    assert {(file, project): int(lines) for file, project, lines, _ in named} == dict(here)
    assert all(licence.strip() for *_, licence in named)
