"""The settings under ``algorithm.hdpo``."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from verl_hdpo.settings.algorithms import HDPOSettings
from verl_hdpo.settings.group import SettingsError

DEFAULTS = {
    "w_acc": 1.0,
    "w_tool": 0.15,
    "combine": "loss",
    "tool_loss_norm": "all",
    "tool_tokens": "all",
    "norm_by_std": None,
    "correct_key": "acc",
    "correct_threshold": 0.5,
    "known_key": "outcome_known",
    "count_calls": "attempted",
    "tool_costs": {},
    "max_lost_rate": 0.2,
    "max_unknown_rate": 0.2,
    "rate_window": 5,
    "max_tool_calls": None,
    "answer_opening": "<answer>",
    "tool_timeout": 400.0,
    "max_images": None,
    "max_image_pixels": None,
    "show_tools": True,
    "observation_role": "tool",
    "observe": False,
}


def test_the_options_and_their_defaults_are_these():
    """Frozen: a new or renamed setting is a decision about the public interface, not a by-product."""
    assert HDPOSettings().model_dump() == DEFAULTS
    assert HDPOSettings.from_mapping(None) == HDPOSettings.from_mapping({}) == HDPOSettings()


@pytest.mark.parametrize(
    "settings",
    [
        {"w_acc": 0, "w_tool": 1},
        {"w_tool": 0},
        {"combine": "advantage"},
        {"tool_loss_norm": "qualifying"},
        {"norm_by_std": True},
        {"norm_by_std": False},
        {"correct_threshold": -1},
        {"count_calls": "executed"},
        {"count_calls": "rounds"},
        {"tool_costs": {"python": 0, "text_search": 2.5}},
        {"tool_costs": {}, "count_calls": "rounds"},
        {"max_tool_calls": 0},
        {"max_tool_calls": 3},
        {"tool_timeout": None},
        {"max_images": 0, "max_image_pixels": 0},
        {"tool_timeout": 1},
        {"show_tools": False, "observation_role": "user"},
        {"observe": True},
    ],
)
def test_accepted(settings):
    config = HDPOSettings.from_mapping(settings)
    assert {name: getattr(config, name) for name in settings} == settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"w_acc": -1}, "algorithm.hdpo.w_acc must be a finite number >= 0, found -1"),
        ({"w_acc": "1"}, "algorithm.hdpo.w_acc must be a finite number >= 0, found '1'"),
        ({"w_acc": None}, "w_acc must be a finite number >= 0, found None"),
        ({"w_tool": -0.1}, "w_tool must be a finite number >= 0, found -0.1"),
        ({"w_tool": float("nan")}, "w_tool must be a finite number >= 0, found nan"),
        ({"w_tool": float("inf")}, "w_tool must be a finite number >= 0, found inf"),
        ({"w_tool": True}, "w_tool must be a finite number >= 0, found True"),
        ({"w_acc": 0, "w_tool": 0}, "w_acc must be greater than 0 when w_tool is 0, found 0"),
        ({"combine": "sum"}, "combine must be one of loss, advantage, found 'sum'"),
        ({"combine": None}, "combine must be one of loss, advantage, found None"),
        ({"tool_loss_norm": "nonzero"}, "tool_loss_norm must be one of all, qualifying, found 'nonzero'"),
        ({"norm_by_std": "yes"}, "norm_by_std must be true, false or null, found 'yes'"),
        ({"correct_key": ""}, "correct_key must be a key of reward_extra_info, found ''"),
        ({"correct_key": None}, "correct_key must be a key of reward_extra_info, found None"),
        ({"known_key": 3}, "known_key must be a key of reward_extra_info, found 3"),
        ({"correct_threshold": None}, "correct_threshold must be a finite number, found None"),
        ({"correct_threshold": float("inf")}, "correct_threshold must be a finite number, found inf"),
        ({"count_calls": "turns"}, "count_calls must be one of attempted, executed, rounds, found 'turns'"),
        ({"max_tool_calls": -1}, "max_tool_calls must be null or an integer >= 0, found -1"),
        ({"max_tool_calls": 1.5}, "max_tool_calls must be null or an integer >= 0, found 1.5"),
        ({"max_tool_calls": True}, "max_tool_calls must be null or an integer >= 0, found True"),
        ({"tool_timeout": 0}, "tool_timeout must be null or a number of seconds > 0, found 0"),
        ({"tool_timeout": "10s"}, "tool_timeout must be null or a number of seconds > 0, found '10s'"),
        ({"tool_costs": 2}, "tool_costs must be a cost >= 0 by tool, such as {python: 1, text_search: 3}, found 2"),
        ({"tool_costs": {"python": -1}}, "tool_costs must be a cost >= 0 by tool"),
        ({"tool_costs": {"python": True}}, "must be a cost >= 0 by tool"),
        ({"tool_costs": {"python": float("inf")}}, "must be a cost >= 0 by tool"),
        (
            {"tool_costs": {"python": 1}, "count_calls": "rounds"},
            "tool_costs must be empty where count_calls is rounds: a round may hold calls of several tools",
        ),
        ({"max_lost_rate": 1.1}, "max_lost_rate must be a number in [0, 1], found 1.1"),
        ({"max_unknown_rate": None}, "max_unknown_rate must be a number in [0, 1], found None"),
        ({"rate_window": 0}, "rate_window must be an integer >= 1, found 0"),
        ({"observe": "on"}, "observe must be true or false, found 'on'"),
        ({"observe": None}, "observe must be true or false, found None"),
    ],
)
def test_refused(settings, message):
    with pytest.raises(SettingsError) as error:
        HDPOSettings.from_mapping(settings)
    assert message in str(error.value)


def test_an_unknown_key_is_refused_with_the_closest_one():
    with pytest.raises(SettingsError, match=r"algorithm\.hdpo\.w_tol; did you mean algorithm\.hdpo\.w_tool\?"):
        HDPOSettings.from_mapping({"w_tol": 0.1})


def test_an_unknown_key_like_no_other_is_refused_with_all_of_them():
    with pytest.raises(SettingsError) as error:
        HDPOSettings.from_mapping({"kl": 0.1})
    assert "unknown setting algorithm.hdpo.kl; known: " + ", ".join(DEFAULTS) in str(error.value)


@pytest.mark.parametrize("group", [0.15, "loss", ["w_tool"]])
def test_a_value_in_place_of_the_group_is_refused(group):
    with pytest.raises(SettingsError, match=r"must be a group of settings.*\+algorithm\.hdpo\.w_tool=0\.15"):
        HDPOSettings.from_mapping(group)


def test_the_error_is_a_value_error_and_the_config_is_frozen():
    assert issubclass(SettingsError, ValueError)
    with pytest.raises(ValidationError, match="frozen"):
        HDPOSettings().w_tool = 1.0
