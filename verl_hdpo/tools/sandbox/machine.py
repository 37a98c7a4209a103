"""The processor this runs on: what its system calls are called in the kernel."""

from __future__ import annotations

import functools
import platform
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from verl_hdpo.tools.sandbox.syscall_numbers import AARCH64, X86_64


@dataclass(frozen=True)
class Machine:
    """A processor whose system calls this package knows.

    Attributes:
        audit_arch: ``AUDIT_ARCH_...`` of linux/audit.h, by which the kernel tells its calls from another's.
        numbers: of its system calls, by name.
        foreign_from: numbers from here on are calls in another convention; None if there is none.
    """

    audit_arch: int
    numbers: Mapping[str, int]
    foreign_from: int | None = None


MACHINES = {"x86_64": Machine(0xC000003E, X86_64, foreign_from=0x40000000), "aarch64": Machine(0xC00000B7, AARCH64)}


@functools.cache
def this_machine() -> Machine:
    """The one this process runs on.

    Raises:
        OSError: it is another; the message names it.
    """
    name, bits = platform.machine(), 8 * struct.calcsize("P")
    if name not in MACHINES or bits != 64:
        raise OSError(f"the sandbox runs on {' and '.join(MACHINES)} with 64 bits; found {name} with {bits}")
    return MACHINES[name]
