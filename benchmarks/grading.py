"""``python benchmarks/grading.py FOLDER [SAMPLE]``: the grader on labelled answers, beside math-verify alone.

FOLDER holds ``pairs.jsonl`` (gold, answer, right, kind) and ``golds.jsonl`` (gold): references, each of which must be
right against itself in every usual wrapping; and GSM8K's ``gsm8k.jsonl`` (answer) and GSM-hard's ``gsmhard.jsonl``
(target), as their authors publish them. A file that is not there is left out. Math-verify takes some 0.05 CPU s for
each, so it is asked for SAMPLE of each set, 500 unless given; the grader, for all.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import psutil

from verl_hdpo.grading import math_process
from verl_hdpo.grading.choice import letters
from verl_hdpo.grading.grader import Grader
from verl_hdpo.grading.kinds import decide
from verl_hdpo.grading.labelled import grade, read_pairs
from verl_hdpo.grading.question import Question
from verl_hdpo.grading.rules import RuleChecker
from verl_hdpo.grading.worker_process import WorkerError
from verl_hdpo.grading.wrappers import peel
from verl_hdpo.settings.reward import RewardSettings

OWN = Path(__file__).parents[1] / "tests" / "grading" / "data"
FORMULAS = (
    "${}$", "$${}$$", "\\({}\\)", "\\[{}\\]", "\\boxed{{{}}}", "$\\boxed{{{}}}$", "$$\\boxed{{{}}}$$",
    "\\[\\boxed{{{}}}\\]",
)  # fmt: skip
TEXTS = ("{}", "{}.", "The answer is {}", "**{}**")
TEN = (
    "{}", "{}.", "${}$", "\\(\\boxed{{{}}}\\)", "The answer is {}.", "**{}**", "x = {}", "\\${}", "{} apples",
    "#### {}",
)  # fmt: skip
SPOILT = (
    "not {}", "{} or 77", "77 or {}", "{} is wrong", "{} million", "half of {}", "{}+1", "2*{}", "\\ge {}", "{}, 77",
)  # fmt: skip
BOMBS = (
    "(x+{0})^{{999}}(x+2)^{{999}}", "\\binom{{99999{0}}}{{5000000}}", "9^{{9^{{9{0}}}}}", "(999*{0}*999)!",
    "\\Gamma(99999{0})", "(x+y+z+w+{0})^{{99}}", "\\gcd(2^{{99}}, {0}!)(x+y+z+1)^{{98}}", "{0}" + "1" * 5000,
    "(" * 300 + "{0}", "\\prod_{{k=1}}^{{99999{0}}} k",
)  # fmt: skip
HARD = "\\int_0^x 2t dt"
"""A reference that is left to math-verify, as is whatever is given for it."""
BATCH, GROUPS, GROUP = 2048, 32, 16


def cpu_seconds() -> float:
    """Of this process, its children, and those of them that have ended."""
    me = psutil.Process()
    return sum(sum(one.cpu_times()[:4]) for one in (me, *me.children(recursive=True)))


def by_math_verify(gold: Any, answer: str) -> bool:
    try:
        return bool(math_process.equal(str(gold), answer, 5.0))
    except WorkerError:
        return False


def compare(name: str, rows: Sequence[dict[str, Any]], grader: Grader, sample: int) -> None:
    """Print how many rows each of both calls as they are labelled; math-verify of a ``sample``."""
    spent = cpu_seconds()
    graded = grade(rows, grader, name)
    spent = cpu_seconds() - spent
    agreed = sum(bool(one.as_labelled) for one in graded)
    print(f"{name}: {agreed} of {len(rows)} as labelled ({agreed / len(rows):.2%}), {spent:.1f} CPU s")
    for what, right in (("right called wrong", True), ("wrong called right", False)):
        missed = [one for one in graded if one.row["right"] is right and not one.as_labelled]
        print(f"    {what}: {len(missed)} {dict(Counter(one.row.get('kind') for one in missed)) if missed else ''}")
    some = random.Random(0).sample(rows, min(sample, len(rows)))
    alone = sum(by_math_verify(row["gold"], row["answer"]) == row["right"] for row in some)
    print(f"    math-verify alone: {alone} of {len(some)} ({alone / len(some):.2%})", flush=True)


def wrapped(golds: Sequence[str]) -> Iterator[dict[str, Any]]:
    for gold, wrapping in product(golds, (*TEXTS, *FORMULAS)):
        bare = gold[1:-1] if gold.count("$") == 2 and gold.startswith("$") and gold.endswith("$") else gold
        yield {"gold": gold, "answer": wrapping.format(bare if wrapping in FORMULAS else gold), "right": True}


def spoilt(golds: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Near misses: the reference, unless it is a choice or nought, with words or signs that change it."""
    left_out = [
        gold for gold in golds if letters(peel(gold)) or "=0" in gold.replace(" ", "") or not gold.strip("$0. ")
    ]
    for gold, change in product(sorted(set(golds) - set(left_out)), SPOILT):
        yield {"gold": gold, "answer": change.format(gold), "right": False}


def numbers(file: Path) -> Iterator[str]:
    for line in file.read_text().splitlines():
        row = json.loads(line)
        yield str(row["target"]) if "target" in row else row["answer"].rpartition("####")[2].strip()


def in_ten_forms(golds: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Each in ten forms, and as many forms of another one's."""
    others = random.Random(0).sample(golds, len(golds))
    for gold, other in zip(golds, others, strict=True):
        for form in TEN:
            yield {"gold": gold, "answer": form.format(gold), "right": True}
            if float(other.replace(",", "")) != float(gold.replace(",", "")):
                yield {"gold": gold, "answer": form.format(other), "right": False}


async def outcomes(checker: RuleChecker, pairs: Sequence[tuple[str, str]]) -> list[Any]:
    return await asyncio.gather(*(checker(answer, gold, Question(""), {}) for gold, answer in pairs))


def bombs() -> None:
    """A batch with and without a hundred answers that would run for hours."""
    honest = [("x^2+1", "1+x^2"), (HARD, "x^2"), (HARD, "x^3"), ("408", "408"), ("\\frac{1}{2}", "0.5")]
    plain = [honest[n % len(honest)] for n in range(BATCH - 100)]
    golds = ("x^2+1", HARD)
    bad = [(golds[n // 10 % 2], BOMBS[n % len(BOMBS)].format(n + 2)) for n in range(100)]
    batch = random.Random(0).sample([*plain, *bad], BATCH)
    decide.cache_clear()
    spent, found = cpu_seconds(), asyncio.run(outcomes(RuleChecker(), batch))
    spent = cpu_seconds() - spent
    alone = dict(zip(plain, asyncio.run(outcomes(RuleChecker(), plain)), strict=True))
    changed = sum(alone.get(pair, outcome) != outcome for pair, outcome in zip(batch, found, strict=True))
    right = sum(bool(outcome.acc) for pair, outcome in zip(batch, found, strict=True) if pair not in alone)
    print(f"100 bombs in a batch of {BATCH}: {spent:.1f} CPU s, {changed} other verdicts changed, {right} bombs right")


def groups() -> None:
    """Groups that repeat their answer, each a matter for math-verify: how often it is asked."""
    pairs = [(f"\\int_0^x {group + 2}t dt", "x^2") for group in range(GROUPS) for _ in range(GROUP)]
    checker = RuleChecker()
    asyncio.run(outcomes(checker, pairs))
    calls = checker.asked_math_verify
    print(
        f"{GROUPS} groups of {GROUP} rollouts that agree, all for math-verify: {calls} calls for {len(pairs)} rollouts"
    )


def main() -> None:
    folder, grader = Path(sys.argv[1]), Grader.from_settings(RewardSettings())
    sample = int(sys.argv[2]) if len(sys.argv) > 2 else 500
    if (folder / "pairs.jsonl").exists():
        compare("given pairs", read_pairs(folder / "pairs.jsonl"), grader, sample)
    compare("own pairs", [row for file in sorted(OWN.glob("*.jsonl")) for row in read_pairs(file)], grader, sample)
    if (folder / "golds.jsonl").exists():
        golds = [json.loads(line)["gold"] for line in (folder / "golds.jsonl").read_text().splitlines()]
        compare(f"references in {len(TEXTS + FORMULAS)} wrappings", list(wrapped(golds)), grader, sample)
        compare("near misses of the references", list(spoilt(golds)), grader, sample)
    for name in ("gsm8k", "gsmhard"):
        if (folder / f"{name}.jsonl").exists():
            rows = list(in_ten_forms(list(numbers(folder / f"{name}.jsonl"))))
            compare(f"{name} in ten forms, and shuffled", rows, grader, sample)
    bombs()
    groups()


if __name__ == "__main__":
    main()
