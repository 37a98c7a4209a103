"""How long a CPU run takes to its first step: workers forked from one process, and each started by itself.

python benchmarks/cpu_start.py [--pairs 2]

Runs of one step of the quickstart, in turn; the ratio of each pair is within one run of this program.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "examples" / "quickstart"))

import run as quickstart  # noqa: E402
import training  # noqa: E402

from verl_hdpo.runs.cpu_run import run_verl  # noqa: E402

KINDS = {
    "forked": [],
    "each by itself": [f"++ray_kwargs.ray_init.runtime_env.py_executable={sys.executable}"],
}


def measured(cold_start: Path, overrides: list[str]) -> float:
    """Seconds to the end of the first step."""
    began, steps = time.monotonic(), []
    with tempfile.TemporaryDirectory() as folder:
        code = run_verl(
            [
                *training.overrides("hdpo", cold_start, 1, 1),
                "trainer.logger=[file]",
                "trainer.val_before_train=False",
                *overrides,
            ],
            run_dir=folder,
            log_path=Path(folder) / "train.log",
            on_metrics=lambda step, metrics: steps.append(time.monotonic() - began),
        )
        if code:
            raise SystemExit((Path(folder) / "train.log").read_text()[-3000:])
    return steps[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=2, help="runs of each kind (default: %(default)s)")
    args = parser.parse_args()
    cold_start = ROOT / "outputs" / "quickstart" / "cold-start-seed1"
    quickstart.build_cold_start(cold_start, 1)
    seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for _ in range(args.pairs):
        for kind, overrides in KINDS.items():
            seconds[kind].append(measured(cold_start, overrides))
            print(f"{kind}: {seconds[kind][-1]:.0f} s to the first step", flush=True)
    forked, alone = (statistics.median(found) for found in seconds.values())
    print(f"medians: {forked:.0f} s forked, {alone:.0f} s each by itself, ratio {forked / alone:.2f}")


if __name__ == "__main__":
    main()
