"""Several ways of doing the same work, timed in turn: load and drift fall on all, and only ratios are of interest."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass
class Samples:
    """One number per round: seconds by the clock, seconds of this process' CPU time, MiB above what was resident."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak: list[float] = field(default_factory=list)


def in_turn(work: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 1) -> dict[str, Samples]:
    """Do each of ``work`` once per round, in an order that is reversed from round to round."""
    samples = {name: Samples() for name in work}
    for number in range(-warm_up, rounds):
        for name in list(work) if number % 2 == 0 else reversed(work):
            gc.collect()
            resident = reset_peak_mib()
            start, cpu_start = time.perf_counter(), time.process_time()
            work[name]()
            wall, cpu = time.perf_counter() - start, time.process_time() - cpu_start
            if number >= 0:
                samples[name].wall.append(wall)
                samples[name].cpu.append(cpu)
                samples[name].peak.append(peak_mib() - resident)
    return samples


def compared(grpo: Samples, hdpo: Samples) -> dict[str, object]:
    """:func:`in_ms` by the clock, the same of CPU time, which other processes disturb less, and peak memory."""
    return {
        **in_ms(grpo.wall, hdpo.wall),
        "cpu": in_ms(grpo.cpu, hdpo.cpu),
        "peak_memory_mib": {"grpo": median(grpo.peak, 1), "hdpo": median(hdpo.peak, 1)},
    }


def in_ms(grpo: Sequence[float], hdpo: Sequence[float]) -> dict[str, object]:
    """Medians of seconds in ms, beside :func:`ratio`."""
    return {
        "grpo_ms": median(np.asarray(grpo) * 1e3, 2),
        "hdpo_ms": median(np.asarray(hdpo) * 1e3, 2),
        "added_ms": median((np.asarray(hdpo) - np.asarray(grpo)) * 1e3, 2),
        **ratio(grpo, hdpo),
    }


def ratio(base: Sequence[float], other: Sequence[float]) -> dict[str, object]:
    """The median of the paired ratios other / base, its quartiles, and its 95 % interval (bootstrap)."""
    ratio_P = np.asarray(other) / np.asarray(base)
    drawn = np.random.default_rng(0).choice(ratio_P, size=(2000, len(ratio_P)))
    return {
        "pairs": len(ratio_P),
        "ratio": median(ratio_P, 4),
        "ratio_quartiles": rounded(np.quantile(ratio_P, [0.25, 0.75])),
        "ratio_95": rounded(np.quantile(np.median(drawn, axis=1), [0.025, 0.975])),
    }


def median(values: Sequence[float], digits: int) -> float:
    return round(float(np.median(values)), digits)


def rounded(values: np.ndarray) -> list[float]:
    return [round(float(value), 4) for value in values]


def reset_peak_mib() -> float:
    """Forget this process' peak of resident memory, and give what is resident; Linux alone (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak_mib()


def peak_mib() -> float:
    """Peak of resident memory since it was last reset."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise OSError("/proc/self/status has no VmHWM")
