"""The settings under ``reward.reward_kwargs.judge``."""

from __future__ import annotations

from pathlib import Path

import pytest

from verl_hdpo.settings.group import SettingsError
from verl_hdpo.settings.judge import JudgeSettings
from verl_hdpo.settings.reward import RewardSettings

ONE = {"endpoints": ["http://h:1"], "model": "m"}
GROUP = "reward.reward_kwargs.judge"


def read(judge):
    return RewardSettings.read({"judge": judge}, "reward.reward_kwargs").judge


def test_there_is_no_judge_unless_one_is_set():
    assert RewardSettings().judge is None and read(None) is None


@pytest.mark.parametrize("when", ["never", "when_undecided", "always"])
def test_one_word_is_a_setting(when):
    assert read(when) == read({"when": when}) == JudgeSettings(when=when)


def test_a_group_with_endpoints_is_asked_when_the_rules_are_undecided():
    judge = read({**ONE, "cache_dir": "/tmp/x", "api_key_file": "key", "request": {"seed": 1}})
    assert judge.when == "when_undecided" and judge.cache_dir == Path("/tmp/x")


@pytest.mark.parametrize(
    ("judge", "why"),
    [
        ("sometimes", f"{GROUP}.when: Input should be 'never', 'when_undecided' or 'always', found 'sometimes'"),
        (7, f"{GROUP}: "),
        ({"tiemout": 1}, f"unknown setting {GROUP}.tiemout"),
        ({"endpoints": ["http://h:1"]}, "endpoints need the judge's name: set model"),
        ({**ONE, "endpoints": ["h:1"]}, "endpoints.0 must be a URL such as http://10.0.0.7:8000/v1"),
        ({**ONE, "endpoints": ["http://h:1?key=x"]}, "endpoints.0 must be a URL such as"),
        ({**ONE, "api_key_env": "A", "api_key_file": "b"}, "api_key_env and api_key_file are both set: remove one"),
        ({**ONE, "timeout": 0}, f"{GROUP}.timeout"),
        ({**ONE, "concurrency": 0}, f"{GROUP}.concurrency"),
        ({**ONE, "images": "yes"}, f"{GROUP}.images"),
    ],
)
def test_what_cannot_be_is_refused(judge, why):
    with pytest.raises(SettingsError) as error:
        read(judge)
    assert why in str(error.value)


@pytest.mark.parametrize("url", ["http://user:hunter2@h:1", "ftp://user:hunter2@h", "http://:hunter2@h:1/v1?x=1"])
def test_a_password_in_an_endpoint_is_refused_and_not_repeated(url):
    with pytest.raises(SettingsError) as error:
        read({**ONE, "endpoints": [url]})
    assert "endpoints.0 must be a URL" in str(error.value) and "hunter2" not in str(error.value)
