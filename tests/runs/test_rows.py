"""Rows of parquet, JSON lines and JSON lists, and what is said of a file or a row that a run cannot use."""

from __future__ import annotations

import json

import pyarrow
import pyarrow.parquet
import pytest

from verl_hdpo.runs.rows import RowsError, check_rows, read_rows, row_problems

ROW = {"data_source": "s", "prompt": [{"role": "user", "content": "?"}], "reward_model": {"ground_truth": "1"}}
OTHER = {**ROW, "data_source": "a\u2028b"}


def test_rows_of_every_format_are_read(tmp_path):
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([ROW] * 3), tmp_path / "a.parquet")
    (tmp_path / "b.jsonl").write_text(json.dumps(ROW) + "\n\n" + json.dumps(ROW))
    (tmp_path / "c.json").write_text(json.dumps([ROW]))
    assert check_rows([tmp_path / name for name in ("a.parquet", "b.jsonl", "c.json")]) == 6


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", json.dumps([ROW, OTHER])),
        ("a.json", "\n" + json.dumps([ROW, OTHER], indent=2)),
        ("a.jsonl", json.dumps(ROW) + "\n" + json.dumps(OTHER)),
        ("a.jsonl", json.dumps(ROW) + "\n\n" + json.dumps(OTHER, ensure_ascii=False) + "\n"),
    ],
)
def test_json_is_read_as_a_list_and_as_lines(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert list(read_rows(tmp_path / name)) == [(0, ROW), (1, OTHER)]


def test_columns_that_are_not_wanted_are_not_read(tmp_path):
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([ROW | {"images": b"x" * 100}]), tmp_path / "a.parquet")
    assert list(read_rows(tmp_path / "a.parquet", without=["images"])) == [(0, ROW | {"images": None})]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "a,b", "neither .parquet nor .json nor .jsonl; convert it"),
        ("a.jsonl", "", "no rows"),
        ("a.jsonl", json.dumps(ROW) + "\n{", "line 2 is not valid JSON"),
        ("a.json", "[", "not valid JSON"),
        ("a.jsonl", b"\xff", "line 1 is not UTF-8 text: byte 0xff at 0"),
        ("a.jsonl", "step: 1", "line 1 is not valid JSON: .*; found 'step: 1'"),
        ("a.jsonl", json.dumps(ROW).encode("utf-16"), "line 1 is not valid JSON; it is text in UTF-16; save it as"),
        ("a.jsonl", "version https://git-lfs.github.com/spec/v1\noid x\n", "it is a Git LFS pointer"),
        ("a.json", "<!DOCTYPE html><html>", "it is a web page; download the file itself"),
        ("a.jsonl", b"\x1f\x8b\x08\x00", "it is compressed by gzip; unpack it"),
        ("a.parquet", "version https://git-lfs.github.com/spec/v1\noid x\n", "as Parquet; it is a Git LFS pointer"),
        ("a.parquet", "", "as Parquet; it is empty"),
        ("a.parquet", json.dumps(ROW), "as Parquet; it is JSON; let its name end in .jsonl"),
        ("a.parquet", "x", "cannot be read"),
        ("a.jsonl", "[1]", "row 0 is not an object"),
        (
            "a.jsonl",
            json.dumps({**ROW, "reward_model": {"ground_truth": float("nan")}}),
            "no reward_model.ground_truth",
        ),
        ("a.jsonl", json.dumps({**ROW, "prompt": [{"role": "user", "content": None}]}), "of 'user' with content None"),
        ("a.jsonl", json.dumps({**ROW, "prompt": [{"role": "user", "content": 4}]}), "of 'user' with content 4 under"),
        ("a.jsonl", json.dumps(ROW) + "\n[1]", "row 1 is not an object"),
        ("a.jsonl", json.dumps(ROW) + "\n" + json.dumps({**ROW, "prompt": "text"}), "row 1 has no chat"),
        ("a.jsonl", json.dumps(ROW) + "\n" + json.dumps({**ROW, "x": 1}), "mixed schemas: .*, row 1 differs .* in x"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_row(tmp_path, name, text, message):
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(RowsError, match=message) as error:
        check_rows([tmp_path / name])
    assert name in str(error.value) and error.value.advice


def test_a_file_that_does_not_exist(tmp_path):
    with pytest.raises(RowsError, match=r"a\.jsonl does not exist"):
        check_rows([tmp_path / "a.jsonl"])
    with pytest.raises(RowsError, match="is a folder"):
        (tmp_path / "b.jsonl").mkdir()
        check_rows([tmp_path / "b.jsonl"])


LACKING = {
    "prompt": ("no chat under 'prompt'", "must be a list of messages"),
    "data_source": ("no text under 'data_source'", "metrics are per source"),
    "reward_model": ("no reward_model.ground_truth", "add the column reward_model"),
}


@pytest.mark.parametrize("column", LACKING)
def test_a_missing_column_is_named_with_those_that_are_there(column):
    row = {key: value for key, value in ROW.items() if key != column} | {"answer": "4"}
    ((found, advice),) = row_problems(row)
    assert LACKING[column][0] in found and "answer" in found
    assert LACKING[column][1] in advice


def test_all_that_a_row_lacks_is_told():
    assert len(list(row_problems({"question": "?"}))) == 3
