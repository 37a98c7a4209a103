"""``python tests/support/against.py --verl PATH [--e2e] [pytest options]``: contract and engine tests with any verl.

With ``--e2e``: training runs in all three trainer modes instead, resumed after deaths, and beside stock GRPO.

PATH is a wheel, or a folder with the package ``verl`` in it: a checkout, or an unpacked wheel. Nothing is installed:
the tests' processes find that verl first on their path. A contract test that fails names the symbol that moved.
"""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path

import click
from pytest_results import Results, run_pytest
from verl_versions import CACHE, UNDER_TEST

TEST_FOLDER = Path(__file__).parents[1]
TESTS = ("adapters/test_contract.py", "engines")
E2E = ("e2e/test_switch.py", "e2e/test_deaths.py")


def folder_of(verl: Path) -> Path:
    """The folder to put on the path for that wheel or folder.

    Raises:
        click.BadParameter: no verl is there.
    """
    if verl.suffix == ".whl":
        folder = CACHE / verl.stem
        with zipfile.ZipFile(verl) as wheel:
            wheel.extractall(folder)
    else:
        folder = verl
    if not (folder / "verl" / "version" / "version").is_file():
        raise click.BadParameter(f"{verl} is neither a wheel of verl nor a folder with the package verl in it")
    return folder.resolve()


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--verl", required=True, type=click.Path(exists=True, path_type=Path), help="wheel or checkout")
@click.option("--e2e", is_flag=True, help="training runs instead, a quarter of an hour on 2 cores")
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def main(verl: Path, e2e: bool, options: tuple[str, ...]) -> None:
    folder = folder_of(verl)
    version = (folder / "verl" / "version" / "version").read_text().strip()
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    click.echo(f"verl {version} in {folder}")
    tests = [str(TEST_FOLDER / test) for test in (E2E if e2e else TESTS)]
    results = run_pytest([*tests, *options], {**os.environ, "PYTHONPATH": path, UNDER_TEST: version})
    click.echo(summary(version, results))
    outcomes = {outcome for outcome, _ in results.values()}
    sys.exit("passed" not in outcomes or bool(outcomes & {"failed", "error"}))


def summary(version: str, results: Results) -> str:
    """How many tests ended how, and the message of each that failed."""
    outcomes = [outcome for outcome, _ in results.values()]
    counts = ", ".join(f"{outcomes.count(name)} {name}" for name in sorted(set(outcomes)))
    lines = [f"verl {version}: {counts or 'no tests'}"]
    for test, (outcome, message) in results.items():
        if outcome in ("failed", "error"):
            lines.append(f"  {test}: {message}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
