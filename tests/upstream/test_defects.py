"""Every defect is described, our lines that answer to it exist, and the installed releases still have it."""

import json
import os
import subprocess
import sys

import pytest
from upstream_defects import ROOT, SCRIPTS, defects

DEFECTS = defects()
RUNNER = ROOT / "tests" / "support" / "upstream_defects.py"


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_script_says_what_is_wrong_and_which_lines_of_ours_answer_to_it(defect):
    assert defect.title.endswith(".") and "\n" not in defect.title
    assert defect.place and all(file and text in (ROOT / file).read_text() for file, text in defect.ours)
    script = (SCRIPTS / f"{defect.name}.py").read_text()
    assert "verl_hdpo" not in script.rpartition('"""\n\n')[2], "its maintainers have no verl-hdpo"


@pytest.fixture(scope="module")
def verdicts():
    done = subprocess.run([sys.executable, str(RUNNER), "--json"], capture_output=True, text=True, env={**os.environ})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_defect_is_there_until_a_release_mends_it(defect, verdicts):
    found = verdicts[defect.name]
    if defect.is_mended:
        assert found == "mended"
    else:
        advice = f"{', '.join(defect.packages)} has mended it: remove {', '.join(defect.lines)}, and this script"
        assert found == "still there", f"{found}. {advice}, or add the line 'Mended: RELEASE' while older ones count"
