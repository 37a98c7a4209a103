"""What the docs say of the sandbox names tests and settings that there are."""

import re
from pathlib import Path

import escape_attempts
import pytest

from verl_hdpo.tools.sandbox.limits import Limits
from verl_hdpo.tools.sandbox.settings import PythonSettings, ServiceSettings

HERE = Path(__file__).parent
DOCS = HERE.parents[2] / "docs" / "tools"


def promises():
    return (DOCS / "threat_model.md").read_text()


@pytest.mark.parametrize(("file", "name"), sorted(set(re.findall(r"`(test_\w+\.py)::(test_\w+)`", promises()))))
def test_a_promise_names_a_test_that_there_is(file, name):
    assert re.search(rf"^def {name}\(", (HERE / file).read_text(), re.MULTILINE)


def test_every_kind_of_attempt_is_promised_to_fail():
    kinds = {name.partition("-")[0] for name in escape_attempts.EVERY}
    assert kinds == set(re.findall(r"`(\w+)-\.\.\.`", promises()))
    assert f"{len(escape_attempts.EVERY)} attempts" in promises()
    assert len(escape_attempts.EVERY) >= 120


def test_every_setting_is_told():
    text = (DOCS / "python.md").read_text()
    names = {*PythonSettings.model_fields, *ServiceSettings.model_fields, *vars(Limits())} - {"name"}
    assert {name for name in names if f"`{name}`" not in text} == set()
