"""An audit as tables for a terminal, or as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from verl_hdpo.compare.audit.run import ALL, Audit
from verl_hdpo.compare.audit.summary import AlgorithmAudit, SourceAudit
from verl_hdpo.compare.pricing.report import in_points
from verl_hdpo.runs.log_to import LoggedReport
from verl_hdpo.runs.terminal import say, show_json, show_table

HEADS = ("algorithm", "up", "down", "against grpo", "needless down", "silent groups", "price of a call")


def print_json(found: Audit) -> None:
    """Print every field. A price is in points; null where it is not known, "inf" where no call gains enough."""
    made: dict[str, Any] = asdict(found)
    for source in made["sources"]:
        source["tool_use"] = None if math.isnan(source["tool_use"]) else source["tool_use"]
        for row in source["algorithms"]:
            price = row.pop("price")
            row["price_points"] = price if price is None else "inf" if math.isinf(price) else round(100 * price, 2)
    show_json(made)


def logged(found: Audit) -> LoggedReport:
    """What the audit counts, for a logger."""
    rows = [
        {"source": source.source, **dict(zip(HEADS, _row(row), strict=True))}
        for source in found.sources
        for row in source.algorithms
    ]
    defects = [{"source": one.source, "defect": one.kind, "rollouts": one.count} for one in found.defects]
    numbers = {
        f"{source.source}/{row.label}/{name}": float(value)
        for source in found.sources
        for row in source.algorithms
        for name, value in (("up", row.up), ("down", row.down), ("against_grpo", row.against_grpo.count))
    }
    numbers |= {f"{source.source}/needless": float(source.needless.count) for source in found.sources}
    numbers |= {f"{source.source}/missed": float(source.missed.count) for source in found.sources}
    return LoggedReport(numbers, {"algorithms": rows, **({"defects": defects} if defects else {})})


def print_audit(found: Audit) -> None:
    """The sources, each with its algorithms, then the defects."""
    for source in found.sources:
        show_table([source.source, ""], list(_facts(source)))
        say("")
        show_table(HEADS, [_row(row) for row in source.algorithms])
        examples = {"needless": source.needless, "missed": source.missed, "up and down": source.disputed}
        for name, some in examples.items():
            _links(name, some.examples)
        say("")
    if found.validations:
        say(f"{found.validations} rollouts of validations are left out; they are not trained on.")
    if found.passed_over:
        say(f"Not rollouts, passed over: {', '.join(map(str, found.passed_over[:3]))}")
    for defect in found.defects:
        of = "" if defect.source == ALL else f" in {defect.source}"
        say(f"DEFECT {defect.kind}{of} ({defect.count}): {defect.advice}", "red")
        _links("examples", defect.examples)
    if not found.defects:
        say("No defects found.", "green")
    say("verl-hdpo look DUMP writes look.html; open look.html#r=... for an example")


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


def _row(row: AlgorithmAudit) -> list[str]:
    numbers = (row.up, row.down, row.against_grpo.count, row.needless_down, row.silent_groups)
    return [row.label, *map(str, numbers), in_points(row.price)]


def _links(name: str, ids: Sequence[str]) -> None:
    if ids:
        # the page decodes what stands behind #r=
        say(f"  {name}: " + " ".join("#r=" + quote(one, safe=":/", errors="replace") for one in ids))
