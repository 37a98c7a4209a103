"""The filter's program, run here instruction by instruction, answers as the table of system calls says."""

import errno
import platform
import random
import re
from pathlib import Path

import pytest
from refused_calls import REFUSED

from verl_hdpo.tools.sandbox import machine, seccomp, syscalls
from verl_hdpo.tools.sandbox.machine import MACHINES

PID = 4711
KILL, ALLOW, ERRNO = 0x80000000, 0x7FFF0000, 0x00050000
EPERM = ERRNO | errno.EPERM
ARCHITECTURES = {
    "x86_64": 0xC000003E,
    "i386": 0x40000003,
    "aarch64": 0xC00000B7,
    "arm": 0x40000028,
    "riscv": 0xC00000F3,
}
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}

machines = pytest.mark.parametrize("name", MACHINES)
with_threads = pytest.mark.parametrize("threads", [True, False])


def run(program, number, arguments, arch):
    """A classic BPF machine with the instructions that the filter uses."""
    data = {0: number, 4: arch}
    for index, argument in enumerate(arguments):
        data[16 + 8 * index] = argument & 0xFFFFFFFF
        data[20 + 8 * index] = argument >> 32
    accumulator, position = None, 0
    while True:
        code, if_true, if_false, operand = program[position]
        assert 0 <= if_true < 256 and 0 <= if_false < 256
        position += 1
        if code == 0x20:
            accumulator = data[operand]
        elif code == 0x54:
            accumulator &= operand
        elif code == 0x05:
            position += operand
        elif code == 0x15:
            position += if_true if accumulator == operand else if_false
        elif code == 0x35:
            position += if_true if accumulator >= operand else if_false
        elif code == 0x06:
            return operand
        else:
            raise AssertionError(f"instruction {code:#x}")


def expected(call, a, threads):
    """The rules once more, in Python."""
    a = [argument & 0xFFFFFFFF for argument in a]
    conditions = {
        "ioctl": a[1] in (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451),
        "fcntl": a[1] in (0, 1, 2, 3, 4, 1030, 1032),
        "prctl": a[0] in (15, 16),
        "madvise": a[2] in {*range(24)} - {5, 6, 7, 12, 13, 20, 21},
        "close_range": a[2] in (0, 4),
        "mmap": not a[3] & 0x40000,
        "openat": not (a[2] & 0o1000 and a[2] & 3 == 0),
        "socketpair": a[0] == 1 and a[1] & 15 == 1,
        "getsockopt": a[1] == 1 and a[2] in (3, 4, 7, 8, 30, 38, 39),
        "futex": bool(a[1] & 128) or a[1] & 127 in (0, 9),
        "prlimit64": a[0] == 0 and a[1] != 0,
        "kill": a[0] == PID and a[1] != 9,
        "tgkill": a[0] == PID and a[2] != 9,
        **dict.fromkeys(("getpgid", "sched_getaffinity", "sched_getparam", "sched_getscheduler"), a[0] in (0, PID)),
        "clone": threads and a[0] in (0x3D0F00, 0x7D0F00),
    }
    if call == "fcntl" and a[1] in (5, 6, 7, 36, 37, 38):
        return ERRNO
    if call in conditions:
        return ALLOW if conditions[call] else EPERM
    if call in syscalls.ALLOWED:
        return ALLOW
    if call in syscalls.PRETENDED:
        return ERRNO
    return next((ERRNO | error for error, names in syscalls.ABSENT.items() if call in names), EPERM)


@machines
@with_threads
def test_every_call_is_answered_by_its_rule(name, threads):
    known = {number: call for call, number in MACHINES[name].numbers.items()}
    program = seccomp.program(MACHINES[name], PID, threads)
    chosen = random.Random(1)
    words = [*range(40), 77, 128, 129, 137, 1030, 1031, 1032, PID, PID + 1, 2**31, 2**32 - 1, 2**32 + PID, 2**63]
    words += [0x3D0F00, 0x7D0F00, 0x3D0F00 | 0x10000000, 0x3D0B00, 0o1000, 0o1001, 0o1102, 0o2004001, 0o2000002]
    words += [0x5412, 0x5401, 0x40000, 0x40022]
    conditional = syscalls.conditional(PID, True)
    for number in range(600):
        call = known.get(number)
        for _ in range(400 if call in conditional else 3):
            arguments = [chosen.choice(words) for _ in range(6)]
            answer = run(program, number, arguments, ARCHITECTURES[name])
            assert answer == expected(call, arguments, threads), (number, call, arguments)


@machines
@with_threads
def test_no_dangerous_call_passes_whatever_its_arguments(name, threads):
    program = seccomp.program(MACHINES[name], PID, threads)
    chosen = random.Random(2)
    for call, numbers in REFUSED.items():
        number = dict(zip(("x86_64", "aarch64"), numbers, strict=True))[name]
        for _ in range(20 if number is not None else 0):
            arguments = [chosen.choice((0, 1, 2, PID, 2**31, 2**64 - 1)) for _ in range(6)]
            answer = run(program, number, arguments, ARCHITECTURES[name])
            assert ERRNO < answer < ERRNO + 200, call


@machines
def test_calls_in_the_convention_of_another_machine_kill(name):
    program = seccomp.program(MACHINES[name], PID, True)
    for other, arch in ARCHITECTURES.items():
        for number in (0, 39, 172) if other != name else ():
            assert run(program, number, [0] * 6, arch) == KILL, other
    if name == "x86_64":
        for number in (0, 39, 520):
            assert run(program, 0x40000000 | number, [0] * 6, ARCHITECTURES[name]) == KILL  # x32
            assert run(program, 0xFFFFFFFF, [0] * 6, ARCHITECTURES[name]) == KILL


def test_no_rule_is_given_twice_and_every_name_is_known():
    names = [*syscalls.ALLOWED, *syscalls.PRETENDED, *(name for names in syscalls.ABSENT.values() for name in names)]
    names += syscalls.conditional(PID, True)
    assert len(names) == len(set(names))
    assert set(names) <= set(MACHINES["x86_64"].numbers)
    let = {*syscalls.ALLOWED, *syscalls.PRETENDED, *syscalls.conditional(PID, True)}
    assert not let & set(REFUSED)
    assert set(syscalls.conditional(PID, True)) <= set(MACHINES["aarch64"].numbers)


@machines
def test_numbers_are_the_kernel_s(name):
    if not HEADERS[name].exists():
        pytest.skip(f"no {HEADERS[name]}")
    header = HEADERS[name].read_text()
    found = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)\b", header))
    found |= {
        "newfstatat": found.get("fstatat", found.get("newfstatat")),
        "fchmodat2": "452",
    }  # newer than some headers
    assert {call: int(found[call]) for call in MACHINES[name].numbers} == MACHINES[name].numbers
    numbers = {call: pair[name == "aarch64"] for call, pair in REFUSED.items()}
    assert {call: int(found[call]) for call, number in numbers.items() if number is not None} == {
        call: number for call, number in numbers.items() if number is not None
    }


@pytest.mark.parametrize("found", ["riscv64", "armv7l", "i686"])
def test_another_machine_is_refused_by_name(found, monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: found)
    machine.this_machine.cache_clear()
    try:
        with pytest.raises(OSError, match=f"x86_64 and aarch64 with 64 bits; found {found}"):
            seccomp.require()
    finally:
        machine.this_machine.cache_clear()
