"""Which system calls a session may make; whatever is not named here fails with EPERM.

There is no ``execve`` and no ``fork``: a session is one process, so limits per process are limits per session.
There is no ``socket``, no ``sendmsg`` (which passes descriptors), no memory that outlives its mapping, nothing that
names another process. Nothing reaches a table that the kernel keeps per file or per user for all processes: record
locks, watches, message queues.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass

ALLOWED = [
    # memory and time
    "brk", "munmap", "mremap", "mprotect", "msync", "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep",
    "gettimeofday", "time", "times", "getrusage", "sysinfo", "uname", "getrandom",
    # its threads and signals
    "rseq", "set_robust_list", "set_tid_address", "gettid", "sched_yield", "sched_get_priority_max",
    "sched_get_priority_min", "getcpu", "exit", "exit_group", "restart_syscall", "pause", "rt_sigaction",
    "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigtimedwait", "rt_sigsuspend", "sigaltstack", "alarm",
    "getitimer", "setitimer",
    # its identity
    "getpid", "getppid", "getpgrp", "getuid", "geteuid", "getgid", "getegid", "getgroups", "getresuid", "getresgid",
    "getrlimit", "umask",
    # open files
    "read", "write", "pread64", "pwrite64", "readv", "writev", "preadv", "pwritev", "lseek", "close", "dup", "dup2",
    "dup3", "fstat", "ftruncate", "fallocate", "fsync", "fdatasync", "sendfile", "copy_file_range", "getdents64",
    "fstatfs", "fchdir",
    # paths, which namespaces or Landlock narrow down
    "stat", "lstat", "newfstatat", "statx", "access", "faccessat", "faccessat2", "readlink", "readlinkat", "statfs",
    "getcwd", "chdir", "mkdir", "mkdirat", "rmdir", "rename", "renameat", "renameat2", "link", "linkat", "symlink",
    "symlinkat", "unlink", "unlinkat",
    # waiting
    "poll", "ppoll", "select", "pselect6", "eventfd", "eventfd2", "timerfd_create", "timerfd_settime",
    "timerfd_gettime", "pipe", "pipe2",
    # connected sockets
    "sendto", "recvfrom", "shutdown", "getsockname", "getpeername",
]  # fmt: skip

# They do nothing and report success.
PRETENDED = [
    # Landlock does not govern these, and a file's owner needs no right to its directory for them; shutil.copy and
    # zipfile use them on the session's own files.
    "chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat", "utime", "utimes",
    "utimensat", "futimesat",
    # On a file of the host they would reach other processes, and its own a session shares with none.
    "flock", "fadvise64",
]  # fmt: skip

# Errors that callers take for "this kernel has none" and go another way.
ABSENT = {
    errno.ENOSYS: [
        "clone3", "futex_waitv", "openat2", "membarrier",
        # The kernel counts watches per user, and one descriptor can hold thousands.
        "epoll_create", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2",
        # They tell which pages of the host's files others have read.
        "mincore", "preadv2", "pwritev2",
    ],
    errno.ENOTSUP: ["setxattr", "lsetxattr", "fsetxattr", "listxattr", "llistxattr", "flistxattr"],
}  # fmt: skip

_AF_UNIX = 1
_SOCK_STREAM, _SOCKET_TYPE = 1, 0xF  # the rest of the word: SOCK_NONBLOCK, SOCK_CLOEXEC
_SOL_SOCKET = 1
_SOCKET_OPTIONS = (3, 4, 7, 8, 30, 38, 39)  # SO_TYPE ERROR SNDBUF RCVBUF ACCEPTCONN PROTOCOL DOMAIN; not SO_PEERPIDFD
_O_TRUNC_AND_ACCESS, _O_TRUNC_ONLY = 0o1003, 0o1000
_SIGKILL = 9
_RLIMIT_CPU = 0
_PTHREAD_CREATE, _CLONE_DETACHED = 0x3D0F00, 0x400000
_MAP_HUGETLB = 0x40000
_IOCTLS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # TCGETS TIOCGWINSZ FIONREAD FIONBIO FIONCLEX FIOCLEX
_FCNTLS = (0, 1, 2, 3, 4, 1030, 1032)  # not F_SETOWN, F_SETSIG: they send signals to anyone; not F_SETPIPE_SZ
_LOCKS = (5, 6, 7, 36, 37, 38)  # F_GETLK F_SETLK F_SETLKW and F_OFD_...
_PRCTLS = (15, 16)  # PR_SET_NAME, PR_GET_NAME
_MADVICE = (0, 1, 2, 3, 4, 8, 9, 10, 11, 14, 15, 16, 17, 18, 19, 22, 23)  # not MERGEABLE, COLD, PAGEOUT
_CLOSE_RANGE_FLAGS = (0, 4)  # CLOSE_RANGE_CLOEXEC; not UNSHARE, which makes a second table of descriptors
_FUTEX_COMMAND, _FUTEX_PRIVATE, _FUTEX_WAIT, _FUTEX_WAIT_BITSET = 0x7F, 0x80, 0, 9


@dataclass(frozen=True)
class Test:
    """Holds when ``(argument & mask) == value``, or, with ``differs``, when it does not; the low 32 bits count."""

    argument: int
    value: int
    mask: int = 0xFFFFFFFF
    differs: bool = False


@dataclass(frozen=True)
class Rule:
    """If all ``tests`` hold, the call is made or, with ``pretended``, reported as done."""

    tests: tuple[Test, ...]
    pretended: bool = False


def conditional(pid: int, threads: bool) -> dict[str, list[Rule]]:
    """Rules of the system calls that depend on arguments; the first that holds counts, and EPERM if none does.

    Args:
        pid: the session's process id as it sees it; it may signal itself, but not with SIGKILL, so that a SIGKILL
            is always someone else's doing.
        threads: whether it may start threads.
    """

    def one_of(argument: int, values: tuple[int, ...], pretended: bool = False) -> list[Rule]:
        return [Rule((Test(argument, value),), pretended) for value in values]

    def all_of(*tests: Test) -> list[Rule]:
        return [Rule(tests)]

    rules = {
        "ioctl": one_of(1, _IOCTLS),
        # Locks would stand in the kernel's table of the host's file; lockf and SQLite go on when told that all is well.
        "fcntl": one_of(1, _FCNTLS) + one_of(1, _LOCKS, pretended=True),
        "prctl": one_of(0, _PRCTLS),
        "madvise": one_of(2, _MADVICE),
        "close_range": one_of(2, _CLOSE_RANGE_FLAGS),
        "mmap": all_of(Test(3, 0, mask=_MAP_HUGETLB)),  # the machine's huge pages are counted nowhere else
        # O_TRUNC on a file opened for reading truncates it, and Landlock before Linux 6.2 calls that reading.
        "openat": all_of(Test(2, _O_TRUNC_ONLY, mask=_O_TRUNC_AND_ACCESS, differs=True)),
        # sendto on a datagram socket of a pair can go to any other of the host that has a path.
        "socketpair": all_of(Test(0, _AF_UNIX), Test(1, _SOCK_STREAM, mask=_SOCKET_TYPE)),
        "getsockopt": [Rule((Test(1, _SOL_SOCKET), Test(2, option))) for option in _SOCKET_OPTIONS],
        # On a page of a file that all can read, waking is a channel between sessions; pthread_join waits without
        # FUTEX_PRIVATE for what the kernel itself wakes.
        "futex": [
            Rule((Test(1, _FUTEX_PRIVATE, mask=_FUTEX_PRIVATE),)),
            Rule((Test(1, _FUTEX_WAIT, mask=_FUTEX_COMMAND),)),
            Rule((Test(1, _FUTEX_WAIT_BITSET, mask=_FUTEX_COMMAND),)),
        ],
        # Past a hard limit of CPU time that it had set itself, the kernel would send it SIGKILL.
        "prlimit64": all_of(Test(0, 0), Test(1, _RLIMIT_CPU, differs=True)),
        "kill": all_of(Test(0, pid), Test(1, _SIGKILL, differs=True)),
        "tgkill": all_of(Test(0, pid), Test(2, _SIGKILL, differs=True)),
        **dict.fromkeys(("getpgid", "sched_getaffinity", "sched_getparam", "sched_getscheduler"), one_of(0, (0, pid))),
    }
    if threads:
        rules["clone"] = all_of(Test(0, _PTHREAD_CREATE, mask=0xFFFFFFFF & ~_CLONE_DETACHED))
    return rules
