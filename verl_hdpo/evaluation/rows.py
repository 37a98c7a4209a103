"""Check that every row of a data set has what verl and an evaluation read, before a model is started."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any


class RowsError(ValueError):
    """Rows that cannot be evaluated; the message names the first and says what it must have."""


class MixedSchemasError(RowsError):
    """Rows that do not all have the same columns."""


def check_rows(files: Sequence[str | Path], prompt_key: str = "prompt") -> int:
    """Number of rows of parquet, json or jsonl ``files``.

    Raises:
        RowsError: no rows, an unreadable file, or a missing column; MixedSchemasError: rows with different columns.
    """
    first: tuple[str, set[str]] | None = None
    count = 0
    for file in files:
        for number, row in enumerate(_rows(Path(file).expanduser())):
            where = f"{file}, row {number}"
            _check(where, row, prompt_key)
            columns = set(row)
            if first is None:
                first = where, columns
            elif changed := sorted(first[1] ^ columns):
                raise MixedSchemasError(
                    f"mixed schemas: {where} differs from {first[0]} in {', '.join(changed)}; give all rows the same "
                    f"columns, or evaluate the sets one by one"
                )
            count += 1
    if not count:
        raise RowsError(f"{', '.join(map(str, files)) or 'data.val_files'}: no rows")
    return count


def _check(where: str, row: Any, prompt_key: str) -> None:
    if not isinstance(row, Mapping):
        raise RowsError(f"{where} is no object with columns")
    columns = f"its columns are {', '.join(row)}"
    prompt = row.get(prompt_key)
    if not (isinstance(prompt, list) and prompt and all(isinstance(m, Mapping) and "role" in m for m in prompt)):
        raise RowsError(
            f'{where} has no chat under {prompt_key!r}, such as [{{"role": "user", "content": "..."}}]; {columns}'
        )
    if not isinstance(row.get("data_source"), str):
        raise RowsError(f"{where} has no text under 'data_source', the name of its data set; {columns}")
    model = row.get("reward_model")
    if not isinstance(model, Mapping) or model.get("ground_truth") is None:
        raise RowsError(
            f'{where} has no reward_model.ground_truth, such as {{"style": "rule", "ground_truth": "4"}}; {columns}'
        )


def _rows(path: Path) -> Iterator[Any]:
    if not path.is_file():
        raise RowsError(f"{path} does not exist")
    try:
        if path.suffix == ".parquet":
            import pyarrow.parquet

            for batch in pyarrow.parquet.ParquetFile(path).iter_batches():
                yield from batch.to_pylist()
        elif path.suffix in (".json", ".jsonl"):
            text = path.read_text()
            if text.lstrip().startswith("["):
                yield from json.loads(text)
            else:
                yield from (json.loads(line) for line in text.split("\n") if line.strip())
        else:
            raise RowsError(f"{path} is neither .parquet nor .json nor .jsonl")
    except (OSError, json.JSONDecodeError) as error:
        raise RowsError(f"{path} cannot be read: {error}") from error
    except ValueError as error:
        if isinstance(error, RowsError):
            raise
        raise RowsError(f"{path} cannot be read: {error}") from error
