"""Records of a data set in whatever files it comes: parquet, JSON, a folder of them, a saved Hugging Face data set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from verl_hdpo.runs.rows import SUFFIXES, RowsError, read_rows

SAVED = ("dataset_info.json", "dataset_dict.json", "state.json")
"""Files of a data set that Hugging Face's ``save_to_disk`` wrote; they hold no records."""
FILE_NAME = "file_name"
"""Column of a folder of images with a ``metadata.jsonl``, as Hugging Face's ``imagefolder`` has it."""


class Record(NamedTuple):
    """One record.

    Attributes:
        file: where it is from, and ``number``, from 0, its place there.
        row: its columns.
        folder: that its paths start from.
    """

    file: str
    number: int
    row: Any
    folder: Path


def records_of(source: Path, split: str = "train") -> Iterator[Record]:
    """Every record of a file or folder.

    Args:
        split: of a saved data set with several.

    Raises:
        RowsError: there is none, or a file that cannot be read.
    """
    if not source.is_dir():
        yield from _of_file(source)
    elif any((source / name).exists() for name in SAVED):
        yield from _of_saved(source, split)
    else:
        files = sorted(path for path in source.rglob("*") if path.suffix in SUFFIXES and path.name not in SAVED)
        if not files:
            raise RowsError(f"{source} holds no file of {', '.join(SUFFIXES)}", "name a file, or a folder with some")
        for file in files:
            yield from _of_file(file)


def _of_file(file: Path) -> Iterator[Record]:
    for number, row in read_rows(file):
        if isinstance(row, Mapping) and FILE_NAME in row and not {"image", "images"} & set(row):
            row = {**row, "image": row[FILE_NAME]}
        yield Record(str(file), number, row, file.parent)


def _of_saved(source: Path, split: str) -> Iterator[Record]:
    from datasets import DatasetDict, Image, List, load_from_disk

    found = load_from_disk(str(source))
    if isinstance(found, DatasetDict):
        if split not in found:
            raise RowsError(f"{source} has no split {split!r}; it has {', '.join(found)}", "name one by --split")
        found = found[split]
    for name, feature in found.features.items():  # images as files, which Pillow opens later and one by one
        if isinstance(feature, Image):
            found = found.cast_column(name, Image(decode=False))
        elif isinstance(getattr(feature, "feature", None), Image):
            found = found.cast_column(name, List(Image(decode=False)))
    for number, row in enumerate(found):
        yield Record(str(source), number, row, source)
