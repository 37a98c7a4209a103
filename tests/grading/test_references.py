"""What a ground truth accepts as text, and what is refused."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest

from verl_hdpo.grading.references import UnusableReference, references


@pytest.mark.parametrize(
    ("ground_truth", "accepted"),
    [
        (7, ["7"]),
        (0.00001, ["0.00001"]),
        (1e16, ["10000000000000000"]),
        (Decimal("7.50"), ["7.50"]),
        (True, ["True"]),
        ("blue", ["blue"]),
        (b"blue", ["blue"]),
        (np.int64(7), ["7"]),
        (np.float32(0.1), ["0.1"]),
        (np.float64(0.1), ["0.1"]),
        (np.bool_(True), ["True"]),
        (np.str_("blue"), ["blue"]),
        (np.bytes_(b"blue"), ["blue"]),
        (np.array("blue"), ["blue"]),
        (np.array(7), ["7"]),
        (["red", "crimson"], ["red", "crimson"]),
        (("red", None, 7), ["red", "7"]),
        (np.array(["red", "crimson"], dtype=object), ["red", "crimson"]),
        (np.array([0.1, 2], dtype=np.float32), ["0.1", "2.0"]),
        ("['red', 'crimson']", ["red", "crimson"]),
        ('["red", "crimson"]', ["red", "crimson"]),
        ("[1, 2, 3]", ["[1, 2, 3]"]),
        ("[0,1)", ["[0,1)"]),
        ({"target": "red"}, ["red"]),
        ({"target": np.array(["red", "crimson"], dtype=object), "other": 1}, ["red", "crimson"]),
    ],
)
def test_a_ground_truth_is_read_as_text(ground_truth, accepted):
    assert references(ground_truth) == accepted


@pytest.mark.parametrize(
    ("ground_truth", "named"),
    [
        (None, "NoneType"),
        (math.nan, "float"),
        ("", "str"),
        (" ", "str"),
        ([], "list"),
        ([None], "list"),
        (b"\xff", "bytes"),
        ({}, "dict"),
        ({"answer": 1}, "dict"),
        ([{"target": 1}], "dict"),
        ([["1"]], "list"),
        ({"1"}, "set"),
        (object(), "object"),
        (np.datetime64("2020-01-02"), "datetime64"),
        (1j, "complex"),
    ],
)
def test_what_cannot_be_compared_is_refused_by_its_type(ground_truth, named):
    with pytest.raises(UnusableReference, match=named):
        references(ground_truth)
