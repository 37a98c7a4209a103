"""``print_groups``: rollouts in a terminal, group by group."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from verl_hdpo.evaluation.dumps.rollout import Rollout, Turn
from verl_hdpo.evaluation.dumps.siblings import by_group, call_needs
from verl_hdpo.runs.terminal import console as stdout
from verl_hdpo.runs.terminal import harmless, show_table

LONGEST = 1500
"""Characters of a turn; the page shows all."""
STYLES = {"correct": "green", "wrong": "red", "unknown": "yellow", "lost": "yellow"}
MARKS = {"correct": "✓ right", "wrong": "✗ wrong", "unknown": "? unknown", "lost": "∅ lost"}
HEADS = ("#", "outcome", "need", "T", "r_acc", "r_tool", "reward", "A_acc", "A_tool", "decided by")
WIDEST = 120
"""Columns of a dialogue's frame at most."""
ROLES = {"assistant": ("model", "cyan"), "tool": ("tool's answer", "green"), "user": ("user", "white")}


def print_groups(
    rollouts: Sequence[Rollout], chosen: Sequence[Rollout], limit: int, console: Console | None = None
) -> None:
    """The groups that the ``chosen`` rollouts belong to, ``limit`` of them, each with the dialogues of those chosen.

    Nothing of a rollout reaches the terminal as markup or as a control sequence.
    """
    console = console or stdout()
    groups = {group[0].group: group for group in by_group(rollouts)}
    wanted = by_group(chosen)
    for ours in wanted[:limit]:
        _show_group(groups[ours[0].group], console)
        for turn in ours[0].prompt:
            console.print(_turn(turn))
        for one in ours:
            _show_answer(one, f"#{one.number} {MARKS.get(one.outcome or '', 'no verdict')}", console)
    if len(wanted) > limit:
        console.print(Text(f"... and {len(wanted) - limit} more groups: --limit, --steps and --only choose others"))


def print_dialogue(one: Rollout, title: str) -> None:
    """One rollout, its prompt first."""
    on = stdout()
    for turn in one.prompt:
        on.print(_turn(turn))
    _show_answer(one, title, on)


def _show_answer(one: Rollout, title: str, on: Console) -> None:
    if not on.is_terminal:
        on.print(Text(title), _answer(one), sep="\n", soft_wrap=True)
        return
    style, width = STYLES.get(one.outcome or "", "white"), min(on.width, WIDEST)
    on.print(Panel(_answer(one), title=Text(title), title_align="left", border_style=style, width=width))


def _show_group(group: Sequence[Rollout], on: Console) -> None:
    first = group[0]
    where = [first.phase, f"step {first.step}" if first.step is not None else "", first.source]
    rows: list[Sequence[str | Text]] = [
        (
            str(one.number),
            Text(MARKS.get(one.outcome or "", "–"), STYLES.get(one.outcome or "", "")),
            need,
            "–" if one.calls is None else str(one.calls),
            *("–" if value is None else f"{value:.2f}" for value in (one.r_acc, one.r_tool, one.reward)),
            *("–" if value is None else f"{value:+.2f}" for value in (one.advantage, one.tool_advantage)),
            one.lost or one.verdict,
        )
        for one, need in zip(group, call_needs(group), strict=True)
    ]
    told = [number for number, cells in enumerate(zip(*rows, strict=True)) if {str(cell) for cell in cells} - {"–", ""}]
    show_table(
        [HEADS[number] for number in told],
        [[row[number] for number in told] for row in rows],
        title=" · ".join(filter(None, where)),
        left=("outcome", "need", "decided by"),
        on=on,
    )


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
