"""``python -m verl_hdpo.compare.ray_job_entry FOLDER COMMAND...``: what a Ray job of a comparison runs.

The command's output goes to the run's log, and how it ended into the run's folder, which outlives the cluster. A job
that is stopped or killed leaves nothing.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from verl_hdpo.compare.made_with import made_with
from verl_hdpo.compare.plan import LOG, write_json

ENDED = "ray_job_ended.json"
"""``code``: the command's; its ``seconds``; ``made_with``, of the machine that it ran on."""


def main() -> None:
    folder, command = Path(sys.argv[1]), sys.argv[2:]
    began = time.monotonic()
    with open(folder / LOG, "a") as log:
        code = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT).returncode
    write_json(folder / ENDED, {"code": code, "seconds": time.monotonic() - began, "made_with": made_with()})
    sys.exit(code)


if __name__ == "__main__":
    main()
