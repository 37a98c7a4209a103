"""A tool's config and the model's arguments: what is refused, and how it is said."""

import re
from pathlib import Path

import pytest
import yaml
from pydantic import Field

from verl_hdpo.settings.tool import ToolConfigError, ToolSettings, read_settings
from verl_hdpo.tools.arguments import text_argument
from verl_hdpo.tools.failures import BadCall
from verl_hdpo.tools.images.settings import ImageSearchSettings
from verl_hdpo.tools.mcp_servers.settings import MCPSettings
from verl_hdpo.tools.sandbox.settings import PythonSettings
from verl_hdpo.tools.search.settings import TextSearchSettings, searcher
from verl_hdpo.tools.server.settings import ServerSettings


class Example(ToolSettings):
    path: str
    count: int = Field(default=3, ge=1)


def test_verl_s_own_key_is_left_to_verl():
    assert read_settings(Example, {"type": "native", "path": "p", "name": "other"}, "example").count == 3


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"path": "p", "cuont": 2}, "example: unknown setting config.cuont; did you mean config.count?"),
        ({"path": "p", "zzz": 2}, "example: unknown setting config.zzz; known: name, path, count"),
        ({}, "example: config.path is missing"),
        (None, "example: config.path is missing"),
        ({"path": "p", "count": 0}, "example: config.count: Input should be greater than or equal to 1, found 0"),
        ({"path": "p", "name": "two words"}, "example: config.name: String should match pattern"),
    ],
)
def test_a_config_that_is_refused(config, message):
    with pytest.raises(ToolConfigError) as raised:
        read_settings(Example, config, "example")
    assert str(raised.value).startswith(message)


SERPER = {"kind": "serper"}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "config.provider is missing"),
        ({"provider": "serper"}, "found 'serper'"),
        ({"provider": {"kind": "google"}}, "'index', 'retrieval_server', 'serper', 'serpapi', 'brave'"),
        ({"provider": {"kind": "index"}}, "config.provider.index.path is missing"),
        ({"provider": SERPER}, "serper charges for every query; set cache_dir"),
        ({"provider": {"kind": "retrieval_server", "url": "http://u"}, "requests_per_second": 1}, "needs cache_dir"),
        ({"provider": {"kind": "retrieval_server", "url": "host:80"}}, r"retrieval_server.url: .* found 'host:80'"),
        ({"provider": SERPER, "cache_dir": "d", "topk": "many"}, "config.topk: .* found 'many'"),
        ({"provider": SERPER, "cache_dir": "d", "requests_per_second": 0}, "greater than 0, found 0"),
    ],
)
def test_a_text_search_that_is_refused(config, message):
    with pytest.raises(ToolConfigError, match=message):
        read_settings(TextSearchSettings, config, "text_search")


def test_a_key_in_the_yaml_is_refused_and_not_repeated(tmp_path):
    config = {"provider": {**SERPER, "api_key": "s3cret"}, "cache_dir": str(tmp_path)}
    with pytest.raises(ToolConfigError, match=r"unknown setting config.provider.serper.api_key") as raised:
        read_settings(TextSearchSettings, config, "text_search")
    assert "s3cret" not in str(raised.value)


def test_a_key_that_is_not_in_the_environment_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("SERPER_API_KEY", raising=False)
    settings = read_settings(TextSearchSettings, {"provider": SERPER, "cache_dir": str(tmp_path)}, "text_search")
    with pytest.raises(ToolConfigError, match="the environment variable SERPER_API_KEY, which is not set"):
        searcher(settings)


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "'query' is missing"),
        ([1], "must be a JSON object, found list"),
        (None, "must be a JSON object, found NoneType"),
        ({"query": ["x"]}, "must be a text, found list"),
        ({"query": "  \n"}, "'query' is empty"),
        ({"query": "x" * 11}, "11 characters long, at most 10"),
        ({"query": "a \ud83d b"}, "which is no character"),
        ({"query": nested(65)}, "nested more than 64 deep"),
        ({"query": {"a": nested(20_000)}}, "nested more than 64 deep"),
        ({"query": nested(60)}, "must be a text"),
        ({"query": "x", "topk": 1}, "unknown argument 'topk'; arguments of this tool: query"),
    ],
)
def test_arguments_that_are_refused(arguments, message):
    with pytest.raises(BadCall, match=message):
        text_argument(arguments, "query", 10)


def test_a_tool_server_has_an_interpreter_for_every_trajectory():
    """Else newcomers, who wait for one, take up the places of calls that have one."""
    assert PythonSettings().max_sessions >= ServerSettings().max_sessions


def test_space_around_a_text_is_dropped():
    assert text_argument({"query": "  a b \n"}, "query", 3) == "a b"


PAGES = [
    (page.stem, entry)
    for page in sorted((Path(__file__).parents[2] / "docs" / "tools").glob("*.md"))
    for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), flags=re.DOTALL)
    for entry in yaml.safe_load(block)["tools"]
]
SETTINGS = {
    "calculator": ToolSettings,
    "image_search": ImageSearchSettings,
    "mcp": MCPSettings,
    "text_search": TextSearchSettings,
}


@pytest.mark.parametrize(("page", "entry"), PAGES, ids=[page for page, _ in PAGES])
def test_the_pages_show_configs_that_are_valid(page, entry):
    if page in SETTINGS:
        config = {
            **entry["config"],
            **({"server": {"url": "http://u"}} if page == "mcp" else {}),
        }  # ${server}, filled by verl
        read_settings(SETTINGS[page], config, page)
        assert entry["class_name"].startswith(f"verl_hdpo.tools.{page}.")


def test_every_page_of_these_tools_shows_one():
    assert set(SETTINGS) <= {page for page, _ in PAGES}
