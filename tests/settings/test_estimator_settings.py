"""The settings under ``algorithm.<estimator>``."""

from __future__ import annotations

from inspect import Parameter, signature
from pathlib import Path

import pytest
from pydantic import ValidationError

from verl_hdpo.algorithm.estimators import ESTIMATORS
from verl_hdpo.settings.algorithms import ALGORITHMS
from verl_hdpo.settings.group import SettingsError

SETTINGS = {name: settings for name, settings in ALGORITHMS.items() if name != "hdpo"}
NAMES = list(SETTINGS)
DOCS = Path(__file__).parents[2] / "docs"
KEYWORD_ONLY = Parameter.KEYWORD_ONLY

DEFAULTS = {
    "priced": {
        "price": 0.1,
        "accuracy_per_unit": 1.0,
        "gated": False,
        "answer_weight": None,
        "guard": False,
        "guard_margin": 0.02,
        "guard_window": 4,
    },
    "grpo_penalty": {"a": 0.15, "form": "inverse", "gated": False},
    "tool_gdpo": {"w_acc": 1.0, "w_tool": 1.0},
    "gdpo_conditioned": {"w_acc": 1.0, "w_tool": 1.0},
    "otc": {"smoothing": 1.0},
    "ikea": {"bonus": 0.6, "max_calls": 3, "search_reward": 0.05, "format_reward": -1.0},
    "slimsearcher_style": {"floor": 1.0},
    "adatir_style": {"penalty": 0.15, "easy_below": 0.5, "max_calls": 5},
    "dvao": {"w_acc": 1.0, "w_tool": 1.0},
    "sa_mrpo": {"w_acc": 1.0, "w_tool": 1.0, "gamma": 0.25},
    "eapo_style": {"beta": 1.0},
    "turn_penalty": {"weight": 0.1},
}


@pytest.mark.parametrize("name", NAMES)
def test_the_options_and_their_defaults_are_these(name):
    made = SETTINGS[name].from_mapping(None)
    assert made.model_dump() == DEFAULTS[name]
    assert made == SETTINGS[name].from_mapping({}) == SETTINGS[name].from_mapping(DEFAULTS[name])
    with pytest.raises(ValidationError, match="frozen"):
        setattr(made, next(iter(DEFAULTS[name])), 1)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_settings_are_the_arguments_of_the_estimator(name):
    taken = {key for key, argument in signature(ESTIMATORS[name]).parameters.items() if argument.kind == KEYWORD_ONLY}
    assert taken == {*ALGORITHMS[name]().parameters, "norm_by_std"}


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("grpo_penalty", {"a": -0.1}, "algorithm.grpo_penalty.a must be a finite number >= 0, found -0.1"),
        ("grpo_penalty", {"form": "square"}, "form must be one of inverse, linear, found 'square'"),
        ("grpo_penalty", {"gated": "yes"}, "gated must be true or false, found 'yes'"),
        ("tool_gdpo", {"w_tool": float("nan")}, "algorithm.tool_gdpo.w_tool must be a finite number >= 0, found nan"),
        ("tool_gdpo", {"w_acc": 0, "w_tool": 0}, "w_acc must be greater than 0 when w_tool is 0, found 0"),
        ("gdpo_conditioned", {"w_acc": "1"}, "algorithm.gdpo_conditioned.w_acc must be a finite number >= 0"),
        ("otc", {"smoothing": 0}, "algorithm.otc.smoothing must be a finite number > 0, found 0"),
        ("ikea", {"bonus": True}, "algorithm.ikea.bonus must be a finite number >= 0, found True"),
        ("ikea", {"max_calls": 0}, "max_calls must be a finite number > 0, found 0"),
        ("ikea", {"search_reward": -1}, "search_reward must be a finite number >= 0, found -1"),
        ("ikea", {"format_reward": "none"}, "format_reward must be null or a finite number, found 'none'"),
        ("slimsearcher_style", {"floor": 0}, "algorithm.slimsearcher_style.floor must be a finite number > 0, found 0"),
        ("adatir_style", {"penalty": -1}, "algorithm.adatir_style.penalty must be a finite number >= 0, found -1"),
        ("adatir_style", {"easy_below": 1.5}, "easy_below must be a number in [0, 1], found 1.5"),
        ("priced", {"price": -1}, "algorithm.priced.price must be a finite number >= 0, found -1"),
        ("priced", {"accuracy_per_unit": 0}, "accuracy_per_unit must be a finite number > 0, found 0"),
        ("priced", {"answer_weight": 0}, "answer_weight must be null or a finite number > 0, found 0"),
        ("priced", {"guard_margin": 2}, "guard_margin must be a number in [0, 1], found 2"),
        ("priced", {"guard_window": 0}, "guard_window must be an integer >= 1, found 0"),
        ("dvao", {"w_acc": 0, "w_tool": 0}, "w_acc must be greater than 0 when w_tool is 0, found 0"),
        ("sa_mrpo", {"gamma": -1}, "algorithm.sa_mrpo.gamma must be a finite number >= 0, found -1"),
        ("eapo_style", {"beta": None}, "algorithm.eapo_style.beta must be a finite number >= 0, found None"),
        ("turn_penalty", {"weight": -1}, "algorithm.turn_penalty.weight must be a finite number >= 0, found -1"),
        ("adatir_style", {"max_calls": -2}, "max_calls must be a finite number > 0, found -2"),
    ],
)
def test_refused(name, settings, message):
    with pytest.raises(SettingsError) as error:
        SETTINGS[name].from_mapping(settings)
    assert message in str(error.value)


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_key_is_refused_in_the_group_s_own_name(name):
    option = next(iter(DEFAULTS[name]))
    with pytest.raises(SettingsError) as error:
        SETTINGS[name].from_mapping({f"{option}_of": 1})
    assert f"unknown setting algorithm.{name}.{option}_of; " in str(error.value)
    with pytest.raises(SettingsError, match=rf"algorithm\.{name} must be a group.*\+algorithm\.{name}\.\w+="):
        SETTINGS[name].from_mapping(0.5)


@pytest.mark.parametrize("name", NAMES)
def test_the_example_in_the_message_is_a_setting(name):
    option, _, value = SETTINGS[name].EXAMPLE.partition("=")
    assert SETTINGS[name].from_mapping({option: float(value)})


def test_the_docs_have_every_algorithm():
    table = (DOCS / "algorithms.md").read_text()
    assert all(f"| `{name}` |" in table for name in ALGORITHMS)
