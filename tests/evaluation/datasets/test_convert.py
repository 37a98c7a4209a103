"""Data sets as they come, made verl's: what each form becomes, and what is said of bad rows."""

import base64
import io
import json
import math
import random

import pyarrow
import pyarrow.parquet
import pytest
from odd_images import animated, drawn, encoded, odd_row, png_header, turned
from PIL import Image

from verl_hdpo.evaluation.datasets.convert import BadRowsError, bad_rows_file, convert
from verl_hdpo.evaluation.datasets.rl_rows import RlForm
from verl_hdpo.evaluation.datasets.sft_rows import SftForm
from verl_hdpo.grading.references import references

RNG = random.Random(0)
PNG = encoded(drawn("RGB", (9, 9), RNG))
TEXT = base64.b64encode(PNG).decode()


@pytest.fixture
def converted(tmp_path):
    """``converted(rows, form)``: what a file of these rows becomes; the rows, and what was told."""

    def of(rows, form=None, bad_rows="refuse", name="set.jsonl"):
        source, out = tmp_path / name, tmp_path / "out.parquet"
        if name.endswith("jsonl"):
            source.write_text("".join(json.dumps(row) + "\n" for row in rows))
        elif name.endswith("parquet"):
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), source)
        told = [*convert([source], out, form or RlForm(), bad_rows)]
        return pyarrow.parquet.read_table(out).to_pylist(), told

    return of


def paper_row(index, truth, **extra):
    """As the paper's RL parquet has it."""
    return {
        "data_source": "metis",
        "prompt": [{"role": "system", "content": "Answer."}, {"role": "user", "content": f"<image>What is {index}?"}],
        "images": [{"bytes": PNG}],
        "ability": "vqa",
        "reward_model": {"ground_truth": truth, "style": "rule"},
        "extra_info": {"answer": truth, "index": index, "question": f"What is {index}?", "pass8": 0.5, **extra},
    }


@pytest.mark.parametrize("truth", ["red", ["red", "crimson"]])
def test_the_paper_s_parquet_keeps_all_it_has(converted, truth):
    rows, told = converted([paper_row(index, truth) for index in range(3)], name="rl.parquet")
    assert [line.partition(" in ")[0] for line in told] == ["3 rows"]
    for index, row in enumerate(rows):
        expected = paper_row(index, truth)
        assert references(row["reward_model"]["ground_truth"]) == references(truth)
        assert row["extra_info"]["question"] == f"What is {index}?"
        assert row["extra_info"]["pass8"] == 0.5
        assert {key: row[key] for key in ("data_source", "prompt", "images", "ability")} == {
            key: expected[key] for key in ("data_source", "prompt", "images", "ability")
        }


def test_text_and_list_as_ground_truth_in_one_set(converted):
    rows, _ = converted([{"question": "?", "answer": "red"}, {"question": "?", "answer": ["red", "rosy"]}])
    assert [references(row["reward_model"]["ground_truth"]) for row in rows] == [["red"], ["red", "rosy"]]


IMAGES = {
    "base64": TEXT,
    "data url": f"data:image/png;base64,{TEXT}",
    "path": "pictures/a.png",
    "path in an object": {"path": "pictures/a.png", "bytes": None},
    "url in an object": {"image_url": {"url": f"data:image/png;base64,{TEXT}"}},
}


@pytest.mark.parametrize("form", IMAGES)
def test_every_form_of_an_image_becomes_its_file(converted, tmp_path, form):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(PNG)
    rows, _ = converted([{"question": "What?", "image": IMAGES[form], "answer": 4}])
    assert rows[0]["images"] == [{"bytes": PNG}]
    assert rows[0]["prompt"] == [{"role": "user", "content": "<image>What?"}]
    assert rows[0]["reward_model"] == {"style": "rule", "ground_truth": "4"}
    assert rows[0]["data_source"] == "set"


def test_a_folder_of_images_and_a_saved_data_set(tmp_path):
    import datasets

    picture = Image.new("RGB", (8, 8), "red")
    folder = tmp_path / "folder"
    folder.mkdir()
    picture.save(folder / "1.png")
    (folder / "metadata.jsonl").write_text('{"file_name": "1.png", "question": "What?", "answer": "red"}\n')
    features = datasets.Features(
        {"image": datasets.Image(), "question": datasets.Value("string"), "answer": datasets.Value("string")}
    )
    row = {"image": picture, "question": "What?", "answer": "red"}
    saved = datasets.Dataset.from_list([row], features=features)
    datasets.DatasetDict({"test": saved}).save_to_disk(str(tmp_path / "saved"))
    for source in ("folder", "saved"):
        out = tmp_path / f"{source}.parquet"
        assert [*convert([tmp_path / source], out, RlForm(), "refuse", "test")] == [f"1 rows in {out}"]
        (made,) = pyarrow.parquet.read_table(out).to_pylist()
        assert Image.open(io.BytesIO(made["images"][0]["bytes"])).getpixel((0, 0)) == (255, 0, 0)


def test_benchmarks_of_high_resolution(converted):
    """V* has its choices in the text, HRBench in columns and its image in base64, MathVista in a list."""
    rows, _ = converted(
        [
            {"image": TEXT, "text": "Which?\n(A) red\n(B) blue", "label": "A", "category": "direct"},
            {"image": TEXT, "question": "Which?", "A": "red", "B": "blue", "answer": "B", "index": 3},
            {"decoded_image": TEXT, "query": "Which?", "choices": ["red", "blue"], "answer": "red", "pid": "1"},
        ]
    )
    assert [row["prompt"][0]["content"] for row in rows] == [
        "<image>Which?\n(A) red\n(B) blue", "<image>Which?\nA. red\nB. blue", "<image>Which?\nA. red\nB. blue",
    ]  # fmt: skip
    assert [row["reward_model"]["ground_truth"] for row in rows] == ["A", "B", "red"]


def trajectory(*images, messages=None, **columns):
    """As the paper's cold start has it: messages in JSON, images in base64."""
    said = messages or [
        {"role": "system", "content": "You may call python."},
        {"role": "user", "content": "<image>What is it?"},
        {"role": "assistant", "content": '<tool_call>{"name": "python", "arguments": {"code": "1"}}</tool_call>'},
        {"role": "user", "content": "<tool_response>1<image></tool_response>"},
        {"role": "assistant", "content": "<answer>4</answer>"},
    ]
    return {"messages": json.dumps(said), "images": list(images), **columns}


def test_a_trajectory_with_json_and_base64(converted):
    said = [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4"}]
    rows, _ = converted([trajectory(TEXT, TEXT), trajectory(messages=said)], SftForm())
    assert rows[0]["images"] == [{"bytes": PNG}] * 2
    assert [message["role"] for message in rows[0]["messages"]] == ["system", "user", "assistant", "user", "assistant"]
    assert rows[1]["images"] == []
    assert rows[1]["messages"] == said


def test_chats_of_other_forms(converted):
    part = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{TEXT}"}}
    call = {"function": {"name": "zoom", "arguments": {"region": "all"}}}
    schema = {"type": "function", "function": {"name": "zoom"}}
    share = [{"from": "human", "value": "<image>?"}, {"from": "gpt", "value": "4"}]
    openai = [
        {"role": "user", "content": [part, {"type": "text", "text": "?"}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": [part]},
        {"role": "assistant", "content": "4"},
    ]
    rows, _ = converted([{"conversations": share, "images": TEXT}], SftForm())
    assert [message["content"] for message in rows[0]["messages"]] == ["<image>?", "4"]
    rows, _ = converted([{"messages": openai, "tools": json.dumps([schema])}], SftForm())
    assert [message["content"] for message in rows[0]["messages"]] == ["<image>?", "", "<image>", "4"]
    assert rows[0]["messages"][1]["tool_calls"][0]["function"]["arguments"] == '{"region": "all"}'
    assert len(rows[0]["images"]) == 2
    assert rows[0]["tools"] == [schema]


ODD = {
    "missing": ("nowhere/a.png", "is missing"),
    "broken": (PNG[:60], "cannot be read"),
    "count": (None, "has no image"),
    "zero": (png_header(0, 4), "cannot be read"),
    "huge": (png_header(20_000, 20_000), "is too large"),
    "CMYK": (encoded(drawn("CMYK", (9, 9), RNG), "JPEG"), "is in CMYK"),
    "16 bit": (encoded(drawn("I;16", (9, 9), RNG)), "more than 8 bits"),
    "animated": (animated(RNG), "is animated"),
    "EXIF": (turned(RNG), "is turned by EXIF"),
    "address": ("https://example.org/a.png", "is an address"),
    "number": (7, "is int, not an image"),
}
MENDED = ("CMYK", "16 bit", "animated", "EXIF")


def odd_rows():
    images = [base64.b64encode(image).decode() if isinstance(image, bytes) else image for image, _ in ODD.values()]
    rows = [{"question": "<image>?", "image": image, "answer": "4"} for image in images]
    return [{"question": "?", "image": TEXT, "answer": "4"}, *rows]


def test_bad_rows_are_refused_with_their_numbers_or_left_out(converted, tmp_path):
    with pytest.raises(BadRowsError) as refused:
        converted(odd_rows())
    for number, (_, found) in enumerate(ODD.values(), 1):
        assert any(f"row {number}" in line and found in line for line in str(refused.value).splitlines()), found
    assert "--mend" in str(refused.value)
    assert "11 rows are bad; no parquet was written; the rows: " in str(refused.value)
    assert not (tmp_path / "out.parquet").exists()
    rows, told = converted(odd_rows(), bad_rows="skip")
    assert len(rows) == 1
    assert told[-2].startswith("11 bad rows were left out")
    lines = [json.loads(line) for line in bad_rows_file(tmp_path / "out.parquet").read_text().splitlines()]
    assert [line["row"] for line in lines] == [*range(1, 12)]


def test_mended_images_are_what_a_person_sees(converted):
    rows, told = converted(odd_rows(), RlForm(mend=True), "skip")
    assert len(rows) == 1 + len(MENDED)
    assert told[-2].startswith(f"{len(ODD) - len(MENDED)} bad rows were left out")
    images = [Image.open(io.BytesIO(row["images"][0]["bytes"])) for row in rows[1:]]
    assert {image.format for image in images} == {"PNG"}
    assert all(image.mode in ("RGB", "L") for image in images)
    assert images[-1].size != (30, 40) or images[-1].getexif().get(0x0112, 1) == 1


def test_16_bits_keep_their_brightness(converted):
    values = Image.new("I;16", (2, 1))
    values.putpixel((1, 0), 65535)
    image = base64.b64encode(encoded(values)).decode()
    rows, _ = converted([{"question": "?", "image": image, "answer": "4"}], RlForm(mend=True))
    assert [*Image.open(io.BytesIO(rows[0]["images"][0]["bytes"])).get_flattened_data()] == [0, 255]


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ({"question": "?", "answer": None}, "has no answer: its column answer holds null; fill it in"),
        ({"question": "?", "answer": math.nan}, "has no answer: its column answer holds nan"),
        ({"question": "?", "answer": [None, math.nan]}, "has no answer: its column answer holds"),
        ({"question": "?", "answer": None, "label": ""}, "has no answer: its column label holds ''"),
        ({"question": 7, "answer": "4"}, "has no question: its column question holds 7"),
        ({"question": " ", "answer": "4"}, "has no question: its column question holds ' '"),
        ({"answer": "4"}, "has no question; its columns are answer; name the column: --question NAME"),
        ({"prompt": [{"role": "boss", "content": "?"}], "answer": "4"}, "role 'boss'"),
        ({"prompt": [{"role": "user", "content": [{"type": "video"}]}], "answer": "4"}, "neither text nor image"),
        (7, "is int, not an object"),
    ],
)
def test_what_is_no_question_is_told(converted, row, found):
    with pytest.raises(BadRowsError, match=found):
        converted([row])


QA = {"question": "?", "answer": "4"}


@pytest.mark.parametrize("bad_rows", ["refuse", "skip"])
@pytest.mark.parametrize(
    ("form", "told"),
    [
        (RlForm(answer="anser"), "anser (--answer); did you mean answer? columns: question, answer"),
        (RlForm(question="zzz"), "zzz (--question); columns: question, answer"),
        (RlForm(image="img"), "img (--image); columns: question, answer"),
        (SftForm(messages="chat"), "chat (--messages); columns: question, answer"),
        (SftForm(image="images"), "images (--image); columns: question, answer"),
    ],
)
def test_a_named_column_that_no_row_has_is_told_once(converted, tmp_path, form, told, bad_rows):
    with pytest.raises(BadRowsError) as refused:
        converted([QA, QA], form, bad_rows)
    assert str(refused.value) == f"no row has a column {told}"
    assert [path.name for path in tmp_path.iterdir()] == ["set.jsonl"]


def test_a_named_column_that_one_row_lacks_is_that_row_s_problem(converted):
    rows, told = converted([{"question": "?", "gold": "4"}, QA], RlForm(answer="gold"), "skip")
    assert len(rows) == 1
    assert told[0].endswith("row 1: has no answer; its columns are question, answer; name the column: --answer NAME; "
                            "looked for: gold")  # fmt: skip


@pytest.mark.parametrize("bad_rows", ["refuse", "skip"])
def test_without_a_parquet_the_file_of_bad_rows_is_named_and_mend_only_for_images(converted, tmp_path, bad_rows):
    for rows, mend in (([{"question": "?"}], False), (odd_rows()[6:7], True), (odd_rows()[1:2], False)):
        with pytest.raises(BadRowsError) as refused:
            converted(rows, bad_rows=bad_rows)
        assert f"; no parquet was written; the rows: {tmp_path / 'out.bad_rows.jsonl'}" in str(refused.value)
        assert ("--mend" in str(refused.value)) == mend


@pytest.mark.parametrize("bad_rows", ["refuse", "skip"])
def test_an_empty_file_is_told(converted, tmp_path, bad_rows):
    with pytest.raises(BadRowsError) as refused:
        converted([], bad_rows=bad_rows)
    assert str(refused.value) == f"{tmp_path / 'set.jsonl'} is empty; no parquet was written"


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ({"images": []}, "has no chat under 'messages'"),
        ({"messages": "[{"}, "is text that is not valid JSON"),
        ({"messages": []}, "is empty"),
        ({"messages": [{"role": "user", "content": "?"}]}, "ends with a turn of user"),
        (trajectory(TEXT), "has 1 images and <image> 2 times"),
        (trajectory(messages=[{"role": "assistant", "content": "<video>"}]), "has <video> in a text"),
        (trajectory(TEXT, TEXT, tools="["), "tools that are not valid JSON"),
    ],
)
def test_what_is_no_trajectory_is_told(converted, row, found):
    with pytest.raises(BadRowsError, match=found):
        converted([row], SftForm())


@pytest.mark.slow
def test_a_thousand_odd_rows_are_each_written_or_told(tmp_path):
    rng = random.Random(2)
    rows = [odd_row(tmp_path, number, rng) for number in range(1000)]
    for row in rows:
        row["reward_model"] = {"style": "rule", "ground_truth": "4"}
        row["images"] = [plain(image) for image in row["images"] or ()]
    (tmp_path / "set.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "out.parquet"
    [*convert([tmp_path / "set.jsonl"], out, RlForm(), "skip")]
    kept = pyarrow.parquet.read_table(out).to_pylist()
    told = [json.loads(line)["row"] for line in bad_rows_file(out).read_text().splitlines()]
    assert sorted([row["extra_info"]["index"] for row in kept] + told) == [*range(1000)]
    assert 200 < len(kept) < 800
    for row in kept:
        assert row["prompt"][0]["content"].count("<image>") == len(row["images"])
        for image in row["images"]:
            with Image.open(io.BytesIO(image["bytes"])) as opened:
                opened.load()


def plain(image):
    """In JSON: bytes as base64."""
    if isinstance(image, dict):
        return {key: plain(value) for key, value in image.items()}
    if isinstance(image, list):
        return [plain(one) for one in image]
    return base64.b64encode(image).decode() if isinstance(image, bytes) else image
