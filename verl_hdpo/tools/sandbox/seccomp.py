"""The system-call filter: a classic BPF program that the kernel runs before each call (seccomp(2)).

Written out here rather than by libseccomp's bindings on PyPI (pyseccomp): those need the C library, which pip does not
bring, so the tool would not start wherever it can be installed. A session's filter holds its own process id, so each is
built afresh: in 0.3 ms here, in 0.9 ms by libseccomp. What the library would save are the tables of numbers.
"""

from __future__ import annotations

import ctypes
import errno
import struct

from verl_hdpo.tools.sandbox import kernel
from verl_hdpo.tools.sandbox.machine import Machine, this_machine
from verl_hdpo.tools.sandbox.syscalls import ABSENT, ALLOWED, PRETENDED, Rule, conditional

_SET_MODE_FILTER, _FLAG_TSYNC = 1, 1
_KILL_PROCESS, _ALLOW, _ERRNO = 0x80000000, 0x7FFF0000, 0x00050000

_LOAD, _AND, _JUMP, _JUMP_EQUAL, _JUMP_AT_LEAST, _RETURN = 0x20, 0x54, 0x05, 0x15, 0x35, 0x06
_NUMBER, _ARCH, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data

Instruction = tuple[int, int, int, int]
"""code, jump if true, jump if false (how many instructions to skip, at most 255), operand"""


def require() -> None:
    """Find out whether this kernel takes filters, and they can be written for this machine.

    Raises:
        OSError: no.
    """
    this_machine()
    if kernel.prctl(kernel.PR_GET_SECCOMP) not in (0, 2):
        raise OSError("this kernel has no seccomp filters")


def program(machine: Machine, pid: int, threads: bool) -> list[Instruction]:
    """The filter for the process ``pid``; see ``syscalls`` for what it lets through."""
    code: list[Instruction] = [
        (_LOAD, 0, 0, _ARCH),
        (_JUMP_EQUAL, 1, 0, machine.audit_arch),
        (_RETURN, 0, 0, _KILL_PROCESS),
        (_LOAD, 0, 0, _NUMBER),
    ]
    if machine.foreign_from is not None:
        code += [(_JUMP_AT_LEAST, 0, 1, machine.foreign_from), (_RETURN, 0, 0, _KILL_PROCESS)]
    answers = {_ALLOW: ALLOWED, _ERRNO: PRETENDED, **{_ERRNO | error: names for error, names in ABSENT.items()}}
    for answer, names in answers.items():
        numbers = [machine.numbers[name] for name in names if name in machine.numbers]
        code += [
            (_JUMP_EQUAL, left, 0, number) for left, number in zip(range(len(numbers), 0, -1), numbers, strict=True)
        ]
        code += [(_JUMP, 0, 0, 1), (_RETURN, 0, 0, answer)]
    for name, rules in conditional(pid, threads).items():
        body = [line for rule in rules for line in _rule(rule)]
        body.append((_RETURN, 0, 0, _ERRNO | errno.EPERM))
        code += [(_JUMP_EQUAL, 0, len(body), machine.numbers[name]), *body]
    code.append((_RETURN, 0, 0, _ERRNO | errno.EPERM))
    return code


def _rule(rule: Rule) -> list[Instruction]:
    """Answer if all tests hold, else go on behind."""
    code: list[Instruction] = [(_RETURN, 0, 0, _ERRNO if rule.pretended else _ALLOW)]
    for test in reversed(rule.tests):
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
    code = program(this_machine(), pid, threads)
    packed = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in code))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

    filter_program = Program(len(code), ctypes.cast(packed, ctypes.c_void_p))
    kernel.syscall("seccomp", _SET_MODE_FILTER, _FLAG_TSYNC, ctypes.byref(filter_program))
