"""The settings of reward manager ``hdpo``, under ``reward.reward_kwargs``."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from verl_hdpo.settings.group import StrictSettings, Wanted
from verl_hdpo.settings.judge import JudgeSettings, OptionalPath
from verl_hdpo.settings.policy import Policy

Check = Literal["auto", "exact", "math"]
ANSWER_PATTERN = r"<answer>((?:(?!</?answer>).)*)</answer>"


def _one_group(pattern: str) -> str:
    try:
        groups = re.compile(pattern, re.DOTALL).groups
    except re.error as error:
        raise ValueError(str(error)) from None
    if groups != 1:
        raise ValueError(f"{groups} groups")
    return pattern


def _group(judge: Any) -> Any:
    return {"when": judge} if isinstance(judge, str) else judge


class RewardSettings(StrictSettings):
    """r_acc = answer_weight * answer + format_weight * format, and how answers are judged."""

    EXAMPLE: ClassVar[str] = "check=math"
    HINT: ClassVar[str] = ". Arguments of a custom reward function go under reward.custom_reward_function.reward_kwargs"

    answer_weight: Annotated[float, Field(gt=0), Wanted("a number > 0")] = 0.9
    """Weight of the answer in r_acc."""
    format_weight: Annotated[float, Field(ge=0), Wanted("a number >= 0")] = 0.1
    """Weight of the format in r_acc."""
    grammar: Literal["answer", "reason"] = "answer"
    """What counts as the format: `answer`, one answer at the end of the last turn; or `reason`, the paper's grammar, in
    which every turn is `<reason>...</reason>` and then calls of tools or, in the last, the answer."""
    check: Check = "auto"
    """How answers are compared: `exact` text, `math`, or `auto` (exact, else math)."""
    answer_pattern: Annotated[
        str, AfterValidator(_one_group), Wanted("a regular expression with exactly one group")
    ] = ANSWER_PATTERN
    """Regular expression with one group, the answer; it is searched in what the model wrote only."""
    policy: Policy = Policy()
    """What counts as the same answer, for which see [grading.md](grading.md)."""
    check_timeout: Annotated[float, Field(gt=0), Wanted("a number of seconds > 0")] = 5.0
    """Seconds of processor time for a check by the rules."""
    cache_dir: OptionalPath = None
    """Folder on a local disk of the node where math-verify's verdicts are kept for all workers and later runs. null:
    in memory, for each worker alone."""
    function_timeout: Annotated[float, Field(gt=0), Wanted("a number of seconds > 0")] = 30.0
    """Seconds for a call of a custom reward function. In a process, those in which it waited for a processor do not
    count."""
    function_processes: Annotated[int, Field(ge=0), Wanted("a whole number >= 0")] = 4
    """Processes, per reward worker, that call a custom reward function which is not async; 0: threads of the reward
    worker."""
    judge: Annotated[JudgeSettings | None, BeforeValidator(_group)] = None
    """The judge for answers that the rules cannot decide: `when_undecided`, `always` or `never`, or a group of
    settings, for which see [judge.md](judge.md)."""
