"""Values that verl does not take any more: none of them is in its registries, and what takes their place is."""

from __future__ import annotations

from pathlib import Path

import pytest

from verl_hdpo.runs.migration.values import VALUES, gone

PAGE = Path(__file__).parents[2] / "docs" / "migration.md"


@pytest.mark.parametrize("key", VALUES)
def test_what_is_gone_is_not_known_and_what_takes_its_place_is(key):
    known, table = VALUES[key].known, VALUES[key].gone
    assert not set(known) & set(table)
    assert all(bool(change.now) != bool(change.advice) for change in table.values())
    assert not known or {change.now for change in table.values() if change.now} <= set(known)


def test_each_value_that_is_gone_is_on_the_page():
    text = PAGE.read_text()
    assert not [f"{key}={value}" for key, values in VALUES.items() for value in values.gone if f"`{value}`" not in text]


def test_a_value_of_which_nothing_is_known():
    change = gone("reward.reward_manager.name", "wikiRL")
    assert not change.now and "naive" in change.advice and change.why == "verl has no reward manager wikiRL"
    assert gone("reward.reward_manager.name", "dapo") is None and gone("data.seed", "1") is None
    assert gone("actor_rollout_ref.rollout.load_format", "safetensors") is None
