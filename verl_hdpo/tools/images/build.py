"""Building the file of precomputed image searches from a list of results and their image files."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verl_hdpo.runs.json_files import json_objects
from verl_hdpo.runs.outputs import check_apart
from verl_hdpo.tools.images.image_file import ImageRefused, read_image
from verl_hdpo.tools.images.sample_key import image_key
from verl_hdpo.tools.images.store import FORMAT
from verl_hdpo.tools.valid_text import valid_text

JPEG_QUALITY = 90
MIN_SIDE = 32
"""Pixels of the shorter side below which a vision model's processor may refuse a picture."""


class ResultsError(ValueError):
    """A list of results that cannot be read; the message names line and what was found."""


@dataclass
class Report:
    """What was written: samples, pictures, and pictures left out because they could not be read or were too thin."""

    samples: int = 0
    images: int = 0
    left_out: int = 0


def build(results: Path, out: Path, max_side: int, progress: Callable[[int], None] = lambda done: None) -> Report:
    """Write ``out`` from the list ``results``.

    Each line of it is ``{"key": ..., "results": [{"title": ..., "url": ..., "image": FILE}, ...]}``, best result
    first, with ``image`` relative to the list. ``"query_image": FILE`` in place of ``key`` makes the key of the
    file's content (``image_key``). ``url`` and ``image`` may be left out. No results: ``"results": []``.

    Args:
        results: jsonl.
        out: must not exist.
        max_side: pixels of a picture's longer side; larger ones are made smaller.
        progress: called with the bytes of ``results`` read since the last call.

    Raises:
        FileExistsError: ``out`` is there already.
        OutputError: ``out`` is one of the inputs.
        ResultsError: a line that is not as above, or a duplicate key.
    """
    check_apart(out, [results])
    if out.exists():
        raise FileExistsError(f"{out} is there already; remove it or choose another name")
    out.parent.mkdir(parents=True, exist_ok=True)
    handle, work = tempfile.mkstemp(prefix=f".{out.name}.", dir=out.parent)
    os.close(handle)
    try:
        connection = sqlite3.connect(work)
        try:
            report = _write(results, connection, max_side, progress)
        finally:
            connection.close()
        os.chmod(work, 0o644)
        os.rename(work, out)
        return report
    finally:
        Path(work).unlink(missing_ok=True)


def _write(results: Path, connection: sqlite3.Connection, max_side: int, progress: Callable[[int], None]) -> Report:
    connection.executescript(
        "CREATE TABLE info (format INTEGER); CREATE TABLE samples (key TEXT PRIMARY KEY, results TEXT);"
        "CREATE TABLE images (id INTEGER PRIMARY KEY, data BLOB);"
    )
    connection.execute("INSERT INTO info VALUES (?)", (FORMAT,))
    report = Report()
    for number, sample in json_objects(results, ResultsError, progress=progress):
        where = f"{results}, line {number}"
        try:
            found = [_stored(one, results.parent, max_side, connection, report) for one in _of(sample, "results")]
            key = _key(sample, results.parent)
            connection.execute("INSERT INTO samples VALUES (?, ?)", (key, json.dumps(found, ensure_ascii=False)))
        except sqlite3.IntegrityError:
            raise ResultsError(f"{where}: duplicate key {key!r}") from None
        except LookupError as error:
            raise ResultsError(f"{where} {error.args[0]}") from None
        except (ValueError, TypeError, AttributeError, OSError, RecursionError) as error:
            raise ResultsError(f"{where}: {type(error).__name__}: {error}") from None
        report.samples += 1
    connection.commit()
    return report


def _of(row: dict[str, Any], name: str) -> Any:
    if name not in row:
        raise LookupError(f"has no {name!r}; found: {', '.join(row) or 'nothing'}")
    return row[name]


def _key(sample: dict[str, Any], folder: Path) -> str:
    if "query_image" in sample:
        return image_key(_existing(folder / sample["query_image"]).read_bytes())
    key = _of(sample, "key")
    if not isinstance(key, str) or not key:
        raise ValueError(f"a key is a text, found {key!r}")
    return valid_text(key)


def _stored(
    result: dict[str, Any], folder: Path, max_side: int, connection: sqlite3.Connection, report: Report
) -> dict[str, Any]:
    number = None
    if file := result.get("image"):
        data = _jpeg(folder / file, max_side)
        if data is None:
            report.left_out += 1
        else:
            number = connection.execute("INSERT INTO images (data) VALUES (?)", (data,)).lastrowid
            report.images += 1
    title, url = (valid_text(str(text)) for text in (_of(result, "title"), result.get("url", "")))
    return {"title": title, "url": url, "image": number}


def _existing(file: Path) -> Path:
    if not file.is_file():
        raise ValueError(f"the image {file} does not exist")
    return file


def _jpeg(file: Path, max_side: int) -> bytes | None:
    _existing(file)
    try:
        picture = read_image(file.read_bytes())
    except (OSError, ImageRefused):
        return None
    picture.thumbnail((max_side, max_side))
    if min(picture.size) < MIN_SIDE:
        return None
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=JPEG_QUALITY)
    return data.getvalue()
