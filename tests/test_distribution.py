"""The built wheel, installed in an environment of its own: the plugin is found, and the mathematics is ours."""

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COMMITTED = "1750000000"

pytestmark = pytest.mark.slow


def run(*command, cwd, **environment):
    """What the command prints; its output is shown if it fails."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=inherited | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(source, folder):
    run(
        *(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, source),
        cwd=folder.parent,
        SOURCE_DATE_EPOCH=COMMITTED,
    )
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of what is packed, without what earlier builds left."""
    folder = tmp_path_factory.mktemp("source")
    names = run("git", "ls-files", "verl_hdpo", "*.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", cwd=ROOT)
    for name in names.split():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((ROOT / name).read_bytes())
    return folder


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory):
    return build(source, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """Python of a new environment with the wheel; what it depends on is read from the environment of the tests."""
    folder = tmp_path_factory.mktemp("bare")
    run(sys.executable, "-m", "venv", folder, cwd=folder)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "--no-deps", "--no-index", wheel, cwd=folder)
    installed = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
    # A path in a .pth file comes after the environment's own packages, and no .pth file in it is obeyed: an editable
    # install of this repository is out of sight.
    (Path(installed) / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return python


def test_the_same_files_give_the_same_wheel(source, wheel, tmp_path):
    assert build(source, tmp_path).read_bytes() == wheel.read_bytes()


def test_the_wheel_has_all_files_of_the_package_and_nothing_else(wheel):
    tracked = run("git", "ls-files", "verl_hdpo", cwd=ROOT).split()
    packed = [name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name]
    assert sorted(packed) == sorted(tracked)


def test_the_source_distribution_builds_the_same_wheel(wheel, tmp_path):
    with tarfile.open(next(wheel.parent.glob("*.tar.gz"))) as archive:
        archive.extractall(tmp_path, filter="data")
    again = build(next(tmp_path.glob("verl_hdpo-*")), tmp_path)
    assert zipfile.ZipFile(again).namelist() == zipfile.ZipFile(wheel).namelist()


def test_verl_finds_the_plugin(python, tmp_path):
    said = run(
        *(python, "-c"),
        "import verl, verl_hdpo\n"
        "from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY\n"
        "print(verl_hdpo.__file__); print(*ADV_ESTIMATOR_REGISTRY)",
        cwd=tmp_path,
    )
    path, estimators = said.strip().splitlines()[-2:]
    assert Path(path).is_relative_to(Path(python).parents[1])
    assert "hdpo" in estimators.split()


def test_doctor_runs(python, tmp_path):
    said = subprocess.run(
        [python.parent / "verl-hdpo", "doctor", "--json"], cwd=tmp_path, capture_output=True, text=True
    )
    findings = json.loads(said.stdout)
    assert [found["found"] for found in findings if found["mark"] == "FAIL"] == [], said.stdout
    assert said.returncode == 0


def test_the_tests_of_the_mathematics_pass_on_the_wheel(python, tmp_path):
    run(
        *(python, "-m", "pytest", "-q", "-m", "not slow", "-c", ROOT / "pyproject.toml", "--rootdir", ROOT),
        *("-p", "no:cacheprovider", ROOT / "tests" / "algorithm"),
        cwd=tmp_path,
    )
