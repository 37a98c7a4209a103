"""What ``outcomes_record`` wrote, and the advantages that must be there: worked out anew, in plain Python."""

import json
import os
import re
from pathlib import Path

import pytest
from plain_estimators import Row, efficiency, grpo

ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
RESPONSE = re.compile(r"<tool_response>.*?</tool_response>", re.DOTALL)
FORMAT = re.compile(r"((?!</?answer>).)*<answer>((?!</?answer>).)*</answer>", re.DOTALL)


def recording(record, *modules):
    """Environment of a run whose processes load ``outcomes_record``, and others of this folder."""
    paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        "VERL_USE_EXTERNAL_MODULES": ",".join(["outcomes_record", *modules]),
        "PYTHONPATH": os.pathsep.join(paths),
        "OUTCOMES_RECORD": str(record),
    }


def rows_of(record):
    return [json.loads(line) for line in record.read_text().splitlines()]


def is_right(row):
    """By what the model wrote, whoever judged it."""
    truths = row["truth"] if isinstance(row["truth"], list) else [row["truth"]]
    return any(answer.strip() in truths for answer in ANSWER.findall(RESPONSE.sub("", row["text"]))[-1:])


def follows_format(row):
    last_turn = RESPONSE.split(row["text"])[-1].strip().removeprefix("assistant").strip()
    return bool(FORMAT.fullmatch(last_turn))


def calls_of(row, *ways):
    return sum(tally[way] for tally in row["ledger"]["tools"].values() for way in ways)


def check_advantages(rows, known):
    """Each group's advantages are those of the group without the rollouts that are not ``known``, which train nothing.

    Rewards and costs are read from texts and ledgers, not from what the run made of them.
    """
    groups = {}
    for row in rows:
        groups.setdefault((row["step"], row["group"]), []).append(row)
    for group in groups.values():
        left = [row for row in group if known(row)]
        plain = [
            Row(
                0.9 * is_right(row) + 0.1 * follows_format(row),
                0,
                True,
                is_right(row),
                calls_of(row, "executed", "failed", "timed_out", "dropped"),
            )
            for row in left
        ]
        accuracies = grpo(plain, [row.reward for row in plain])
        for row, accuracy, saving in zip(left, accuracies, efficiency(plain), strict=True):
            # float32 holds no 0.9: where all rewards are equal, their mean may be another by a bit, over a tiny std.
            equal = len({one.reward for one in plain}) == 1
            assert row["advantages"] == pytest.approx([accuracy], abs=0.11 if equal else 1e-4), (row, group)
            assert row["tool_advantage"] == pytest.approx(saving, abs=1e-4), (row, group)
        for row in group:
            if not known(row):
                assert row["trained_tokens"] == 0 and row["tool_advantage"] == 0, row
