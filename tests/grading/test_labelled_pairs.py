"""Pairs labelled by hand or by rule: each has the verdict that its label says, and each policy changes one.

A line holds reference, answer, label, kind and reason, as ``verl-hdpo grade`` reads them. Lines with ``page`` and the
policies are shown in docs/grading.md.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from verl_hdpo.grading.grader import Grader
from verl_hdpo.grading.labelled import grade, read_pairs
from verl_hdpo.settings.policy import Policy
from verl_hdpo.settings.reward import RewardSettings

FILES = sorted((Path(__file__).parent / "data").glob("*.jsonl"))
ROWS = {file.stem: read_pairs(file) for file in FILES}
POLICIES = ROWS["policies"]


def verdicts(rows, **policy):
    settings = RewardSettings.read({"policy": policy, "check_timeout": 20.0}, "reward.reward_kwargs")
    return [one.verdict for one in grade(rows, Grader.from_settings(settings), "pairs")]


@pytest.mark.parametrize("name", ROWS)
def test_every_verdict_is_the_label(name):
    rows = ROWS[name]
    found = zip(rows, verdicts(rows), strict=True)
    missed = [(row["gold"], row["answer"], verdict) for row, verdict in found if verdict != label(row["right"])]
    assert not missed


def label(right):
    return "correct" if right else "wrong"


@pytest.mark.parametrize("row", POLICIES, ids=lambda row: json.dumps(row["flipped_by"]))
def test_a_policy_changes_its_verdict(row):
    assert verdicts([row], **row["flipped_by"]) == [label(not row["right"])]


def test_every_policy_has_a_row():
    assert {key for row in POLICIES for key in row["flipped_by"]} == set(Policy.model_fields)


def test_right_and_wrong_are_in_balance_and_no_pair_comes_twice():
    every = [row for name, rows in ROWS.items() for row in rows if name != "policies"]
    right = Counter(row["right"] for row in every)
    assert len(every) > 1500 and abs(right[True] - right[False]) < 0.05 * len(every)
    assert max(Counter((json.dumps(row["gold"]), row["answer"]) for row in every).values()) == 1
