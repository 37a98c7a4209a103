"""The file of precomputed image searches: SQLite, read-only in training, in the page cache once per node.

CREATE TABLE info (format INTEGER);
CREATE TABLE samples (key TEXT PRIMARY KEY, results TEXT);     -- [{"title": ..., "url": ..., "image": id or null}]
CREATE TABLE images (id INTEGER PRIMARY KEY, data BLOB);       -- JPEG
"""

from __future__ import annotations

import json
import sqlite3
import threading
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from verl_hdpo.settings.tool import ToolConfigError
from verl_hdpo.tools.images.image_file import read_image

FORMAT = 1


class ImageResult(NamedTuple):
    """One page that a search found: its title, its URL and its picture, if there is one."""

    title: str
    url: str
    image: Image.Image | None


class ImageResults:
    """Looks samples up, from any thread.

    Args:
        path: a file written by ``verl-hdpo images build``.

    Raises:
        ToolConfigError: no such file, or not of this format.
    """

    def __init__(self, path: Path):
        self._uri = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
        self._local = threading.local()
        try:
            (found,) = self._connection().execute("SELECT format FROM info").fetchone()
        except (sqlite3.Error, TypeError) as error:
            raise ToolConfigError(
                f"{path} holds no image results ({error}); build it with: verl-hdpo images build RESULTS --out {path}"
            ) from None
        if found != FORMAT:
            raise ToolConfigError(f"{path} has format {found}, this version reads {FORMAT}; build it again")

    def get(self, key: str, limit: int) -> list[ImageResult]:
        """The first ``limit`` results of a sample, best first; none when the search had found nothing.

        Raises:
            KeyError: the file does not have this sample.
            OSError, sqlite3.Error: it cannot be read.
        """
        connection = self._connection()
        row = connection.execute("SELECT results FROM samples WHERE key = ?", (key,)).fetchone()
        if row is None:
            raise KeyError(key)
        return [
            ImageResult(result["title"], result["url"], _image(connection, result["image"]))
            for result in json.loads(row[0])[:limit]
        ]

    def _connection(self) -> sqlite3.Connection:
        if not hasattr(self._local, "connection"):
            self._local.connection = sqlite3.connect(self._uri, uri=True)
        return self._local.connection


def _image(connection: sqlite3.Connection, number: int | None) -> Image.Image | None:
    if number is None:
        return None
    (data,) = connection.execute("SELECT data FROM images WHERE id = ?", (number,)).fetchone()
    return read_image(data)
