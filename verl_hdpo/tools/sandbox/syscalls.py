"""Which system calls a session may make, on x86-64; whatever is not named here fails with EPERM.

There is no ``execve`` and no ``fork``: a session is one process, so limits per process are limits per session.
There is no ``socket``, no ``sendmsg`` (which passes descriptors), no memory that outlives its mapping, nothing that
names another process.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass

ALLOWED = {
    # memory and time
    "brk": 12, "mmap": 9, "munmap": 11, "mremap": 25, "mprotect": 10, "msync": 26, "mincore": 27, "madvise": 28,
    "clock_gettime": 228, "clock_getres": 229, "clock_nanosleep": 230, "nanosleep": 35, "gettimeofday": 96,
    "time": 201, "times": 100, "getrusage": 98, "sysinfo": 99, "uname": 63, "getrandom": 318,
    # its threads and signals
    "futex": 202, "rseq": 334, "set_robust_list": 273, "set_tid_address": 218, "gettid": 186, "sched_yield": 24,
    "sched_getaffinity": 204, "sched_getparam": 143, "sched_getscheduler": 145, "sched_get_priority_max": 146,
    "sched_get_priority_min": 147, "getcpu": 309, "exit": 60, "exit_group": 231, "restart_syscall": 219,
    "pause": 34, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "rt_sigpending": 127,
    "rt_sigtimedwait": 128, "rt_sigsuspend": 130, "sigaltstack": 131, "alarm": 37, "getitimer": 36,
    "setitimer": 38,
    # its identity
    "getpid": 39, "getppid": 110, "getpgrp": 111, "getuid": 102, "geteuid": 107, "getgid": 104, "getegid": 108,
    "getgroups": 115, "getresuid": 118, "getresgid": 120, "getrlimit": 97, "umask": 95,
    # open files
    "read": 0, "write": 1, "pread64": 17, "pwrite64": 18, "readv": 19, "writev": 20, "preadv": 295, "pwritev": 296,
    "preadv2": 327, "pwritev2": 328, "lseek": 8, "close": 3, "close_range": 436, "dup": 32, "dup2": 33, "dup3": 292,
    "fstat": 5, "ftruncate": 77, "fallocate": 285, "fadvise64": 221, "fsync": 74, "fdatasync": 75, "sendfile": 40,
    "copy_file_range": 326, "getdents64": 217, "fstatfs": 138, "fchdir": 81,
    # paths, which namespaces or Landlock narrow down
    "stat": 4, "lstat": 6, "newfstatat": 262, "statx": 332, "access": 21, "faccessat": 269, "faccessat2": 439,
    "readlink": 89, "readlinkat": 267, "statfs": 137, "getcwd": 79, "chdir": 80, "mkdir": 83, "mkdirat": 258,
    "rmdir": 84, "rename": 82, "renameat": 264, "renameat2": 316, "link": 86, "linkat": 265, "symlink": 88,
    "symlinkat": 266, "unlink": 87, "unlinkat": 263,
    # waiting
    "poll": 7, "ppoll": 271, "select": 23, "pselect6": 270, "epoll_create": 213, "epoll_create1": 291,
    "epoll_ctl": 233, "epoll_wait": 232, "epoll_pwait": 281, "eventfd": 284, "eventfd2": 290, "timerfd_create": 283,
    "timerfd_settime": 286, "timerfd_gettime": 287, "pipe": 22, "pipe2": 293,
    # connected sockets
    "sendto": 44, "recvfrom": 45, "shutdown": 48, "getsockname": 51, "getpeername": 52, "getsockopt": 55,
}  # fmt: skip

# Landlock does not govern these, and a file's owner needs no right to its directory for them. They do nothing and
# report success, because shutil.copy and zipfile use them on the session's own files.
PRETENDED = {
    "chmod": 90, "fchmod": 91, "fchmodat": 268, "fchmodat2": 452, "chown": 92, "fchown": 93, "lchown": 94,
    "fchownat": 260, "utime": 132, "utimes": 235, "utimensat": 280, "futimesat": 261,
}  # fmt: skip

# Errors that callers take for "this kernel has none" and go another way.
ABSENT = {
    "clone3": (435, errno.ENOSYS), "futex_waitv": (449, errno.ENOSYS), "epoll_pwait2": (441, errno.ENOSYS),
    "openat2": (437, errno.ENOSYS), "membarrier": (324, errno.ENOSYS),
    "setxattr": (188, errno.ENOTSUP), "lsetxattr": (189, errno.ENOTSUP), "fsetxattr": (190, errno.ENOTSUP),
    "listxattr": (194, errno.ENOTSUP), "llistxattr": (195, errno.ENOTSUP), "flistxattr": (196, errno.ENOTSUP),
}  # fmt: skip

CLONE, IOCTL, FCNTL, OPENAT, SOCKETPAIR, PRCTL, PRLIMIT64, KILL, TGKILL = 56, 16, 72, 257, 53, 157, 302, 62, 234

_AF_UNIX = 1
_SOCK_STREAM, _SOCKET_TYPE = 1, 0xF  # the rest of the word: SOCK_NONBLOCK, SOCK_CLOEXEC
_O_TRUNC_AND_ACCESS, _O_TRUNC_ONLY = 0o1003, 0o1000
_SIGKILL = 9
_RLIMIT_CPU = 0
_PTHREAD_CREATE, _CLONE_DETACHED = 0x3D0F00, 0x400000
_IOCTLS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # TCGETS TIOCGWINSZ FIONREAD FIONBIO FIONCLEX FIOCLEX
_FCNTLS = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1032)  # not F_SETOWN, F_SETSIG: they send signals to anyone
_PRCTLS = (15, 16)  # PR_SET_NAME, PR_GET_NAME


@dataclass(frozen=True)
class Test:
    """Holds when ``(argument & mask) == value``, or, with ``differs``, when it does not; the low 32 bits count."""

    argument: int
    value: int
    mask: int = 0xFFFFFFFF
    differs: bool = False


def conditional(pid: int, threads: bool) -> dict[int, list[list[Test]]]:
    """System calls allowed for some arguments: number -> alternatives, each a list of tests that all must hold.

    Args:
        pid: the session's process id as it sees it; it may signal itself, but not with SIGKILL, so that a SIGKILL
            is always someone else's doing.
        threads: whether it may start threads.
    """
    rules = {
        IOCTL: [[Test(1, request)] for request in _IOCTLS],
        FCNTL: [[Test(1, command)] for command in _FCNTLS],
        PRCTL: [[Test(0, option)] for option in _PRCTLS],
        # O_TRUNC on a file opened for reading truncates it, and Landlock before Linux 6.2 calls that reading.
        OPENAT: [[Test(2, _O_TRUNC_ONLY, mask=_O_TRUNC_AND_ACCESS, differs=True)]],
        # sendto on a datagram socket of a pair can go to any other of the host that has a path.
        SOCKETPAIR: [[Test(0, _AF_UNIX), Test(1, _SOCK_STREAM, mask=_SOCKET_TYPE)]],
        # Past a hard limit of CPU time that it had set itself, the kernel would send it SIGKILL.
        PRLIMIT64: [[Test(0, 0), Test(1, _RLIMIT_CPU, differs=True)]],
        KILL: [[Test(0, pid), Test(1, _SIGKILL, differs=True)]],
        TGKILL: [[Test(0, pid), Test(2, _SIGKILL, differs=True)]],
    }
    if threads:
        rules[CLONE] = [[Test(0, _PTHREAD_CREATE, mask=0xFFFFFFFF & ~_CLONE_DETACHED)]]
    return rules
