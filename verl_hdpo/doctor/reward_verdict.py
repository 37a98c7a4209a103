"""``Verdict``: what the answers that were tried on a row say of the reward."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from omegaconf import DictConfig

from verl_hdpo.adapters.algorithm_check import filters_groups
from verl_hdpo.adapters.names import REWARD_MANAGER
from verl_hdpo.adapters.run_settings import RunSettings
from verl_hdpo.doctor.answers import FORMS, right_text, wrong_text
from verl_hdpo.doctor.trial import SIGNATURE, Tried, try_answer
from verl_hdpo.runs.finding import Mark


@dataclass(frozen=True)
class Verdict:
    """One thing to say of the reward on a row; equal for rows of which the same is to be said.

    Attributes:
        mark: of the finding.
        found: what is so.
        advice: what to do.
        example: what was seen on this row, at the end of ``found``.
    """

    mark: Mark
    found: str
    advice: tuple[str, ...] = ()
    example: str = field(default="", compare=False)


def verdicts(
    config: DictConfig, run: RunSettings | None, loops: Sequence[str], row: Mapping[str, Any]
) -> Iterator[Verdict]:
    """Try a right answer in the forms that graders know, until one counts as correct; then a wrong one, and none."""
    right, form, tried = right_text(row["reward_model"]["ground_truth"]), FORMS[0], []
    for form in FORMS if right else ():
        tried.append(try_answer(config, run, loops, row, form.format(right)))
        if tried[-1].wrong or run is None or tried[-1].correct:
            break
    wrong = try_answer(config, run, loops, row, form.format(wrong_text(right)))
    empty = try_answer(config, run, loops, row, "")
    mistakes: dict[tuple[str, str], list[str]] = {}
    for answer in (*tried, wrong, empty):
        if answer.wrong:
            mistakes.setdefault(answer.wrong, []).append(repr(answer.answer)[:60])
    for (found, advice), answers in mistakes.items():
        yield Verdict("FAIL", found, (advice,), f" (answer {', '.join(answers)})")
    if mistakes:
        return
    names = {f"answer {answer.answer!r:.60}": answer for answer in (*tried[-1:], wrong)} | {"empty answer": empty}
    shown = "; ".join(f"{name}: {answer.told()}" for name, answer in names.items())
    if run is None:
        yield Verdict("ok", shown)
        return
    yield _judged(run, shown, tried, wrong, empty)
    yield from _filter_metric(config, [*tried, wrong, empty])


def _judged(run: RunSettings, shown: str, tried: list[Tried], wrong: Tried, empty: Tried) -> Verdict:
    """What the trainer will learn from these outcomes."""
    everything, key = [*tried, wrong, empty], run.hdpo.correct_key
    why = "".join(f"\n{text}" for text in dict.fromkeys(text for answer in everything for text in answer.warnings))
    shown, seen = f"{shown}{why}", f" ({shown}){why}"
    if not any(answer.known for answer in everything):
        advice = "an unknown outcome leaves the loss: with none that is known nothing is learned"
        return Verdict("FAIL", "no outcome is known", (advice, SIGNATURE), seen)
    if tried and all(answer.correct for answer in (tried[-1], wrong, empty)):
        return Verdict("FAIL", "every answer counts as correct", (f"{key} must be 0 for a wrong answer",), seen)
    if wrong.correct or empty.correct:
        found = f"{'a wrong' if wrong.correct else 'an empty'} answer counts as correct"
        return Verdict("warn", found, (f"{key} must be 0 for a wrong answer, and for none",), seen)
    if not empty.known:
        advice = "let it return 0, and not raise, where the model wrote nothing: it could learn to leave the loss"
        return Verdict("warn", "the outcome of an empty answer is unknown", (advice,), seen)
    if tried and not tried[-1].correct:
        forms = ", ".join(repr(answer.answer) for answer in tried)
        advice = "if a right answer has another form, all is well; else no answer will ever be correct"
        return Verdict("warn", "a right answer is wrong in every form that was tried", (advice,), f": {forms:.300}")
    if not tried:
        return Verdict("ok", f"{shown} (no right answer was tried: the ground truth is not a text)")
    return Verdict("ok", shown)


def _filter_metric(config: DictConfig, tried: list[Tried]) -> Iterator[Verdict]:
    if not filters_groups(config) or (metric := config.algorithm.filter_groups.get("metric")) == "reward":
        return
    if lacking := [answer for answer in tried if metric not in (answer.info or {})]:
        keys = ", ".join(sorted(lacking[0].info or {}))
        found = f"algorithm.filter_groups.metric={metric} is not in reward_extra_info, only {keys}"
        advice = f"return {metric!r} from your reward function, or set reward.reward_manager.name={REWARD_MANAGER}"
        yield Verdict("FAIL", found, (advice,))
