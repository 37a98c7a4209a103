"""``ParquetParts``: rows with images to one parquet file, a batch in memory at a time, whatever columns each has."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow
import pyarrow.parquet

BATCH_ROWS = 64
"""Rows in memory at a time; images of some megabytes each are usual."""
EMPTY = pyarrow.struct([])
IMAGES = pyarrow.list_(pyarrow.struct([("bytes", pyarrow.binary())]))


class ParquetParts:
    """Collects rows beside ``path``, which :meth:`finish` writes: whole, or not at all.

    The types of the columns are known with the last row alone, so the batches wait in files of their own.
    """

    def __init__(self, path: Path):
        self.path, self.rows = path, 0
        self._batch: list[dict[str, Any]] = []
        self._schemas: list[pyarrow.Schema] = []

    def __enter__(self) -> ParquetParts:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix=f".{self.path.name}.", dir=self.path.parent))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, row: dict[str, Any]) -> None:
        self._batch.append(row)
        self.rows += 1
        if len(self._batch) == BATCH_ROWS:
            self._flush()

    def finish(self) -> None:
        """Write the file.

        Raises:
            pyarrow.ArrowException: a column has values of types that do not go together.
        """
        self._flush()
        schema = pyarrow.unify_schemas(self._schemas, promote_options="permissive")
        schema = pyarrow.schema([_writable(column) for column in schema])
        whole = self._folder / "whole"
        with pyarrow.parquet.ParquetWriter(whole, schema) as writer:
            for number in range(len(self._schemas)):
                part = pyarrow.ipc.open_file(self._part(number)).read_all()
                writer.write_table(pyarrow.concat_tables([schema.empty_table(), part], promote_options="permissive"))
        whole.replace(self.path)

    def _flush(self) -> None:
        if not self._batch:
            return
        table = pyarrow.Table.from_pylist(_same_columns(self._batch))
        if "images" in table.column_names:  # of rows without any the type would not be known
            at = table.column_names.index("images")
            table = table.set_column(at, "images", table["images"].cast(IMAGES))
        with pyarrow.ipc.new_file(self._part(len(self._schemas)), table.schema) as writer:
            writer.write_table(table)
        self._schemas.append(table.schema)
        self._batch = []

    def _part(self, number: int) -> str:
        return str(self._folder / f"{number}.arrow")


def _same_columns(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """``from_pylist`` takes the columns of the first row alone."""
    columns = dict.fromkeys(name for row in rows for name in row)
    return [{name: row.get(name) for name in columns} for row in rows]


def _writable(column: pyarrow.Field) -> pyarrow.Field:
    """Parquet has no objects without a key."""
    return column.with_type(pyarrow.null()) if column.type == EMPTY else column
