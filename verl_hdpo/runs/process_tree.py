"""Every process of one run: the driver, Ray's daemons and workers, vLLM's engines; found again and ended
together.

Ray's daemons leave the driver's session, and outlive a driver that is killed, so a process group is not
enough. A process belongs to the run if it has ever been seen below the driver, carries the run's mark in its
environment, or names the run's directory on its command line.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Iterable
from pathlib import Path

import psutil

MARK = "VERL_HDPO_RUN_DIR"
"""Environment variable, inherited by every process of the run, that holds the run's private directory."""

_SEGMENT = re.compile(r"/dev/shm/\S+$", re.MULTILINE)  # not those that are deleted already


class ProcessTree:
    """The processes below ``root``, remembered so that orphans are not lost."""

    def __init__(self, root_pid: int, run_dir: Path):
        self._run_dir = str(run_dir)
        self._seen: set[psutil.Process] = set()
        self._shared_memory: set[Path] = set()
        with contextlib.suppress(psutil.NoSuchProcess):
            self._seen.add(psutil.Process(root_pid))

    def look(self) -> list[int]:
        """Remember the descendants there are now, and their shared memory; call it now and then. Returns their ids."""
        children: dict[int, list[psutil.Process]] = {}
        for process in psutil.process_iter(["ppid"]):
            children.setdefault(process.info["ppid"], []).append(process)
        below = [process for process in self._seen if process.is_running()]
        while below:
            for child in children.get(below.pop().pid, []):
                if child not in self._seen:
                    self._seen.add(child)
                    below.append(child)
        running = [process.pid for process in self._seen if process.is_running()]
        self._shared_memory.update(*map(_shared_memory, running))
        return running

    def alive(self) -> list[psutil.Process]:
        """All running processes of the run, zombies aside."""
        self.look()
        mine = os.getpid()
        for process in psutil.process_iter():
            if process.pid != mine and self._is_marked(process):
                self._seen.add(process)
        return [p for p in self._seen if p.is_running() and not _is_zombie(p)]

    def end(self, grace: float = 5.0) -> None:
        """Ask every process to end, then kill what is left; the second round catches late children.

        Python's resource trackers end by themselves after those that they serve, and remove the shared memory and
        semaphores of those. What is left where they were killed as well is removed here, as far as it has been seen.
        """
        for round_grace in (grace, 1.0):
            processes = self.alive()
            for process in processes:
                with contextlib.suppress(psutil.Error):
                    process.send_signal(signal.SIGTERM)
            _, stubborn = psutil.wait_procs(processes, timeout=round_grace)
            _kill(process for process in stubborn if not _is_resource_tracker(process))
            _, trackers = psutil.wait_procs(stubborn, timeout=5.0)
            _kill(trackers)
            psutil.wait_procs(trackers, timeout=5.0)
        in_use = set().union(*(_shared_memory(pid) for pid in psutil.pids())) if self._shared_memory else set()
        for segment in self._shared_memory - in_use:
            segment.unlink(missing_ok=True)

    def _is_marked(self, process: psutil.Process) -> bool:
        try:
            if any(self._run_dir in word for word in process.cmdline()):
                return True
            return process.environ().get(MARK) == self._run_dir
        except (psutil.Error, OSError):
            return False


def _shared_memory(pid: int) -> set[Path]:
    """POSIX shared memory and semaphores that the process has mapped."""
    try:
        maps = Path(f"/proc/{pid}/maps").read_text(errors="surrogateescape")  # file names are bytes
        return {Path(path) for path in _SEGMENT.findall(maps)}
    except OSError:
        return set()


def _is_resource_tracker(process: psutil.Process) -> bool:
    """multiprocessing/resource_tracker.py: it ignores SIGTERM, and ends when the last that writes to it has ended."""
    try:
        return any("multiprocessing.resource_tracker" in word for word in process.cmdline())
    except (psutil.Error, OSError):
        return False


def _kill(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()


def _is_zombie(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
