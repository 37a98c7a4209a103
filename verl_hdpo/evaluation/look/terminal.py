"""``print_groups``: rollouts in a terminal, group by group."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from verl_hdpo.evaluation.dumps.rollout import Rollout, Turn
from verl_hdpo.evaluation.dumps.siblings import by_group, call_needs

LONGEST = 1500
"""Characters of a turn; the page shows all."""
STYLES = {"correct": "green", "wrong": "red", "unknown": "yellow", "lost": "yellow"}
MARKS = {"correct": "✓ right", "wrong": "✗ wrong", "unknown": "? unknown", "lost": "∅ lost"}
ROLES = {"assistant": ("model", "cyan"), "tool": ("tool's answer", "green"), "user": ("user", "white")}


def print_groups(
    rollouts: Sequence[Rollout], chosen: Sequence[Rollout], limit: int, console: Console | None = None
) -> None:
    """The groups that the ``chosen`` rollouts belong to, ``limit`` of them, each with the dialogues of those chosen.

    Nothing of a rollout reaches the terminal as markup or as a control sequence.
    """
    console = console or Console()
    groups = {group[0].group: group for group in by_group(rollouts)}
    wanted = by_group(chosen)
    for ours in wanted[:limit]:
        console.print(_table(groups[ours[0].group]))
        for turn in ours[0].prompt:
            console.print(_turn(turn))
        for one in ours:
            console.print(
                Panel(
                    _answer(one),
                    title=Text(f"#{one.number} {MARKS.get(one.outcome or '', 'no verdict')}"),
                    title_align="left",
                    border_style=STYLES.get(one.outcome or "", "white"),
                )
            )
    if len(wanted) > limit:
        console.print(Text(f"... and {len(wanted) - limit} more groups: --limit, --steps and --only choose others"))


def harmless(text: str) -> str:
    """``text`` with its control, format and direction characters made visible."""
    if text.isprintable():
        return text
    return "".join(sign if sign in "\n\t" or sign.isprintable() else _shown(sign) for sign in text)


def _shown(sign: str) -> str:
    if ord(sign) < 0x20:
        return chr(0x2400 + ord(sign))
    return sign if unicodedata.category(sign) == "Zs" else f"<U+{ord(sign):04X}>"


def _table(group: Sequence[Rollout]) -> Table:
    first = group[0]
    where = [first.phase, f"step {first.step}" if first.step is not None else "", first.source]
    table = Table(title=Text(harmless(" · ".join(filter(None, where)))), title_justify="left", box=None)
    for name in ("#", "outcome", "need", "T", "r_acc", "r_tool", "reward", "A_acc", "A_tool", "decided by"):
        table.add_column(name, justify="left" if name in ("outcome", "need", "decided by") else "right")
    for one, need in zip(group, call_needs(group), strict=True):
        numbers = [one.r_acc, one.r_tool, one.reward]
        table.add_row(
            str(one.number),
            Text(MARKS.get(one.outcome or "", "–"), STYLES.get(one.outcome or "", "")),
            need,
            "–" if one.calls is None else str(one.calls),
            *("–" if value is None else f"{value:.2f}" for value in numbers),
            *("–" if value is None else f"{value:+.2f}" for value in (one.advantage, one.tool_advantage)),
            Text(harmless(one.lost or one.verdict)),
        )
    return table


def _answer(one: Rollout) -> RenderableType:
    parts = [_turn(turn) for turn in one.turns]
    if one.reference or one.answer:
        parts.append(Text(harmless(f"reference {one.reference!r}, the grader saw {one.answer!r}"), "dim"))
    return Group(*parts) if parts else Text("nothing was said, or nothing of it was kept", "dim")


def _turn(turn: Turn) -> Text:
    name, style = ROLES.get(turn.role, (turn.role, "white"))
    text = Text(f"{harmless(name)}: ", f"bold {style}")
    if turn.thinking:
        text.append(f"[thinks, {len(turn.thinking)} characters] ", "dim")
    text.append(_short(turn.text), style if turn.role == "tool" else "")
    for call in turn.calls:
        ended = f"  ({call.status})" if call.status else ""
        text.append(
            f"\n  → {harmless(call.name) or 'a call that cannot be read'} {_short(call.arguments)}{ended}", "yellow"
        )
    for _ in turn.images:
        text.append("\n  [image]", "magenta")
    return text


def _short(text: str) -> str:
    shown = harmless(text[:LONGEST])
    return shown + (f" ... ({len(text)} characters)" if len(text) > LONGEST else "")
