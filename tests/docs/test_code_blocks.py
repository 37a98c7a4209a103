"""Every block of code in a page is of its language, and every command in it is one that there is."""

import json
import re
import shlex

import pytest
import yaml
from composed import composed
from omegaconf import OmegaConf
from pages import ROOT, blocks

from verl_hdpo.adapters.override_problems import compose_telling_all
from verl_hdpo.cli.main import main

MAKEFILE = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
ELLIPSES = {"...", "…"}


def commands():
    """(place, words) of each command line in a block for a shell."""
    for place, code in blocks("bash", "sh", "console"):
        for line in code.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
                words = words[1:]
            if words:
                yield place, words


def named(start):
    found = [(place, words[len(start) :]) for place, words in commands() if words[: len(start)] == start]
    assert found, f"no page has a command that starts with {start}"
    return [pytest.param(words, id=f"{place} {' '.join(words)[:40]}") for place, words in found]


@pytest.mark.parametrize("words", named(["verl-hdpo"]))
def test_a_command_of_this_package_has_these_options(words):
    command = main
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        assert words[0] in command.commands
        command, words = command.commands[words[0]], words[1:]
    given = words[: words.index("--")] if "--" in words else words
    known = {option for parameter in command.params for option in parameter.opts + parameter.secondary_opts}
    assert {word.split("=")[0] for word in given if word.startswith("-")} <= known | {"--help", "-h"}


@pytest.mark.parametrize("words", named(["make"]))
def test_a_target_is_in_the_makefile(words):
    assert words[0] in MAKEFILE


def overrides():
    for place, words in commands():
        for start in (["python", "-m", "verl.trainer.main_ppo"], ["verl-hdpo", "doctor", "--"]):
            if words[: len(start)] == start:
                given = [word for word in words[len(start) :] if word not in ELLIPSES and not word.startswith("<")]
                yield pytest.param(given, id=f"{place} {' '.join(given)[:40]}")


@pytest.mark.parametrize("given", list(overrides()))
def test_overrides_are_keys_of_verl_or_of_this_package(given):
    known = [word for word in given if not word.startswith("+")]
    _, problems = compose_telling_all("ppo_trainer", None, None, given)
    assert not problems, problems
    assert all(OmegaConf.select(composed(), word.split("=")[0], default=...) is not ... for word in known)


@pytest.mark.parametrize(("place", "code"), list(blocks("python")))
def test_python_compiles(place, code):
    compile(code, place, "exec")


@pytest.mark.parametrize(("place", "code"), list(blocks("yaml")))
def test_yaml_is_valid(place, code):
    assert yaml.safe_load(code)


@pytest.mark.parametrize(("place", "code"), list(blocks("json")))
def test_json_is_valid(place, code):
    try:
        json.loads(code)
    except json.JSONDecodeError:
        assert [json.loads(line) for line in code.splitlines()], "one value, or one in each line"
