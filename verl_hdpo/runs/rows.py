"""The rows of a data set in the formats that verl loads, and what every row must have."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from verl_hdpo.runs.json_files import Wrong, json_lines, json_value
from verl_hdpo.runs.parquet_rows import parquet_rows
from verl_hdpo.runs.row_images import row_image_problems

SUFFIXES = (".parquet", ".json", ".jsonl")


class RowsError(ValueError):
    """A data file, or a row of it, that a run cannot use.

    Args:
        found: what is wrong and where.
        advice: what to do.
    """

    def __init__(self, found: str, advice: str):
        super().__init__(f"{found}; {advice}")
        self.found, self.advice = found, advice


class NoSuchFileError(RowsError):
    """A data file that does not exist, or has a suffix of another format."""


def check_rows(files: Iterable[str | Path], prompt_key: str = "prompt", image_key: str = "images") -> int:
    """The number of rows in ``files``, once each is found to have what verl reads.

    Raises:
        RowsError: a file that cannot be read, no rows, a row that lacks something, rows with different columns.
    """
    schema, count = Schema(), 0
    for file in files:
        for number, row in read_rows(file):
            where = f"{file}, row {number}"
            for found, advice in row_problems(row, prompt_key):
                raise RowsError(f"{where} {found}", advice)
            for problem in row_image_problems(row, prompt_key, image_key):
                if problem.mark == "FAIL":
                    raise RowsError(f"{where} {problem.found}", problem.advice)
            if changed := schema.differs(where, row):
                found = f"mixed schemas: {where} differs from {schema.first} in {changed}"
                raise RowsError(found, "give all rows the same columns, or evaluate the sets one by one")
            count += 1
    if not count:
        raise RowsError(f"{', '.join(map(str, files)) or 'data.val_files'}: no rows", "give a file with rows")
    return count


def check_file(file: str | Path) -> Path:
    """The path of ``file``, which exists and has a suffix that verl reads.

    Raises:
        NoSuchFileError: it does not.
    """
    path = Path(file).expanduser()
    if path.suffix not in SUFFIXES:
        found = f"{file} is neither .parquet nor .json nor .jsonl"
        raise NoSuchFileError(found, "convert it: verl reads these three formats")
    if not path.is_file():
        raise NoSuchFileError(f"{file} {'is a folder' if path.is_dir() else 'does not exist'}", "name a file with rows")
    return path


def read_rows(file: str | Path, without: Collection[str] = ()) -> Iterator[tuple[int, Any]]:
    """Each row with its number, counted from 0.

    Args:
        file: parquet, JSON lines, or a JSON list.
        without: columns that are not worth reading, such as images; None in the rows of a parquet file.

    Raises:
        RowsError: the file does not exist, has another format, or is broken.
    """
    path, wrong = check_file(file), partial(RowsError, advice="write the file again")
    yield from enumerate(_parquet(path, wrong, without) if path.suffix == ".parquet" else _json(path, wrong))


def check_together(files: Iterable[str | Path]) -> None:
    """Whether the parquet files among ``files`` can be one data set, as verl's loader puts them together.

    Raises:
        RowsError: a column has different types in them.
    """
    import pyarrow.parquet

    schema = None
    for file in files:
        path = Path(file).expanduser()
        if path.suffix != ".parquet" or not path.is_file():
            continue
        try:
            own = pyarrow.parquet.read_schema(path).remove_metadata()
        except (OSError, ValueError):
            continue  # read_rows says what is wrong with it
        try:
            schema = pyarrow.unify_schemas([schema or own, own])
        except pyarrow.ArrowException as error:
            found = f"{file} does not go together with the files before it: {str(error).partition(': ')[2]}"
            raise RowsError(found, "write its columns with the same types") from error


def row_problems(row: Any, prompt_key: str = "prompt") -> Iterator[tuple[str, str]]:
    """What a row lacks of what verl's data set and reward loop read: (what is wrong, what to do)."""
    if not isinstance(row, Mapping):
        yield "is not an object with columns", 'write rows as objects: {"prompt": ..., "data_source": ...}'
        return
    columns = f"its columns are {', '.join(row)}"
    prompt = row.get(prompt_key)
    if not (isinstance(prompt, list | tuple) and prompt and all(map(_is_message, prompt))):
        advice = f'{prompt_key} must be a list of messages, such as [{{"role": "user", "content": "..."}}]'
        yield f"has no chat under {prompt_key!r}; {columns}", advice
    elif textless := next((message for message in prompt if not _has_text(message)), None):
        found = (
            f"has a message of {textless['role']!r} with content {textless.get('content')!r:.60} under {prompt_key!r}"
        )
        yield found, "write its text there: the model would read what its chat template makes of that"
    if not isinstance(row.get("data_source"), str):
        yield f"has no text under 'data_source'; {columns}", "name the row's data set there: metrics are per source"
    model = row.get("reward_model")
    truth = model.get("ground_truth") if isinstance(model, Mapping) else None
    if truth is None or truth != truth:  # NaN: pandas' null
        advice = 'add the column reward_model, such as {"style": "rule", "ground_truth": "4"}'
        yield f"has no reward_model.ground_truth; {columns}", advice

    extra_info = row.get("extra_info")
    if extra_info is not None and not isinstance(extra_info, Mapping):
        yield f"has extra_info that is {type(extra_info).__name__}, not an object", 'write it as {"index": 0, ...}'
    elif extra_info is not None:
        for name, kind, wanted in (("tools_kwargs", Mapping, "an object"), ("tool_selection", list | tuple, "a list")):
            if (value := extra_info.get(name)) is not None and not isinstance(value, kind):
                found = f"has extra_info.{name} that is {type(value).__name__}, not {wanted}: {value!r:.60}"
                yield found, f"write it as {wanted}"


def _is_message(message: Any) -> bool:
    return isinstance(message, Mapping) and "role" in message and ("content" in message or "tool_calls" in message)


def _has_text(message: Mapping[str, Any]) -> bool:
    """Whether a message has a text or parts; a turn that calls tools needs none."""
    content = message.get("content")
    return isinstance(content, str | list | tuple) or (content is None and bool(message.get("tool_calls")))


class Schema:
    """The columns of the first row seen, which all others must have.

    Attributes:
        first: where that row is; empty before any.
    """

    def __init__(self) -> None:
        self.first, self._columns = "", set[str]()

    def differs(self, where: str, row: Mapping[str, Any]) -> str:
        """In which columns a row differs from the first; empty if in none. ``where`` names the row."""
        if not self.first:
            self.first, self._columns = where, set(row)
        return ", ".join(sorted(self._columns ^ set(row)))


def _parquet(path: Path, wrong: Wrong, without: Collection[str]) -> Iterator[Any]:
    return parquet_rows(path, wrong, lambda column: column not in without)


def _json(path: Path, wrong: Wrong) -> Iterator[Any]:
    with path.open("rb") as file:
        is_list = next((line for line in file if line.strip()), b"").lstrip().startswith(b"[")
    yield from json_value(path, wrong) if is_list else (line.row for line in json_lines(path, wrong))
