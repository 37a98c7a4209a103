"""The settings under ``reward.reward_kwargs``."""

import pytest

from verl_hdpo.settings.group import SettingsError
from verl_hdpo.settings.reward import RewardSettings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"answer_wieght": 1}, "unknown setting reward.reward_kwargs.answer_wieght"),
        ({"overlong_buffer_cfg": {}}, "unknown setting reward.reward_kwargs.overlong_buffer_cfg"),
        ({"answer_weight": 0}, "answer_weight must be a number > 0, found 0"),
        ({"answer_weight": True}, "answer_weight must be a number > 0"),
        ({"format_weight": -0.1}, "format_weight must be a number >= 0"),
        ({"check": "judge"}, "check must be one of auto, exact, math, found 'judge'"),
        ({"check_timeout": 0}, "check_timeout must be a number of seconds > 0"),
        ({"answer_pattern": "<a>.*</a>"}, "answer_pattern must be a regular expression with exactly one group"),
        ({"answer_pattern": "("}, "answer_pattern must be a regular expression"),
        ({"answer_pattern": None}, "answer_pattern must be a regular expression"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings, message):
    with pytest.raises(SettingsError, match=message.replace("(", r"\(")):
        RewardSettings.read(settings, "reward.reward_kwargs")


def test_settings_default_to_the_papers():
    assert RewardSettings.read(None, "reward.reward_kwargs") == RewardSettings(
        answer_weight=0.9, format_weight=0.1, check="auto"
    )
