"""An audit as tables for a terminal, or as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from rich.console import Console
from rich.table import Table
from rich.text import Text

from verl_hdpo.compare.audit.run import ALL, Audit
from verl_hdpo.compare.audit.summary import SourceAudit
from verl_hdpo.compare.pricing.report import in_points
from verl_hdpo.evaluation.look.terminal import harmless


def as_json(found: Audit) -> str:
    """Every field of ``Audit``. A price is in points; null where it is not known, "inf" where no call gains enough."""
    made: dict[str, Any] = asdict(found)
    for source in made["sources"]:
        source["tool_use"] = None if math.isnan(source["tool_use"]) else source["tool_use"]
        for row in source["algorithms"]:
            price = row.pop("price")
            row["price_points"] = price if price is None else "inf" if math.isinf(price) else round(100 * price, 2)
    return json.dumps(made, indent=2, default=str)


def print_audit(found: Audit, console: Console | None = None) -> None:
    """The sources, each with its algorithms, then the defects. No text of a dump is taken for markup."""
    console = console or Console()
    for source in found.sources:
        console.print(_what_it_did(source), _algorithms(source), sep="\n")
        examples = {"needless": source.needless, "missed": source.missed, "up and down": source.disputed}
        for name, some in examples.items():
            _links(console, name, some.examples)
        console.print()
    if found.validations:
        console.print(f"{found.validations} rollouts of validations are left out; they are not trained on.")
    if found.passed_over:
        _say(console, f"Not rollouts, passed over: {', '.join(map(str, found.passed_over[:3]))}")
    for defect in found.defects:
        of = "" if defect.source == ALL else f" in {defect.source}"
        _say(console, f"DEFECT {defect.kind}{of} ({defect.count}): {defect.advice}", "red")
        _links(console, "examples", defect.examples)
    if not found.defects:
        _say(console, "No defects found.", "green")
    _say(console, "verl-hdpo look DUMP writes look.html; open look.html#r=... for an example")


def _what_it_did(source: SourceAudit) -> Table:
    table = Table(title=Text(harmless(source.source)), title_justify="left", show_header=False)
    for name, value in _facts(source):
        table.add_row(name, value)
    return table


def _facts(source: SourceAudit) -> Iterator[tuple[str, str]]:
    yield "rollouts", str(source.rollouts)
    yield "groups", str(source.groups)
    yield "of unknown outcome", str(source.unknown)
    if source.uncounted:
        yield "calls not known, not replayed", str(source.uncounted)
    yield "tool use", "not known" if math.isnan(source.tool_use) else f"{source.tool_use:.1%}"
    if source.case:
        for name, share in (("right with a call", source.case.right), ("right without", source.case.direct)):
            yield name, "none to see" if share is None else f"{share:.1%}"
    yield "needless calls", str(source.needless.count)
    yield "missed calls", str(source.missed.count)
    yield "groups without accuracy signal", str(source.without_accuracy.count)
    yield "groups without efficiency signal", str(source.without_efficiency.count)
    yield "groups without either", str(source.without_any.count)
    yield "up by one algorithm, down by another", str(source.disputed.count)


def _algorithms(source: SourceAudit) -> Table:
    table = Table()
    table.add_column("algorithm", no_wrap=True)
    for name in ("up", "down", "against grpo", "needless down", "silent groups", "price of a call"):
        table.add_column(name, justify="right")
    for row in source.algorithms:
        numbers = (row.up, row.down, row.against_grpo.count, row.needless_down, row.silent_groups)
        price = "not known" if row.price is None else in_points(row.price)
        table.add_row(Text(row.label), *map(str, numbers), price)
    return table


def _links(console: Console, name: str, ids: Sequence[str]) -> None:
    if ids:
        # the page decodes what stands behind #r=
        _say(console, f"  {name}: " + " ".join("#r=" + quote(one, safe=":/", errors="replace") for one in ids))


def _say(console: Console, text: str, style: str = "") -> None:
    """One line, whatever the terminal's width, so that a link can be copied."""
    console.print(Text(harmless(text), style), soft_wrap=True)
