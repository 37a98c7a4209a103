"""The system-call filter: a classic BPF program that the kernel runs before each call (seccomp(2))."""

from __future__ import annotations

import ctypes
import errno
import platform
import struct

from verl_hdpo.tools.sandbox import kernel
from verl_hdpo.tools.sandbox.syscalls import ABSENT, ALLOWED, PRETENDED, Test, conditional

MACHINE = "x86_64"

_SYS_SECCOMP = 317
_SET_MODE_FILTER, _FLAG_TSYNC = 1, 1
_KILL_PROCESS, _ALLOW, _ERRNO = 0x80000000, 0x7FFF0000, 0x00050000
_AUDIT_ARCH_X86_64, _X32_BIT = 0xC000003E, 0x40000000

_LOAD, _AND, _JUMP, _JUMP_EQUAL, _JUMP_AT_LEAST, _RETURN = 0x20, 0x54, 0x05, 0x15, 0x35, 0x06
_NUMBER, _ARCH, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data

Instruction = tuple[int, int, int, int]
"""code, jump if true, jump if false (how many instructions to skip, at most 255), operand"""


def available() -> bool:
    """Whether this kernel takes filters, and they are written for this machine."""
    if platform.machine() != MACHINE:
        return False
    try:
        return kernel.prctl(kernel.PR_GET_SECCOMP) in (0, 2)
    except OSError:
        return False


def program(pid: int, threads: bool) -> list[Instruction]:
    """The filter for the process ``pid``; see ``syscalls`` for what it lets through."""
    code: list[Instruction] = [
        (_LOAD, 0, 0, _ARCH),
        (_JUMP_EQUAL, 1, 0, _AUDIT_ARCH_X86_64),
        (_RETURN, 0, 0, _KILL_PROCESS),
        (_LOAD, 0, 0, _NUMBER),
        (_JUMP_AT_LEAST, 0, 1, _X32_BIT),
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
    ]
    answers = {_ALLOW: list(ALLOWED.values()), _ERRNO: list(PRETENDED.values())}
    for number, error in ABSENT.values():
        answers.setdefault(_ERRNO | error, []).append(number)
    for answer, numbers in answers.items():
        code += [
            (_JUMP_EQUAL, left, 0, number) for left, number in zip(range(len(numbers), 0, -1), numbers, strict=True)
        ]
        code += [(_JUMP, 0, 0, 1), (_RETURN, 0, 0, answer)]
    for number, alternatives in conditional(pid, threads).items():
        body = [line for tests in alternatives for line in _alternative(tests)]
        body.append((_RETURN, 0, 0, _ERRNO | errno.EPERM))
        code += [(_JUMP_EQUAL, 0, len(body), number), *body]
    code.append((_RETURN, 0, 0, _ERRNO | errno.EPERM))
    return code


def _alternative(tests: list[Test]) -> list[Instruction]:
    """Allow if all tests hold, else go on behind."""
    code: list[Instruction] = [(_RETURN, 0, 0, _ALLOW)]
    for test in reversed(tests):
        skip = len(code)
        jumps = (skip, 0) if test.differs else (0, skip)
        load = (_LOAD, 0, 0, _FIRST_ARGUMENT + 8 * test.argument)
        code = [load, (_AND, 0, 0, test.mask), (_JUMP_EQUAL, *jumps, test.value), *code]
    return code


def restrict(pid: int, threads: bool) -> None:
    """Filter this process, for good.

    Raises:
        OSError: the kernel refused; ``no_new_privs`` must be set.
    """
    code = program(pid, threads)
    packed = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in code))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

    filter_program = Program(len(code), ctypes.cast(packed, ctypes.c_void_p))
    kernel.syscall("seccomp", _SYS_SECCOMP, _SET_MODE_FILTER, _FLAG_TSYNC, ctypes.byref(filter_program))
