"""The last screen of a quickstart: what the run showed, in words, and what to do next."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from questions import KINDS
from report import LABELS
from training import VALIDATION_DUMP

from verl_hdpo.evaluation.dumps.reader import read_rollouts
from verl_hdpo.evaluation.dumps.rollout import Rollout
from verl_hdpo.evaluation.look.page import write_page
from verl_hdpo.evaluation.look.terminal import print_dialogue
from verl_hdpo.runs.terminal import say, show_table

LEVELS = "▁▂▃▄▅▆▇█"
KEPT = 0.05
"""By how much a share may fall and still count as kept."""
NEXT = (
    ("the same with the other algorithm", "make {name} ALGO={other}"),
    ("what the trained model does with its tool", "verl-hdpo eval: docs/eval.md"),
    ("your own reward function", "docs/tutorials/your_own_reward.md"),
    ("check your own run, without a GPU", "verl-hdpo doctor -- algorithm.adv_estimator=hdpo ..."),
    ("algorithms compared on your pipeline", "verl-hdpo compare --algos grpo,hdpo -- ..."),
)


@dataclass(frozen=True)
class Finished:
    """A run that has ended.

    Attributes:
        name: the target of ``make`` that runs it.
        algo: ``algorithm.adv_estimator``.
        before, after: validation, as ``report.validation`` has it.
        curves: of the training rollouts.
        out: the run's folder.
        beside: a GRPO run to compare with, from ``grpo_beside``; None where there is none.
    """

    name: str
    algo: str
    before: Mapping[str, float]
    after: Mapping[str, float]
    curves: Sequence[Mapping[str, float]]
    out: Path
    beside: Mapping[str, Any] | None = None


def show(run: Finished) -> None:
    """Print the verdict, a dialogue before and after, the curves, the page and the next steps."""
    say("")
    for line, style in verdict(run.algo, run.before, run.after):
        say(line, style)
    _curves(run)
    accuracy = [
        [LABELS[kind], *(_percent(one[f"accuracy_{kind}"]) for one in (run.before, run.after))] for kind in KINDS
    ]
    say("")
    show_table(["accuracy", "before", "after"], accuracy)
    _dialogues(run)
    reading = read_rollouts(run.out)
    page = run.out / "look.html"
    write_page(reading.rollouts, page, f"Rollouts of {run.name}, {run.algo}")
    say(f"\nEvery rollout, with its advantages: open {page} in a browser")
    say(f"Curves: {run.out / 'curves.png'}")
    say("\nNext", "bold")
    show_table(["what", "how"], [[what, how.format(name=run.name, other=_other(run.algo))] for what, how in NEXT],
               left=["how"])  # fmt: skip


def verdict(algo: str, before: Mapping[str, float], after: Mapping[str, float]) -> list[tuple[str, str]]:
    """What the figures say, line by line, each with its colour."""
    needless, needed = KINDS
    was, now = before[f"tool_rate_{needless}"], after[f"tool_rate_{needless}"]
    moved = f"from {_percent(was)} to {_percent(now)} of answers"
    if now < was / 2:
        first = (f"{algo} unlearned needless calls: on questions that need no tool, calls fell {moved}.", "bold green")
    elif now < was - KEPT:
        first = (f"{algo} unlearned some needless calls: on questions that need no tool, {moved}.", "bold yellow")
    else:
        first = (f"{algo} kept its needless calls: on questions that need no tool, {moved}.", "bold yellow")
    found = [first]
    was, now = before[f"tool_rate_{needed}"], after[f"tool_rate_{needed}"]
    if now >= was - KEPT:
        found.append((f"It still calls where it must: {_percent(now)} of answers.", "green"))
    else:
        found.append((f"It lost calls that it needs: from {_percent(was)} to {_percent(now)} of answers.", "red"))
    fallen = [kind for kind in KINDS if after[f"accuracy_{kind}"] < before[f"accuracy_{kind}"] - KEPT]
    if fallen:
        found.append((f"Accuracy fell where the question {' and '.join(LABELS[kind] for kind in fallen)}.", "red"))
    else:
        found.append(("Accuracy is kept.", "green"))
    return found


def pair(rollouts: Sequence[Rollout]) -> tuple[Rollout, Rollout] | None:
    """One question of the validations before and after: best one that the model called for needlessly, and then not."""
    asked: dict[str, dict[int, Rollout]] = {}
    for one in rollouts:
        if one.source == KINDS[0] and one.step is not None and one.prompt:
            asked.setdefault(one.prompt[-1].text, {}).setdefault(one.step, one)
    pairs = [(steps[min(steps)], steps[max(steps)]) for steps in asked.values() if len(steps) > 1]
    right = [two for two in pairs if all(one.outcome == "correct" for one in two)]
    saved = [two for two in right if two[0].calls and not two[1].calls]
    return next(iter([*saved, *right, *pairs]), None)


def curve(rows: Sequence[Mapping[str, float]], name: str) -> str:
    """The column ``name`` of the rows, a character each; a step without it is a blank."""
    return "".join(LEVELS[round((len(LEVELS) - 1) * row[name])] if name in row else " " for row in rows)


def grpo_beside(root: Path, folder: Path) -> dict[str, Any] | None:
    """A GRPO run to show beside another: one of your own under ``root``, else what is committed in ``folder``."""
    for path in sorted(root.glob("grpo-seed*/summary.json")):
        return {"what": f"grpo, your run {path.parent.name}", **json.loads(path.read_text())}
    path = folder / "recorded_grpo.json"
    return json.loads(path.read_text()) if path.exists() else None


def _dialogues(run: Finished) -> None:
    found = pair(read_rollouts(run.out / VALIDATION_DUMP).rollouts)
    if found is None:
        return
    say("\nOne question, before and after", "bold")
    for title, one in zip(("before", "after"), found, strict=True):
        print_dialogue(one, f"{title} training: {one.outcome}, {one.calls} calls")


def _curves(run: Finished) -> None:
    rows = [(f"{run.algo}, this run", run.before, run.after, run.curves)]
    if beside := run.beside:
        rows.append((beside["what"], beside["before"], beside["after"], beside["curves"]))
    for kind in KINDS:
        name = f"tool_rate_{kind}"
        cells = [[label, curve(curves, name), _percent(before[name]), _percent(after[name])]
                 for label, before, after, curves in rows]  # fmt: skip
        say("")
        show_table([f"tool use, {LABELS[kind]}", "over the steps", "before", "after"], cells, left=["over the steps"])


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _other(algo: str) -> str:
    return "grpo" if algo != "grpo" else "hdpo"
