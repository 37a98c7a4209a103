"""``probe``: what a fresh process that imports verl finds of this environment and of runs."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from verl_hdpo.runs.child_process import end, log_tail, start
from verl_hdpo.runs.finding import Finding
from verl_hdpo.runs.new_lines import NewLines
from verl_hdpo.runs.verl_command import VerlConfig

CHECK = [sys.executable, "-m", "verl_hdpo.doctor.probe"]
"""Registration is only proved by a process that starts as verl's do, and a broken package may end the process."""

STALL_SECONDS = 900.0
"""How long one step may take, less the time in which others had the processor: it may load from a slow disk."""
POLL_SECONDS = 0.05


def probe(
    config: VerlConfig,
    runs: Mapping[str, Sequence[str]],
    doing: Callable[[str], None] = lambda step: None,
    stall: float = STALL_SECONDS,
) -> Iterator[Finding]:
    """Each finding as it comes: on the runs' configs and files, the plugin's registrations, the device, then the rest.

    Args:
        config: what all runs start from.
        runs: overrides of each run by a label, which its sections' headings show; "" where there is but one.
        doing: told what is being looked at.
        stall: seconds of a :class:`TreeClock` without a finding, a next step or output, after which it is ended.
    """
    request = {
        "config_name": config.config_name,
        "config_path": config.config_path,
        "config_dir": config.config_dir,
        "runs": {label: list(overrides) for label, overrides in runs.items()},
    }
    with tempfile.TemporaryDirectory() as folder:
        asked, answer, log = (Path(folder, name) for name in ("request.json", "findings.jsonl", "log"))
        asked.write_text(json.dumps(request))
        step, ended = "starting", ""
        for line in _lines([*CHECK, str(asked), str(answer)], NewLines(answer), log, stall):
            fields = json.loads(line)
            if "doing" in fields:
                step = fields["doing"]
                doing(step)
            elif "ended" in fields:
                ended = fields["ended"]
            else:
                yield Finding(**{**fields, "advice": tuple(fields["advice"])})
        if ended:
            advice = "the lines above are the last that it wrote; Packages may show what is broken"
            yield Finding("verl", "FAIL", "fresh process", f"{step}: the check {ended}\n{log_tail(log, 15)}", (advice,))


def _lines(command: Sequence[str], written: NewLines, log: Path, stall: float) -> Iterator[bytes | str]:
    """What ``command`` writes, and at last, as a line of its own, how it ended if that was not well."""
    from verl_hdpo.runs.tree_clock import Patience  # psutil, which not every command of verl-hdpo needs

    with log.open("w") as out:
        process = start(command, out, {})
        patience = Patience(process.pid, log, stall)
        try:
            while True:
                status = process.poll()
                lines = written.read()
                yield from lines
                if status is not None:
                    break
                if patience.is_over(progress=bool(lines)):
                    yield json.dumps({"ended": f"made no progress for {stall:.0f} seconds and was ended"})
                    return
                time.sleep(POLL_SECONDS)
        finally:
            end(process)
        if status:
            yield json.dumps({"ended": f"ended with status {status}"})
