"""All findings of ``verl-hdpo doctor`` in the order in which they are told, and how they are told."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence

from verl_hdpo import __version__
from verl_hdpo.runs.finding import Finding, each_once, print_findings, verdict
from verl_hdpo.runs.probe import probe
from verl_hdpo.runs.verl_command import VerlConfig


def all_findings(
    config: VerlConfig, overrides: Sequence[str], doing: Callable[[str], None] = lambda step: None
) -> Iterator[Finding]:
    """What costs nothing first: it is told before anything heavy is imported."""
    runs = {"": overrides} if overrides or not config.is_default else {}
    yield from each_once(_in_order(config, runs, overrides, doing))


def _in_order(
    config: VerlConfig, runs: dict[str, Sequence[str]], overrides: Sequence[str], doing: Callable[[str], None]
) -> Iterator[Finding]:
    from verl_hdpo.doctor.command_line import at_a_glance

    yield from at_a_glance(overrides)
    from verl_hdpo.doctor.environment import installed, packages, plugin_policy

    yield from packages()
    yield from plugin_policy()
    if installed("verl") is None:  # which is told, and nothing more can be
        return
    yield from probe(config, runs, doing)


class Report:
    """Findings as lines, each as soon as it comes, or as one JSON list."""

    def __init__(self, as_json: bool):
        self._as_json = as_json
        self._findings: list[Finding] = []

    @property
    def failed(self) -> bool:
        return any(finding.mark == "FAIL" for finding in self._findings)

    def show(self, findings: Callable[[Callable[[str], None]], Iterable[Finding]]) -> None:
        """Print all of them.

        Args:
            findings: makes them; is given what tells a terminal what is being looked at.
        """
        from verl_hdpo.runs.terminal import doing, say, show_json

        if not self._as_json:
            say(f"verl-hdpo {__version__}, Python {platform.python_version()}, {sys.executable}")
        with doing("starting") as look_at:
            kept = self._kept(findings(look_at))
            if self._as_json:
                self._findings = [*kept]
            else:
                print_findings(kept)
        if self._as_json:
            show_json(self._findings)
        else:
            say(f"\n{verdict(self._findings)}", "red" if self.failed else "green")

    def _kept(self, findings: Iterable[Finding]) -> Iterator[Finding]:
        for finding in findings:
            self._findings.append(finding)
            yield finding
