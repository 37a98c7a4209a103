"""The local index, against BM25 written out, on random corpora; its files, and what a half-built one leaves."""

import gzip
import json
import random
import subprocess
import sys
from pathlib import Path

import plain_bm25
import pyarrow
import pyarrow.parquet
import pytest
from click.testing import CliRunner

from verl_hdpo.cli.main import main
from verl_hdpo.settings.tool import ToolConfigError
from verl_hdpo.tools.search.corpus import Columns, CorpusError, passages
from verl_hdpo.tools.search.index_build import build
from verl_hdpo.tools.search.local_index import OpenIndex
from verl_hdpo.tools.search.passage import Passage


def opened(path, texts, language=None):
    build((Passage("", text, str(i)) for i, text in enumerate(texts)), path, language, threads=1)
    return OpenIndex(path)


def random_texts(draw, longest):
    """Words with the skew of language, so that some are in nearly every text and some in one."""
    words = [f"w{i}" for i in range(60)]
    weights = [1 / (i + 1) for i in range(60)]
    return [" ".join(draw.choices(words, weights, k=draw.randint(0, longest))) for _ in range(draw.randint(1, 200))]


@pytest.mark.parametrize("seed", range(12))
def test_scores_are_bm25(tmp_path, seed):
    draw = random.Random(seed)
    texts = random_texts(draw, longest=30 if seed % 2 else 3000 // (seed + 6))
    index = opened(tmp_path / "index", texts)
    for _ in range(20):
        query = " ".join(draw.choices([f"w{i}" for i in range(70)], k=draw.randint(0, 8)))
        topk = draw.randint(1, 12)
        expected = plain_bm25.scores(texts, query)
        found = index.scored(query, topk)
        best = sorted(expected.values(), reverse=True)[:topk]
        assert [score for score, _ in found] == pytest.approx(best, rel=1e-4)
        for score, passage in found:  # equal scores may come in any order, but each with its own passage
            assert passage.text == texts[int(passage.source)]
            assert score == pytest.approx(expected[int(passage.source)], rel=1e-4)
        assert len({passage.source for _, passage in found}) == len(found)


@pytest.mark.parametrize("length", [0, 1, 39, 40, 41, 47, 56, 100, 1000, 12345])
def test_the_plain_bm25_rounds_lengths_down_by_at_most_an_eighth(length):
    assert length * 7 / 8 <= plain_bm25.stored_length(length) <= length


def test_titles_count_and_passages_come_back_whole(tmp_path):
    rows = [Passage("Mount Etna", 'A "volcano"\nin Sicily.', "it/7"), Passage("", "A café in Rome", "")]
    build(rows, tmp_path / "index", "english")
    index = OpenIndex(tmp_path / "index")
    assert index.search("etna", 3) == [rows[0]]
    assert index.search("CAFÉ", 3) == [rows[1]]
    assert index.search("volcanoes", 3) == [rows[0]], "word endings are cut off"
    assert index.search("vesuvius ...", 3) == []


def test_without_a_language_words_are_taken_as_they_are(tmp_path):
    index = opened(tmp_path / "index", ["one volcano"])
    assert index.search("volcanoes", 3) == []


def test_a_query_has_no_syntax(tmp_path):
    index = opened(tmp_path / "index", ["red apple", "green pear"])
    for query in (
        'apple -pear "x',
        "body:apple",
        "+apple AND (",
        "apple^9",
        "/apple/",
        "NOT apple",
        "title:[apple TO z]",
    ):
        assert "red apple" in [passage.text for passage in index.search(query, 5)], query


def test_chinese_and_japanese_are_found_by_their_characters(tmp_path):
    index = opened(tmp_path / "index", ["埃特纳火山位于西西里岛", "エトナ山は活火山", "Rome is a city"])
    assert index.search("火山", 1)[0].source in "01"
    assert index.search("西西里", 1)[0].source == "0"


def test_all_processes_of_a_node_map_the_same_files(tmp_path):
    folder = tmp_path / "index"
    opened(folder, [f"passage number {i}" for i in range(500)])
    code = (
        "import sys; from pathlib import Path; from verl_hdpo.tools.search.local_index import OpenIndex\n"
        "index = OpenIndex(Path(sys.argv[1])); print(index.search('number 77', 1)[0].source)\n"
        "print(sum(sys.argv[1] in line for line in open('/proc/self/maps')))"
    )
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
        source, mapped = done.stdout.split()
        assert source == "77" and int(mapped) > 0


def test_what_is_no_index_says_how_to_make_one(tmp_path):
    with pytest.raises(ToolConfigError, match="verl-hdpo index build"):
        OpenIndex(tmp_path)
    (tmp_path / "verl_hdpo_index.json").write_text('{"format": 99, "passages": 1, "language": null}')
    with pytest.raises(ToolConfigError, match="has format 99"):
        OpenIndex(tmp_path)
    (tmp_path / "verl_hdpo_index.json").write_text('{"format": 1, "passages": 1, "language": null}')
    with pytest.raises(ToolConfigError, match="build it again"):
        OpenIndex(tmp_path)


def test_a_build_that_fails_leaves_nothing(tmp_path):
    def rows():
        yield Passage("", "one", "1")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(rows(), tmp_path / "index", None)
    assert list(tmp_path.iterdir()) == []


def jsonl(path, rows):
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


ROWS = [
    {"id": 3, "title": "Etna", "text": "a volcano"},
    {"id": "x", "contents": '"Rome"\na city\nin Italy'},
    {"text": ""},
]
PASSAGES = [Passage("Etna", "a volcano", "3"), Passage("Rome", "a city\nin Italy", "x"), Passage("", "", "")]


@pytest.mark.parametrize("name", ["c.jsonl", "c.jsonl.gz", "c.parquet"])
def test_the_kinds_of_corpus(tmp_path, name):
    file = tmp_path / name
    if file.suffix == ".parquet":
        rows = [{"id": None, "title": None, "text": None, "contents": None} | row for row in ROWS]
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist([r | {"id": str(r["id"] or "")} for r in rows]), file)
    else:
        jsonl(file, ROWS)
    read = []
    assert list(passages([file], Columns(), read.append)) == PASSAGES
    assert sum(read) == file.stat().st_size, "progress reaches the end"


def test_columns_may_have_other_names(tmp_path):
    file = jsonl(tmp_path / "c.jsonl", [{"doc": "a", "name": "b", "url": "c"}])
    assert list(passages([file], Columns("doc", "name", "url"))) == [Passage("b", "a", "c")]


@pytest.mark.parametrize("name", ["c.jsonl", "c.parquet"])
@pytest.mark.parametrize(
    ("columns", "told"), [(Columns(title="titel"), r"titel \(--title\)"), (Columns(source="x"), r"x \(--source\)")]
)
def test_a_named_column_that_no_row_has_is_told(tmp_path, name, columns, told):
    file, rows = tmp_path / name, [{"id": "1", "title": "Etna", "text": "a volcano"}]
    if file.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), file)
    else:
        jsonl(file, rows)
    with pytest.raises(CorpusError, match=f"^no row has a column {told}; .*columns: id, title, text$"):
        list(passages([file], columns))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"text": "a"}\n{"text": ', "line 2 is not valid JSON"),
        ("[1]\n", "line 1: must hold one JSON object per line"),
        ("", "no passages"),
        ('{"a": 1}\n', "--text"),
    ],
)
def test_a_bad_row_is_named(tmp_path, content, message):
    (tmp_path / "c.jsonl").write_text(content)
    with pytest.raises(CorpusError, match=message):
        list(passages([tmp_path / "c.jsonl"], Columns()))


@pytest.mark.parametrize("name", ["c.jsonl.gz", "c.parquet"])
@pytest.mark.parametrize("damage", ["cut off", "something else"])
def test_a_broken_file_is_named(tmp_path, name, damage):
    file = tmp_path / name
    if name == "c.parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS[2:] * 1000), file)
    else:
        jsonl(file, ROWS * 1000)
    file.write_bytes(file.read_bytes()[:-40] if damage == "cut off" else b"no archive")
    done = CliRunner().invoke(main, ["index", "build", str(file), "--out", str(tmp_path / "index")])
    assert done.exit_code == 2 and f"{file}" in done.output and "cannot be read" in done.output


def test_the_command(tmp_path):
    corpus, out = jsonl(tmp_path / "c.jsonl", ROWS), tmp_path / "index"
    command = ["index", "build", str(corpus), "--out", str(out)]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0 and "3 passages" in done.output
    assert OpenIndex(out).search("volcano", 1) == [PASSAGES[0]]
    again = CliRunner().invoke(main, command)
    assert again.exit_code == 2 and "is there already" in again.output
    text = CliRunner().invoke(
        main, ["index", "build", str(tmp_path / "index" / "meta.json"), "--out", str(tmp_path / "b")]
    )
    assert text.exit_code == 2 and "a corpus is .jsonl" in text.output
    assert sorted(path.name for path in Path(tmp_path).iterdir()) == ["c.jsonl", "index"]
