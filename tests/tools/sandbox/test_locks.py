"""A session's locks leave nothing in the kernel's table, which is one for all processes of the host."""

import fcntl
import os

import pytest
from pools import wait

LOCKS = {
    "F_SETLK": "fcntl.fcntl(file, fcntl.F_SETLK, lock)",
    "F_SETLKW": "fcntl.fcntl(file, fcntl.F_SETLKW, lock)",
    "F_OFD_SETLK": "fcntl.fcntl(file, 37, lock)",
    "F_OFD_SETLKW": "fcntl.fcntl(file, 38, lock)",
    "lockf": "fcntl.lockf(file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)",
    "flock": "fcntl.flock(file, fcntl.LOCK_EX)",
    "thousands": "for i in range(3000): fcntl.fcntl(file, fcntl.F_SETLK, struct.pack('hhqqi4x', kind, 0, 2 * i, 1, 0))",
}


@pytest.mark.parametrize("path", [os.__file__, os.devnull])
@pytest.mark.parametrize("name", LOCKS)
def test_no_lock_reaches_a_file_of_the_host(name, path, pool):
    shared = path != os.devnull
    code = f"""
import fcntl, struct
shared = {shared}
file = open({path!r}, "rb" if shared else "r+b", buffering=0)
kind = fcntl.F_RDLCK if shared else fcntl.F_WRLCK
lock = struct.pack("hhqqi4x", kind, 0, 0, 0, 0)
{LOCKS[name]}
"""
    session = wait(pool.session())
    result = wait(session.run(code, 30))
    assert result.status == "ok", result
    status = os.stat(path)
    here = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    with open("/proc/locks") as table:
        assert not [line for line in table if here in line]
    with open(path, "r+b" if os.access(path, os.W_OK) else "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if file.writable():
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    session.close()
