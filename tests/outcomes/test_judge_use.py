"""What a judge takes reaches the trainer's metrics."""

from __future__ import annotations

import math
from dataclasses import replace

from verl_hdpo.outcomes.batch import Outcomes
from verl_hdpo.outcomes.judge_use import JudgeUse
from verl_hdpo.outcomes.metrics import judge_metrics
from verl_hdpo.outcomes.outcome import Outcome
from verl_hdpo.outcomes.report import write_error, write_outcome
from verl_hdpo.settings.algorithms import HDPOSettings
from verl_hdpo.settings.judge import JudgeSettings
from verl_hdpo.settings.outcomes import OutcomeSettings
from verl_hdpo.settings.reward import RewardSettings

JUDGED = RewardSettings(judge=JudgeSettings())
USES = [
    JudgeUse(asked=1, requests=1, seconds=1.0, queue_seconds=0.5, prompt_tokens=100, completion_tokens=6),
    JudgeUse(asked=1, requests=3, seconds=5.0, queue_seconds=1.5, prompt_tokens=300, completion_tokens=18),
    JudgeUse(asked=1, cached=1),
    JudgeUse(),
]


def reported(use, settings=JUDGED):
    outcome = replace(Outcome.right("judge"), judge=use)
    return write_outcome(outcome, 1.0, 0, None, settings, HDPOSettings())["reward_extra_info"]


def outcomes(infos):
    return Outcomes.read([{"reward_extra_info": info} for info in infos], [2] * len(infos), OutcomeSettings())


def test_metrics_of_four_rollouts():
    metrics = judge_metrics(outcomes([reported(use) for use in USES]))
    assert metrics["judge/asked_rate"] == 3 / 4 and metrics["judge/cached_rate"] == 1 / 3
    assert metrics["judge/seconds/mean"] == metrics["judge/seconds/p50"] == 3.0 and metrics["judge/seconds/max"] == 5.0
    assert metrics["judge/queue_seconds/mean"] == 1.0 and metrics["judge/retries"] == 1.0
    assert metrics["judge/prompt_tokens"] == 200 and metrics["judge/completion_tokens"] == 12


def test_a_rate_without_a_request_has_no_seconds():
    assert set(judge_metrics(outcomes([reported(JudgeUse(asked=1, cached=1))]))) == {
        "judge/asked_rate", "judge/cached_rate",
    }  # fmt: skip
    assert judge_metrics(outcomes([reported(JudgeUse())])) == {}


def test_every_rollout_of_a_run_reports_the_same_columns_and_a_run_without_judge_none_of_them():
    error = write_error(ValueError("x"), JUDGED)["reward_extra_info"]
    assert list(reported(USES[1])) == list(reported(JudgeUse())) == [key for key in error if key != "reward_error"]
    assert not [key for key in reported(USES[1], RewardSettings()) if key.startswith("judge_")]
    assert all(math.isfinite(value) for key, value in reported(USES[1]).items() if key.startswith("judge_"))
