"""A run that is interrupted leaves no process behind."""

import os
import signal
import threading
import time

import pytest
from run_processes import process_of_runs, processes_of_runs


def test_ctrl_c_leaves_no_process_behind(train):
    def interrupt_when_started():
        while process_of_runs("raylet/raylet ") is None:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt_when_started, daemon=True).start()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background starts with it ignored
    try:
        with pytest.raises(KeyboardInterrupt):
            train("interrupted", "algorithm.adv_estimator=hdpo")
    finally:
        signal.signal(signal.SIGINT, before)
    assert not processes_of_runs()
