"""The filter's program, run here instruction by instruction, answers as the table of system calls says."""

import errno
import random

import pytest

from verl_hdpo.tools.sandbox import seccomp, syscalls

PID = 4711
KILL, ALLOW, ERRNO = 0x80000000, 0x7FFF0000, 0x00050000
X86_64 = 0xC000003E


def run(program, number, arguments, arch=X86_64):
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


def expected(number, a, threads):
    """The rules once more, in Python."""
    a = [argument & 0xFFFFFFFF for argument in a]
    conditions = {
        16: a[1] in (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451),
        72: a[1] in (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1032),
        157: a[0] in (15, 16),
        257: not (a[2] & 0o1000 and a[2] & 3 == 0),
        53: a[0] == 1 and a[1] & 15 == 1,
        302: a[0] == 0 and a[1] != 0,
        62: a[0] == PID and a[1] != 9,
        234: a[0] == PID and a[2] != 9,
        56: threads and a[0] in (0x3D0F00, 0x7D0F00),
    }
    if number in conditions:
        return ALLOW if conditions[number] else ERRNO | errno.EPERM
    if number in syscalls.ALLOWED.values():
        return ALLOW
    if number in syscalls.PRETENDED.values():
        return ERRNO
    return ERRNO | dict(syscalls.ABSENT.values()).get(number, errno.EPERM)


@pytest.mark.parametrize("threads", [True, False])
def test_every_call_is_answered_by_its_rule(threads):
    program = seccomp.program(PID, threads)
    chosen = random.Random(1)
    words = [
        0,
        1,
        2,
        3,
        9,
        15,
        17,
        PID,
        PID + 1,
        0x3D0F00,
        0x7D0F00,
        0x3D0F00 | 0x10000000,
        0o1000,
        0o1001,
        0o1102,
        0o2004001,
        0o2000002,
        0x5412,
    ]
    words += [0x5401, 8, 10, 1031, 2**31, 2**32 - 1, 2**32 + PID, 2**63]
    for number in range(500):
        for _ in range(60 if number in syscalls.conditional(PID, True) else 3):
            arguments = [chosen.choice(words) for _ in range(6)]
            assert run(program, number, arguments) == expected(number, arguments, threads), (number, arguments)


def test_no_rule_is_given_twice_and_the_dangerous_have_none():
    tables = [
        syscalls.ALLOWED.values(),
        syscalls.PRETENDED.values(),
        [number for number, _ in syscalls.ABSENT.values()],
    ]
    numbers = [number for table in tables for number in table] + list(syscalls.conditional(PID, True))
    assert len(numbers) == len(set(numbers))
    dangerous = {
        "socket": 41, "connect": 42, "sendmsg": 46, "bind": 49, "fork": 57, "vfork": 58, "execve": 59, "ptrace": 101,
        "mount": 165, "unshare": 272, "setns": 308, "process_vm_readv": 310, "bpf": 321, "execveat": 322,
        "memfd_create": 319, "io_uring_setup": 425, "pidfd_send_signal": 424, "open": 2, "truncate": 76, "prctl": 157,
    }  # fmt: skip
    assert not set(dangerous.values()) & set(syscalls.ALLOWED.values())


def test_other_machines_calls_are_not_let_through():
    program = seccomp.program(PID, True)
    assert run(program, 0, [0] * 6, arch=0x40000003) == KILL  # i386, int 0x80
    assert run(program, 0x40000000, [0] * 6) == ERRNO | errno.EPERM  # x32
