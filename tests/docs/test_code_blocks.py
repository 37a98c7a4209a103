"""Every block of code in a page is of its language, and every command in it is one that there is."""

import inspect
import json
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from composed import composed
from omegaconf import OmegaConf
from pages import EXTRAS, ROOT, TRAINER, blocks, commands

from verl_hdpo.adapters.override_problems import compose_telling_all
from verl_hdpo.cli.main import main

MAKEFILE = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
ELLIPSES = {"...", "…"}


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


def after_dashes(words):
    """The overrides of a run in a command of this package; a whole command line of verl's may stand there."""
    given = words[words.index("--") + 1 :] if "--" in words else []
    return given[given.index(TRAINER) + 1 :] if TRAINER in given else given


def overrides():
    for place, words in commands():
        given = []
        if words[:3] == ["python", "-m", TRAINER]:
            given = words[3:]
        # migrate takes older commands, whose keys need not be known; mcp starts a server.
        elif words[0] == "verl-hdpo" and words[1:2] not in (["migrate"], ["mcp"]):
            given = after_dashes(words)
        left_out = re.compile(r"<|[\w ]+>$")  # <the overrides of your run>
        if given := [word for word in given if word not in ELLIPSES and "=" in word and not left_out.match(word)]:
            yield pytest.param(given, id=f"{place} {' '.join(given)[:40]}")


def test_overrides_of_several_commands_are_looked_at():
    composed_for = {words[1] for _, words in commands() if words[0] == "verl-hdpo" and after_dashes(words)}
    assert {"doctor", "compare", "eval"} <= composed_for


@pytest.mark.parametrize("given", list(overrides()))
def test_overrides_are_keys_of_verl_or_of_this_package(given):
    _, problems = compose_telling_all("ppo_trainer", None, None, given)
    assert not problems, problems
    for word in given:
        if not word.startswith("+"):
            group, _, key = word.split("=")[0].rpartition(".")
            assert key in [*OmegaConf.select(composed(), group)], word


def scripts():
    """(place, script, its words) of each command that runs a Python file."""
    for place, words in commands():
        if words[0] == "python" and words[1].endswith(".py"):
            yield pytest.param(place, words[1], words[2:], id=f"{place} {words[1]}")


@pytest.mark.parametrize(("place", "script", "words"), list(scripts()))
def test_a_script_is_there_and_knows_its_options(place, script, words):
    page = (ROOT / place.split(":")[0]).read_text()
    if "/" not in script:
        assert f"`{script}`" in page, "the page says what to save under this name"
        return
    source = "".join(path.read_text() for path in (ROOT / script).parent.glob("*.py"))
    assert (ROOT / script).is_file()
    options = {word.split("=")[0] for word in words if word.startswith("--")}
    assert [option for option in options if f'"{option}"' not in source] == []


def modules():
    for place, words in commands():
        if words[:2] == ["python", "-m"]:
            yield pytest.param(words[2], id=f"{place} {words[2]}")


@pytest.mark.parametrize("module", list(modules()))
def test_a_module_that_is_run_is_installed(module):
    package, *rest = module.split(".")
    folder = Path(find_spec(package).origin).parent.joinpath(*rest)
    assert folder.with_suffix(".py").is_file() or (folder / "__main__.py").is_file()


def installs():
    for place, words in commands():
        if words[:2] == ["pip", "install"]:
            yield pytest.param(words[2:], id=f"{place} {' '.join(words[2:])[:40]}")


@pytest.mark.parametrize("words", list(installs()))
def test_an_extra_that_is_installed_is_one_of_the_package(words):
    asked = [extra for word in words for extra in re.findall(r"^(?:verl-hdpo|\.)\[(.+)\]$", word)]
    assert {extra for group in asked for extra in group.split(",")} <= EXTRAS


@pytest.mark.parametrize("folder", ["examples", "recipes"])
def test_a_script_of_the_repository_is_there(folder):
    named_here = {words[0] for _, words in commands() if words[0].startswith(f"{folder}/")}
    assert all((ROOT / name).is_file() for name in named_here)


@pytest.mark.slow
def test_the_script_of_the_page_on_benchmarks_runs(monkeypatch, tmp_path):
    """With a model of no size in place of the one that it downloads."""
    ((_, code),) = (block for block in blocks("python") if block[0].startswith("docs/benchmarks.md"))
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(ROOT / "examples" / "gsm8k_smollm2"))
    import smollm2

    saved = []

    class Small:
        def save_pretrained(self, folder):
            saved.append(folder)

    def load(*given, **named):
        inspect.signature(real).bind(*given, **named)
        return Small(), Small()

    real = smollm2.load
    monkeypatch.setattr(smollm2, "load", load)
    monkeypatch.setattr(sys, "path", [*sys.path])
    try:
        exec(compile(code, "docs/benchmarks.md", "exec"), {})
    finally:
        sys.modules.pop("smollm2", None)
    assert saved == ["outputs/smollm2/model"] * 2
    assert any(f"SmolLM2={saved[0]}" in words for _, words in commands())


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
