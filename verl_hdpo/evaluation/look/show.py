"""``show``: read, choose, and hand on to the page, the terminal or an export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from verl_hdpo.evaluation.dumps.named_columns import parse_columns
from verl_hdpo.evaluation.dumps.reader import read_rollouts, read_steps
from verl_hdpo.evaluation.dumps.rollout import Rollout
from verl_hdpo.evaluation.dumps.siblings import by_group, call_needs
from verl_hdpo.evaluation.look.export import FORMS, write_export
from verl_hdpo.evaluation.look.page import write_page
from verl_hdpo.evaluation.look.page_data import rows_of
from verl_hdpo.evaluation.look.terminal import print_groups
from verl_hdpo.runs.outputs import check_apart
from verl_hdpo.runs.terminal import doing, say, show_json

GROUPS = 20
"""That the terminal shows, unless told otherwise."""


class LookError(ValueError):
    """What was asked for cannot be shown; the message says why and what to do."""


@dataclass(frozen=True)
class Wanted:
    """The command's options, as its ``--help`` explains them."""

    out: Path | None = None
    steps: str = ""
    tty: bool = False
    kind: str | None = None
    limit: int | None = None
    form: str | None = None
    as_json: bool = False
    columns: str = ""


def show(where: Path, wanted: Wanted) -> None:
    """Do it, and tell what was done.

    Raises:
        RolloutsError: nothing to read at ``where``.
        OutputError: the file to write is one that is read.
        LookError: options that do not fit together, or no rollout of that kind.
    """
    out = _checked_out(where, wanted)
    steps = read_steps(wanted.steps) if wanted.steps else (None, None)
    with doing(f"reading {where}"):
        reading = read_rollouts(where, steps, parse_columns(wanted.columns) if wanted.columns else None)
    rollouts = reading.rollouts
    if reading.passed_over:
        names = ", ".join(str(path) for path in reading.passed_over[:3])
        more = " ..." if len(reading.passed_over) > 3 else ""
        say(f"Not rollouts, passed over: {names}{more}", err=wanted.as_json)
    if wanted.as_json:
        ours = {one.id for one in chosen(rollouts, wanted.kind)}
        rows = zip(rollouts, rows_of(rollouts), strict=True)
        show_json([row for one, row in rows if one.id in ours])
        return
    if wanted.tty:
        print_groups(rollouts, chosen(rollouts, wanted.kind), wanted.limit or GROUPS)
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    if wanted.form:
        rollouts = chosen(rollouts, wanted.kind)
        count = write_export(rollouts, out, FORMS[wanted.form])
        say(f"{out}: {count} lines of {wanted.form}")
        return
    with doing(f"writing {out}"):
        size = write_page(rollouts, out, f"Rollouts of {where}")
    say(f"{out}: {len(rollouts)} rollouts, {size / 1e6:.1f} MB; open it in a browser")


def _checked_out(where: Path, wanted: Wanted) -> Path:
    """The file to write, if it is one that writes a file; options that do not fit together are refused."""
    ways = [
        way for way, asked in (("--tty", wanted.tty), ("--json", wanted.as_json), ("--export", wanted.form)) if asked
    ]
    if wanted.kind and not ways:
        raise LookError("--only goes with --tty, --json or --export; the page has a button for each kind")
    if len(ways) > 1:
        raise LookError(f"{' and '.join(ways)}: give one of them")
    if wanted.limit and not wanted.tty:
        raise LookError("--limit only goes with --tty; all other forms hold every rollout")
    if wanted.out and (wanted.tty or wanted.as_json):
        raise LookError(f"--out does not go with {ways[0]}, which writes no file")
    out = wanted.out or Path(f"look.{wanted.form}.jsonl" if wanted.form else "look.html")
    if not (wanted.tty or wanted.as_json):
        if out.is_dir():
            raise LookError(f"--out {out} is a folder; name a file in it")
        check_apart(out, [where])
    return out


def chosen(rollouts: Sequence[Rollout], kind: str | None) -> list[Rollout]:
    """Those of a kind; None: all.

    Raises:
        LookError: there are none.
    """
    found = []
    for group in by_group(rollouts):
        for one, need in zip(group, call_needs(group), strict=True):
            right_with_call = one.outcome == "correct" and bool(one.calls)
            if kind in (None, need, one.outcome) or (kind == "called-right" and right_with_call):
                found.append(one)
    if not found:
        raise LookError(f"none of the {len(rollouts)} rollouts is {kind}; leave out --only to see all")
    return found
