"""``python tests/support/upstream.py --checkout PATH``: verl's own CPU tests, with this plugin and without it.

Takes a checkout of verl and runs its tests of loss, trainer, agent loop and TransferQueue twice against the verl in it:
with ``VERL_USE_EXTERNAL_PLUGINS=none``, and with the plugin. Fails if any test ends differently.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
from pytest_results import Results, run_pytest

TESTS = (
    "tests/trainer/**/*_on_cpu.py",
    "tests/experimental/agent_loop/*_on_cpu.py",
    "tests/utils/test_transferqueue*_on_cpu.py",
    "tests/utils/test_padding_on_cpu.py",
)


@click.command()
@click.option("--checkout", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(checkout: Path) -> None:
    checkout = checkout.resolve()
    files = sorted({str(path) for pattern in TESTS for path in checkout.glob(pattern)})
    if not files:
        raise click.BadParameter(f"{checkout} has no {TESTS[0]}; is it a checkout of verl?")
    env = {k: v for k, v in os.environ.items() if k != "VERL_USE_EXTERNAL_PLUGINS"}
    # Some of them start TransferQueue, whose actors ask for more CPUs than a small machine has and wait for ever.
    env["RAY_OVERRIDE_RESOURCES"] = '{"CPU": 32}'
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(checkout), env.get("PYTHONPATH")]))
    without = run_pytest(files, {**env, "VERL_USE_EXTERNAL_PLUGINS": "none"}, cwd=checkout)
    with_plugin = run_pytest(files, env, cwd=checkout)
    version = (checkout / "verl" / "version" / "version").read_text().strip()
    report, same = comparison(without, with_plugin)
    click.echo(f"verl {version}, {len(files)} test files\n{report}")
    sys.exit(not same)


def comparison(without: Results, with_plugin: Results) -> tuple[str, bool]:
    """What to print, and whether the same tests ran and ended the same, some of them by passing."""
    lines = []
    for name, results in (("without the plugin", without), ("with it", with_plugin)):
        outcomes = [outcome for outcome, _ in results.values()]
        lines.append(f"  {name}: " + ", ".join(f"{outcomes.count(o)} {o}" for o in sorted(set(outcomes))))
    missing = ("not run", "")
    different = [
        f"  {test}: {without.get(test, missing)[0]} without, {with_plugin.get(test, missing)[0]} with: "
        f"{with_plugin.get(test, missing)[1]}"
        for test in sorted(set(without) | set(with_plugin))
        if without.get(test, missing)[0] != with_plugin.get(test, missing)[0]
    ]
    lines += different or ["  every test ended the same"]
    return "\n".join(lines), not different and any(outcome == "passed" for outcome, _ in without.values())


if __name__ == "__main__":
    main()
