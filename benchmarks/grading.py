"""``python benchmarks/grading.py FOLDER``: the grader on labelled answers, beside math-verify alone, in one run.

FOLDER holds ``pairs.jsonl`` (gold, answer, right, kind) and ``golds.jsonl`` (gold): references, each of which must be
right against itself in every usual wrapping.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections import Counter
from pathlib import Path

from verl_hdpo.grading import math_process
from verl_hdpo.grading.grader import Grader
from verl_hdpo.grading.labelled import grade, read_pairs
from verl_hdpo.grading.worker_process import WorkerError
from verl_hdpo.settings.reward import RewardSettings

FORMULAS = (
    "${}$", "$${}$$", "\\({}\\)", "\\[{}\\]", "\\boxed{{{}}}", "$\\boxed{{{}}}$", "$$\\boxed{{{}}}$$",
    "\\[\\boxed{{{}}}\\]",
)  # fmt: skip
TEXTS = ("{}", "{}.", "The answer is {}", "**{}**")


def cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _bare(gold: str) -> str:
    """``gold`` without the dollars around it: a wrapping brings its own."""
    return gold[1:-1] if gold.count("$") == 2 and gold.startswith("$") and gold.endswith("$") else gold


def by_math_verify(gold: str, answer: str) -> bool:
    try:
        return bool(math_process.equal(gold, answer, 5.0))
    except WorkerError:
        return False


def main() -> None:
    folder = Path(sys.argv[1])
    pairs = read_pairs(folder / "pairs.jsonl")
    grader = Grader.from_settings(RewardSettings())
    started, cpu = time.monotonic(), cpu_seconds()
    graded = grade(pairs, grader, "pairs.jsonl")
    print(f"grader: {sum(bool(one.as_labelled) for one in graded)} of {len(pairs)} pairs as labelled, "
          f"{time.monotonic() - started:.1f} s, {cpu_seconds() - cpu:.1f} CPU s of this process")  # fmt: skip
    for what, right in (("right called wrong", True), ("wrong called right", False)):
        missed = [one for one in graded if one.row["right"] is right and not one.as_labelled]
        print(f"  {what}: {len(missed)} {dict(Counter(one.row.get('kind') for one in missed))}")
    started = time.monotonic()
    agreed = sum(by_math_verify(str(pair["gold"]), pair["answer"]) == pair["right"] for pair in pairs)
    print(f"math-verify alone: {agreed} of {len(pairs)} pairs as labelled, {time.monotonic() - started:.1f} s")
    golds = [json.loads(line)["gold"] for line in (folder / "golds.jsonl").read_text().splitlines()]
    wrapped = [
        {"gold": gold, "answer": wrapping.format(_bare(gold) if wrapping in FORMULAS else gold)}
        for gold in golds
        for wrapping in (*TEXTS, *FORMULAS)
    ]
    verdicts = Counter(one.verdict for one in grade(wrapped, grader, "golds.jsonl"))
    print(f"references against themselves in {len(TEXTS + FORMULAS)} wrappings: {dict(verdicts)}")


if __name__ == "__main__":
    main()
