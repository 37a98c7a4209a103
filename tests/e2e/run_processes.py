"""The processes that the training runs of these tests start."""

import contextlib
import os
import sys

import psutil

TEST_MARK = "VERL_HDPO_TEST"
"""In the environment of every process of a run, with the id of the process that runs the tests."""
COMMAND = [sys.executable, "-c", "from verl_hdpo.cli.main import main; main()"]
"""``verl-hdpo``, also where it is not on the path."""
MARKED = {**os.environ, TEST_MARK: str(os.getpid())}


def processes_of_runs(text=""):
    """Every process that a run of these tests started, Ray's daemons among them, with ``text`` in its command line.

    It is known by the mark in its environment.
    """
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            ours = process.environ().get(TEST_MARK) == str(os.getpid())
            if ours and process.status() != psutil.STATUS_ZOMBIE and text in " ".join(process.cmdline()):
                found.append(process)
    return found


def process_of_runs(text):
    """One of them that has ``text`` in its command line; None if there is none."""
    return next(iter(processes_of_runs(text)), None)
