"""Precomputed image searches: building the file, finding a sample in it, and what is unavailable rather than wrong."""

import asyncio
import io
import json
import random
import sqlite3
from types import SimpleNamespace

import numpy as np
import pandas
import pytest
from click.testing import CliRunner
from omegaconf import OmegaConf
from PIL import Image
from tiny import tiny_tokenizer
from verl.utils.dataset.rl_dataset import RLHFDataset

from verl_hdpo.cli.main import main
from verl_hdpo.settings.tool import ToolConfigError
from verl_hdpo.tools.failures import BadCall, ToolUnavailable
from verl_hdpo.tools.image_search import NOTHING_FOUND, ImageSearchTool
from verl_hdpo.tools.images.build import MIN_SIDE, ResultsError, build
from verl_hdpo.tools.images.sample_key import image_key, key_in_messages
from verl_hdpo.tools.images.store import ImageResults

COLORS = ["red", "lime", "blue"]


def png(color, size=(64, 48)):
    data = io.BytesIO()
    Image.new("RGB", size, color).save(data, "PNG")
    return data.getvalue()


@pytest.fixture
def folder(tmp_path):
    for color in COLORS:
        (tmp_path / f"{color}.png").write_bytes(png(color))
    (tmp_path / "large.png").write_bytes(png("red", (1000, 500)))
    (tmp_path / "thin.png").write_bytes(png("red", (1000, MIN_SIDE)))
    (tmp_path / "broken.png").write_bytes(png("red")[:60])
    return tmp_path


def packed(folder, *samples):
    (folder / "results.jsonl").write_text("".join(json.dumps(sample) + "\n" for sample in samples))
    report = build(folder / "results.jsonl", folder / "results.sqlite", max_side=100)
    return report, folder / "results.sqlite"


def result(image=None, title="T", **more):
    return {"title": title, **({"image": image} if image else {}), **more}


def search(path, key=None, messages=(), parameters=None, **config):
    async def run():
        tool = ImageSearchTool({"type": "native", "path": str(path), **config})
        instance, _ = await tool.create(create_kwargs=None if key is None else {"key": key})
        try:
            agent_data = SimpleNamespace(messages=list(messages))
            return (await tool.execute(instance, parameters or {}, agent_data=agent_data))[0]
        finally:
            await tool.release(instance)

    return asyncio.run(run())


def test_pictures_and_titles_come_back_in_order(folder):
    found = [result("red.png", "Red", url="http://r"), result(None, "Words"), result("blue.png", "Blue")]
    report, path = packed(folder, {"key": "s1", "results": found}, {"key": "s2", "results": []})
    assert (report.samples, report.images, report.left_out) == (2, 2, 0)
    response = search(path, "s1")
    assert response.text == "[1] Red (picture 1, http://r)\n[2] Words (no picture)\n[3] Blue (picture 2)"
    red, blue = (image.getpixel((9, 9)) for image in response.image)
    assert red[0] > 200 > 60 > red[2] and blue[2] > 200 > 60 > blue[0]
    assert search(path, "s1", topk=1).text == "[1] Red (picture 1, http://r)"
    assert (search(path, "s2").text, search(path, "s2").image) == (NOTHING_FOUND, None)


def test_pictures_are_made_smaller_and_unusable_ones_left_out(folder):
    found = [result("large.png"), result("thin.png"), result("broken.png")]
    report, path = packed(folder, {"key": "s", "results": found})
    assert (report.images, report.left_out) == (1, 2)
    response = search(path, "s")
    assert [image.size for image in response.image] == [(100, 50)]
    assert response.text.count("no picture") == 2


@pytest.mark.parametrize("seed", range(3))
def test_random_samples_come_back_as_they_went_in(folder, seed):
    draw = random.Random(seed)
    samples = {
        f"k{i}": [result(draw.choice([None, "red.png"]), f"title {draw.random()}") for _ in range(draw.randint(0, 6))]
        for i in range(40)
    }
    _, path = packed(folder, *({"key": key, "results": found} for key, found in samples.items()))
    store = ImageResults(path)
    for key, found in samples.items():
        got = store.get(key, 4)
        assert [(one.title, one.image is not None) for one in got] == [
            (one["title"], "image" in one) for one in found[:4]
        ]


def test_a_sample_without_a_key_is_known_by_its_image(folder):
    _, path = packed(folder, {"query_image": "red.png", "results": [result(None, "Red")]})
    frame = pandas.DataFrame(
        {
            "data_source": ["d"] * 2,
            "prompt": [[{"role": "system", "content": "s"}, {"role": "user", "content": "<image>what?"}]] * 2,
            "images": [[{"bytes": png("red")}], [{"bytes": png("lime")}]],
            "extra_info": [{"index": 0}, {"index": 1}],
        }
    )
    frame.to_parquet(folder / "train.parquet")
    config = OmegaConf.create({"filter_overlong_prompts": False, "cache_dir": str(folder / "cache")})
    data = RLHFDataset(str(folder / "train.parquet"), tiny_tokenizer(), config, processor=object())
    red, lime = (data[i]["raw_prompt"] for i in range(2))
    assert key_in_messages(red) == image_key(png("red"))
    assert search(path, messages=red).text == "[1] Red (no picture)"
    with pytest.raises(ToolUnavailable, match="no results were stored for the sample"):
        search(path, messages=lime)


def test_what_was_never_searched_for_is_unavailable(folder):
    _, path = packed(folder, {"key": "s", "results": []})
    with pytest.raises(ToolUnavailable, match="for the sample other"):
        search(path, "other")
    with pytest.raises(ToolUnavailable, match="neither a key nor an image"):
        search(path, messages=[{"role": "user", "content": "no image"}])
    decoded = [{"role": "user", "content": [{"type": "image", "image": Image.new("RGB", (9, 9))}]}]
    with pytest.raises(ToolUnavailable, match="neither a key nor an image"):
        search(path, messages=decoded)


def test_a_file_that_breaks_is_unavailable(folder):
    _, path = packed(folder, {"key": "s", "results": [result("red.png")]})
    connection = sqlite3.connect(path)
    connection.execute("UPDATE images SET data = x'00'")
    connection.commit()
    connection.close()
    with pytest.raises(ToolUnavailable, match="cannot be read"):
        search(path, "s")


@pytest.mark.parametrize("key", [0, "0", np.int64(0)])
def test_a_key_may_be_zero(folder, key):
    _, path = packed(folder, {"key": "0", "results": [result()]})
    assert search(path, key).text == "[1] T (no picture)"


def test_half_of_a_surrogate_pair_is_replaced_in_titles_and_keys(folder):
    _, path = packed(folder, {"key": "cut \ud83d", "results": [result(title="half \ud83d", url="\ud83d")]})
    assert search(path, "cut \ud83d").text == "[1] half \ufffd (no picture, \ufffd)"


def test_it_takes_no_arguments(folder):
    _, path = packed(folder, {"key": "s", "results": []})
    with pytest.raises(BadCall, match="unknown argument 'query'; arguments of this tool: none"):
        search(path, "s", parameters={"query": "x"})


def test_what_is_no_file_of_results_says_how_to_make_one(tmp_path):
    with pytest.raises(ToolConfigError, match="verl-hdpo images build"):
        ImageSearchTool({"path": str(tmp_path / "none")})
    (tmp_path / "text").write_text("text" * 500)
    with pytest.raises(ToolConfigError, match="verl-hdpo images build"):
        ImageSearchTool({"path": str(tmp_path / "text")})


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "line 2"),
        ('{"results": []}', "line 2 has no 'key'; found: results"),
        ('{"key": 3, "results": []}', "a key is a text, found 3"),
        ('{"key": "first", "results": []}', "duplicate key 'first'"),
        ('{"key": "k", "results": [{"url": "u"}]}', "line 2 has no 'title'; found: url"),
        ('{"key": "k", "results": [{"title": "t", "image": "none.png"}]}', "none.png does not exist"),
        ('{"query_image": "none.png", "results": []}', "line 2: ValueError: the image .* does not exist"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_left(folder, line, says):
    (folder / "results.jsonl").write_text('{"key": "first", "results": []}\n' + line + "\n")
    before = set(folder.iterdir())
    with pytest.raises(ResultsError, match=says):
        build(folder / "results.jsonl", folder / "out.sqlite", max_side=100)
    assert set(folder.iterdir()) == before


def test_the_command(folder):
    (folder / "results.jsonl").write_text(json.dumps({"key": "s", "results": [result("thin.png")]}))
    command = ["images", "build", str(folder / "results.jsonl"), "--out", str(folder / "out.sqlite")]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0 and "1 samples, 0 pictures" in done.output and "1 pictures could not" in done.output
    again = CliRunner().invoke(main, command)
    assert again.exit_code == 2 and "is there already" in again.output
