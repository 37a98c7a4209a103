"""``recipes/slurm`` against a real Slurm controller, which knows nodes that are not there."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from free_port import free_port
from hang import HANG_SECONDS

RECIPE = Path(__file__).parents[2] / "recipes" / "slurm"
CONFIG = """
ClusterName=test
SlurmctldHost=localhost
SlurmctldPort={port}
SlurmdPort={nodes_port}
SlurmUser={user}
AuthType=auth/none
CredType=cred/none
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/pid
SelectType=select/cons_tres
ProctrackType=proctrack/linuxproc
GresTypes=gpu
SuspendTime=-1
SuspendProgram=/bin/true
ResumeProgram=/bin/true
NodeName=g[1-8] CPUs=96 RealMemory=1000000 Gres=gpu:8 State=CLOUD
NodeName=c[1-4] CPUs=96 RealMemory=500000 State=CLOUD
PartitionName=all Nodes=g[1-8],c[1-4] Default=YES State=UP
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("slurmctld"), reason="Slurm is not installed (apt-get install slurm-wlm)"),
]


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """What ``sbatch`` needs to find a controller of eight nodes with GPUs and four without."""
    folder = tmp_path_factory.mktemp("slurm")
    (folder / "state").mkdir()
    config = folder / "slurm.conf"
    config.write_text(
        CONFIG.format(port=free_port(), nodes_port=free_port(), user=getpass.getuser(), folder=folder).lstrip()
    )
    found = {**os.environ, "SLURM_CONF": str(config)}
    with (folder / "log").open("w") as log:
        controller = subprocess.Popen(["slurmctld", "-D", "-f", config], env=found, stdout=log, stderr=log)
    try:
        ends = time.monotonic() + HANG_SECONDS
        while "UP" not in subprocess.run(["scontrol", "ping"], env=found, capture_output=True, text=True).stdout:
            assert controller.poll() is None and time.monotonic() < ends, (folder / "log").read_text()
            time.sleep(0.2)
        yield found
    finally:
        controller.kill()
        controller.wait()


def tried(environment, *options):
    """Exit status of ``sbatch --test-only``, and what it says."""
    command = ["sbatch", "--test-only", *options, str(RECIPE / "train.sbatch")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    return done.returncode, done.stderr


def test_the_job_would_start_as_it_is(environment):
    status, said = tried(environment)
    assert status == 0 and "using 1024 processors" in said, said  # 8 nodes of 96, and 4 of 4 tasks of 16
    assert {"g[1-8]", "c[1-4]"} == set(re.search(r"on (\S+)", said)[1].replace("],", "] ").split())


README = (RECIPE / "README.md").read_text()
LINES = re.findall(r"sbatch (--nodes=\d+ : .*?) recipes/slurm/train.sbatch`", README)


@pytest.mark.parametrize("line", LINES)
def test_the_job_would_start_in_the_sizes_of_the_readme(environment, line):
    training, tools = (int(number) for number in re.findall(r"--nodes=(\d+)", line))
    status, said = tried(environment, *line.split())
    assert status == 0 and f"using {96 * training + 64 * tools} processors" in said, said


def test_without_a_colon_both_groups_get_the_nodes(environment):
    """As the README warns."""
    assert "**Without the colon" in README and "`sbatch --nodes=2 recipes/slurm/train.sbatch`" in README
    status, said = tried(environment, "--nodes=2")
    assert status == 0 and f"using {96 * 2 + 64 * 2} processors" in said, said


def test_a_cluster_that_is_too_small_is_told(environment):
    assert tried(environment, "--nodes=9")[0] != 0
