"""The data of a run: every row of every file is read, once. verl is not imported."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from verl_hdpo.doctor.files import REMOTE, listed
from verl_hdpo.doctor.ground_truths import incomparable
from verl_hdpo.doctor.progress import doing
from verl_hdpo.doctor.sections import DATA
from verl_hdpo.runs.finding import Finding
from verl_hdpo.runs.problem_rows import DECODED_ROWS, ProblemRows
from verl_hdpo.runs.rows import NoSuchFileError, RowsError, Schema, check_together, read_rows, row_problems

SPLITS = ("train", "val")
TELL_EVERY = 20_000
MOST_SOURCES_SHOWN = 12


@dataclass
class Tally:
    """How many rows have something in common, where the first of them is, and what it is there."""

    first: str
    rows: int = 1
    example: str = ""

    def __str__(self) -> str:
        return self.first if self.rows == 1 else f"{self.first} and {self.rows - 1} more"


class Tallies(dict[Any, Tally]):
    """What rows have -> how many do."""

    def add(self, what: Any, where: str, example: Any = "") -> None:
        if what in self:
            self[what].rows += 1
        else:
            self[what] = Tally(where, example=f"{example!r:.60}")

    def merge(self, what: Any, tally: Tally) -> None:
        if what in self:
            self[what].rows += tally.rows
        else:
            self[what] = replace(tally)


@dataclass
class Rows:
    """What the rows of one split say.

    Attributes:
        count: rows in all.
        first: where the first is.
        files: file -> how many rows it has.
        broken: why files could not be read.
        problems: (what is wrong, what to do) -> rows.
        mixed: (the first row, in which columns others differ from it) -> rows.
        sources: ``data_source`` -> rows.
        samples: ``data_source`` -> its first row.
        agents: ``agent_name`` -> rows; empty where no row has that column.
        selections: ``extra_info.tool_selection`` -> rows.
        tools_kwargs: tool -> rows with ``extra_info.tools_kwargs`` of it.
        null_kwargs: tool -> rows in which its ``tools_kwargs`` are null, as parquet fills them in where other rows have
            some; an empty text where ``tools_kwargs`` itself is null.
        examples: tool -> a row with ``tools_kwargs`` of it.
        incomparable: why a ground truth cannot be compared -> rows.
        images: what is wrong with the images.
    """

    count: int = 0
    first: str = ""
    files: dict[str, int] = field(default_factory=dict)
    broken: list[RowsError] = field(default_factory=list)
    problems: Tallies = field(default_factory=Tallies)
    mixed: Tallies = field(default_factory=Tallies)
    sources: Tallies = field(default_factory=Tallies)
    samples: dict[str, dict[str, Any]] = field(default_factory=dict)
    agents: Tallies = field(default_factory=Tallies)
    selections: Tallies = field(default_factory=Tallies)
    tools_kwargs: Tallies = field(default_factory=Tallies)
    null_kwargs: Tallies = field(default_factory=Tallies)
    examples: dict[str, dict[str, Any]] = field(default_factory=dict)
    incomparable: Tallies = field(default_factory=Tallies)
    images: ProblemRows = field(default_factory=ProblemRows)

    def add(self, where: str, row: Any) -> None:
        """Take in another row; ``where`` names it."""
        self.first = self.first or where
        if isinstance(row, Mapping):
            self._note(where, row)
        self.count += 1

    def _note(self, where: str, row: Mapping[str, Any]) -> None:
        if isinstance(source := row.get("data_source"), str):
            self.sources.add(source, where)
            self.samples.setdefault(source, dict(row))
        if "agent_name" in row:
            named = row["agent_name"]  # of anything but a name its text, which is that of no loop
            self.agents.add(named if named is None or isinstance(named, str) else str(named), where)
        extra_info, model = row.get("extra_info"), row.get("reward_model")
        extra_info = extra_info if isinstance(extra_info, Mapping) else {}
        if isinstance(selection := extra_info.get("tool_selection"), list | tuple):
            self.selections.add(tuple(map(str, selection)), where)
        if "tools_kwargs" in extra_info:
            self._note_kwargs(where, row, extra_info["tools_kwargs"])
        truth = model.get("ground_truth") if isinstance(model, Mapping) else None
        if truth is not None and (why := incomparable(truth)):
            self.incomparable.add(why, where, truth)

    def _note_kwargs(self, where: str, row: Mapping[str, Any], kwargs: Any) -> None:
        if kwargs is None:
            self.null_kwargs.add("", where)
        for tool, given in dict(kwargs).items() if isinstance(kwargs, Mapping) else ():
            if given is None:
                self.null_kwargs.add(tool, where)
            else:
                self.tools_kwargs.add(tool, where)
                self.examples.setdefault(tool, dict(row))


def rows_of(config: DictConfig, split: str) -> Rows:
    """What ``data.<split>_files`` hold; nothing of a data set class of the owner's own, or of remote files."""
    files = tuple(file for file in listed(_plain(config.data[f"{split}_files"])) if not REMOTE.match(file))
    if has_own_class(config):
        return Rows()
    stamps = tuple(path.stat().st_mtime_ns for file in files if (path := Path(file).expanduser()).is_file())
    image, *media = (str(config.data.get(f"{kind}_key", f"{kind}s")) for kind in ("image", "video", "audio"))
    return _read(files, stamps, str(config.data.get("prompt_key", "prompt")), image, tuple(media))


def has_own_class(config: DictConfig) -> bool:
    """Whether the owner's own class reads the files, and knows what their columns mean."""
    return bool((config.data.get("custom_cls") or {}).get("path"))


def check_data(config: DictConfig) -> Iterator[Finding]:
    """What the files hold, and what is wrong with their rows."""
    for split in SPLITS:
        name = f"data.{split}_files"
        given = listed(_plain(config.data[f"{split}_files"]))
        for file in given:
            if REMOTE.match(file):
                yield Finding(DATA, "warn", name, f"{file}: remote, not looked into")
        if not given:
            yield Finding(DATA, "FAIL", name, f"{name} names no file", ("name a parquet, json or jsonl file",))
        elif has_own_class(config):
            yield Finding(DATA, "ok", name, f"{', '.join(given)}: read by data.custom_cls")
        else:
            yield from _findings(config, split, name, rows_of(config, split))


def _findings(config: DictConfig, split: str, name: str, rows: Rows) -> Iterator[Finding]:
    for file, count in rows.files.items():
        if count:
            yield Finding(DATA, "ok", name, f"{file}: {_rows(count)}")
        else:
            yield Finding(DATA, "FAIL", name, f"{file} has no rows", ("write the file again",))
    for error in rows.broken:
        if not isinstance(error, NoSuchFileError):  # which is told among the files
            yield Finding(DATA, "FAIL", name, error.found, (error.advice,))
    if rows.sources:
        several = [f"{source!r} ({_rows(tally.rows)})" for source, tally in rows.sources.items()]
        more = f" and {len(several) - MOST_SOURCES_SHOWN} more" if len(several) > MOST_SOURCES_SHOWN else ""
        yield Finding(DATA, "ok", name, f"data_source: {', '.join(several[:MOST_SOURCES_SHOWN])}{more}")
    for (found, advice), tally in rows.problems.items():
        yield Finding(DATA, "FAIL", name, f"{tally} {found}", (advice,))
    for problem, where in rows.images.told():
        yield Finding(DATA, problem.mark, name, f"{where}: {problem.found}", (problem.advice,))
    if rows.images.with_images > DECODED_ROWS:
        found = f"images: {_rows(rows.images.with_images)} with some, of which the first {DECODED_ROWS} were decoded"
        yield Finding(DATA, "ok", name, found)
    for (first, columns), tally in rows.mixed.items():
        found = f"mixed schemas: {tally}: other columns than {first}, {columns}"
        advice = "verl fills what is missing with null; give all rows the same columns if that is not meant"
        yield Finding(DATA, "warn", name, found, (advice,))
    wanted = config.data.get("gen_batch_size") or config.data.train_batch_size
    unread = rows.broken or any(map(REMOTE.match, listed(_plain(config.data[f"{split}_files"]))))
    if split == "train" and rows.count < wanted and not unread:
        found = f"{rows.count} rows do not fill one batch of data.train_batch_size={wanted}, and verl drops the last"
        yield Finding(DATA, "FAIL", name, found, ("lower data.train_batch_size or give more data",))


@functools.cache  # the runs of a comparison have the same data
def _read(files: Sequence[str], stamps: Sequence[int], prompt_key: str, image_key: str, media: Sequence[str]) -> Rows:
    rows, schema = Rows(), Schema()
    try:
        check_together(files)
    except RowsError as error:
        rows.broken.append(error)
    for file in files:
        number = -1
        try:
            for number, row in read_rows(file, without=media):
                where = f"{file}, row {number}"
                for found, advice in row_problems(row, prompt_key):
                    rows.problems.add((found, advice), where)
                if isinstance(row, Mapping) and (changed := schema.differs(where, row)):
                    rows.mixed.add((schema.first, changed), where)
                if isinstance(row, Mapping):
                    rows.images.look(file, number, row, prompt_key, image_key)
                    row = (
                        {**row, image_key: None} if image_key in row else row
                    )  # samples are kept, and images are large
                rows.add(where, row)
                if rows.count % TELL_EVERY == 0:
                    doing(f"reading {file}: {rows.count:,} rows")
            rows.files[file] = number + 1
        except RowsError as error:
            rows.broken.append(error)
    return rows


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value) if isinstance(value, ListConfig) else value


def _rows(number: int) -> str:
    return f"{number} row{'s' * (number != 1)}"
