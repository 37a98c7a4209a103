"""Key and value of an override, whatever it does to the config."""

import pytest

from verl_hdpo.runs.did_you_mean import did_you_mean
from verl_hdpo.runs.override import key_and_value


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("a.b=c", ("a.b", "c")),
        ("+a.b=c=d", ("a.b", "c=d")),
        ("++a=1", ("a", "1")),
        ("~a.b", ("a.b", "")),
        ("a=", ("a", "")),
    ],
)
def test_key_and_value(override, parts):
    assert key_and_value(override) == parts


def test_a_name_in_capitals_is_known():
    assert did_you_mean("HDPO", ["grpo", "hdpo", "gae"]) == "did you mean hdpo?"
    assert did_you_mean("hdpo", ["HDPO"]) == "did you mean HDPO?"
