"""``extra_info.tools_kwargs`` as a parquet file brings it."""

import re

import pandas
import pytest
from omegaconf import OmegaConf
from scripted_loop import FINAL, call, counts, run_loop, schema
from tiny import tiny_tokenizer
from verl.tools.base_tool import BaseTool
from verl.tools.schemas import ToolResponse
from verl.utils.dataset.rl_dataset import RLHFDataset

from verl_hdpo.outcomes.ledger import LOST_KEY, RUN_ERROR_KEY


class Echo(BaseTool):
    """Keeps the ``create_kwargs`` that it is given."""

    def __init__(self):
        self.tool_schema, self.name, self.given = schema("echo"), "echo", None

    async def create(self, instance_id=None, **kwargs):
        self.given = kwargs["create_kwargs"]
        return "id", ToolResponse()


@pytest.mark.parametrize(
    ("given", "reaches"),
    [
        (None, {}),
        ({}, {}),
        ({"echo": None}, {}),
        ({"echo": {}}, {}),
        ({"echo": {"create_kwargs": None}}, {}),
        ({"echo": {"create_kwargs": {"key": None, "n": 0}}}, {"n": 0}),
        ({"echo": {"create_kwargs": {"inner": {"a": None}}}, "other": None}, {"inner": {"a": None}}),
    ],
)
def test_nulls_are_what_the_row_does_not_have(given, reaches):
    tool = Echo()
    output, _, _ = run_loop([call("echo"), FINAL], [tool], sample={"tools_kwargs": given})
    assert counts(output) == {"echo": {"executed": 1}} and tool.given == reaches


def test_rows_of_one_parquet_file_may_differ(tmp_path):
    kwargs = [{"echo": {"create_kwargs": {"key": "k"}}}, {"other": {"create_kwargs": {"n": 1}}}, {}, None]
    prompt = [{"role": "user", "content": "2+2?"}]
    rows = [{"data_source": "d", "prompt": prompt, "extra_info": {"index": 0, "tools_kwargs": one}} for one in kwargs]
    pandas.DataFrame(rows).to_parquet(tmp_path / "train.parquet")
    config = OmegaConf.create({"filter_overlong_prompts": False, "cache_dir": str(tmp_path / "cache")})
    data = RLHFDataset(str(tmp_path / "train.parquet"), tiny_tokenizer(), config)
    reached = []
    for row in (data[i] for i in range(len(kwargs))):
        tool = Echo()
        output, _, _ = run_loop([call("echo"), FINAL], [tool], sample={"tools_kwargs": row["tools_kwargs"]})
        assert counts(output) == {"echo": {"executed": 1}}
        reached.append(tool.given)
    assert reached == [{"key": "k"}, {}, {}, {}]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("text", r"extra_info\.tools_kwargs must be a mapping, found str 'text'"),
        ([1], r"extra_info\.tools_kwargs must be a mapping, found list"),
        ({"echo": '{"create_kwargs": {}}'}, r"extra_info\.tools_kwargs\.echo must be a mapping, found str"),
        (
            {"echo": {"create_kwargs": 3}},
            r"extra_info\.tools_kwargs\.echo\.create_kwargs must be a mapping, found int 3",
        ),
    ],
)
def test_what_is_no_mapping_ends_the_run_and_is_no_call_of_the_models(given, message):
    output, server, _ = run_loop([call("echo"), FINAL], [Echo()], sample={"tools_kwargs": given})
    assert counts(output) == {} and server.prompts == []
    assert output.extra_fields[LOST_KEY]
    assert re.match(message, output.extra_fields[RUN_ERROR_KEY])
