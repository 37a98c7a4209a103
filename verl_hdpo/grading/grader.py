"""``Grader``: rules, and the judge where they cannot decide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from verl_hdpo.grading.question import Question
from verl_hdpo.grading.references import references
from verl_hdpo.grading.rules import WRONG, AnswerChecker, RuleChecker
from verl_hdpo.grading.verdict_cache import VerdictCache
from verl_hdpo.outcomes.outcome import Outcome
from verl_hdpo.settings.group import SettingsError
from verl_hdpo.settings.reward import RewardSettings

if TYPE_CHECKING:
    from verl_hdpo.grading.judge.judge import Judge


class Grader:
    """Is an answer right? ``Outcome.source`` says which check decided.

    Args:
        rules: asked first, unless the judge is always asked.
        judge: None: what the rules cannot decide is unknown.
        always: whether the judge decides in the rules' place.
    """

    def __init__(self, rules: AnswerChecker, judge: Judge | None = None, always: bool = False) -> None:
        self.rules, self.judge, self.always = rules, judge, always

    @classmethod
    def from_settings(
        cls, settings: RewardSettings, workers: int = 1, router: str | None = None, router_model: str | None = None
    ) -> Grader:
        """As ``reward.reward_kwargs`` has it; the other arguments are the :class:`Judge`'s.

        Raises:
            SettingsError: the judge lacks something, or a cache cannot be used.
        """
        asked = settings.judge if settings.judge is not None and settings.judge.when != "never" else None
        undecided = Outcome.unknown("undecided") if asked else WRONG
        cache = VerdictCache(settings.cache_dir) if settings.cache_dir else None
        rules = RuleChecker(settings.check, settings.check_timeout, undecided, settings.policy, cache)
        if asked is None:
            return cls(rules)
        try:
            from verl_hdpo.grading.judge.judge import Judge
        except ModuleNotFoundError as error:
            raise SettingsError(f"the judge needs {error.name}: pip install 'verl-hdpo[judge]'") from None
        return cls(rules, Judge(asked, workers, router, router_model), asked.when == "always")

    async def __call__(
        self, answer: str, ground_truth: Any, question: Question, extra_info: Mapping[str, Any]
    ) -> Outcome:
        if self.judge is None or not self.always:
            outcome = await self.rules(answer, ground_truth, question, extra_info)
            if outcome.known or self.judge is None:
                return outcome
        return await self.judge(answer, references(ground_truth), question.text, question.images)
