"""Nothing that model code tries gets it out of its session, and the pool goes on."""

import os
import platform
import signal
import socket
import subprocess

import pytest
from escape_attempts import EVERY, KERNEL, PRELUDE, WALLS
from pools import SMALL, wait
from refused_calls import REFUSED

from verl_hdpo.tools.sandbox import syscall_numbers

SECRET = "4711-host-secret"
AARCH64 = platform.machine() == "aarch64"
NR = {
    **(syscall_numbers.AARCH64 if AARCH64 else syscall_numbers.X86_64),
    **{name: numbers[AARCH64] for name, numbers in REFUSED.items()},
}


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """A directory, a process, a port and sockets of the host."""
    directory = tmp_path_factory.mktemp("host")
    victim = subprocess.Popen(["sleep", "600"], env={**os.environ, "SECRET": SECRET})
    tcp = socket.create_server(("127.0.0.1", 0))
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(directory / "socket"))
    unix.listen()
    datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    datagrams.bind(str(directory / "datagrams"))
    for server in (tcp, unix, datagrams):
        server.setblocking(False)
    yield directory, victim, tcp, unix, datagrams
    victim.kill()
    victim.wait()
    for server in (tcp, unix, datagrams):
        server.close()


@pytest.fixture
def constants(host):
    directory, victim, tcp, unix, datagrams = host
    canary = directory / "canary"
    canary.write_text(SECRET)
    canary.chmod(0o600)
    os.utime(canary, (1000, 1000))
    (directory / "tree" / "branch").mkdir(parents=True, exist_ok=True)
    return {
        "CANARY": str(canary), "HOST_DIR": str(directory), "SECRET": SECRET, "PORT": tcp.getsockname()[1],
        "SOCKET": unix.getsockname(), "VICTIM": victim.pid, "LIMITS": vars(SMALL), "DEADLY": int(signal.SIGKILL),
        "DATAGRAMS": datagrams.getsockname(), "NR": NR,
    }  # fmt: skip


@pytest.fixture(scope="module")
def neighbours():
    """Pool -> a session that is there during all attempts."""
    return {}


async def attempt(pool, code, constants):
    """What the snippet came to, in a session of its own."""
    prelude = PRELUDE + "\n".join(f"{name} = {value!r}" for name, value in constants.items())
    session = await pool.session()
    try:
        assert (await session.run(prelude, 30.0)).status == "ok"
        return await session.run(code, 30.0)
    finally:
        session.close()


def assert_unharmed(host):
    directory, victim, tcp, unix, datagrams = host
    assert victim.poll() is None
    assert sorted(os.listdir(directory)) == ["canary", "datagrams", "socket", "tree"]
    assert os.listdir(directory / "tree") == ["branch"]
    canary = directory / "canary"
    status = canary.stat()
    assert (status.st_mode & 0o777, status.st_mtime, canary.read_text()) == (0o600, 1000, SECRET)
    for server in (tcp, unix):
        with pytest.raises(BlockingIOError):
            server.accept()
    with pytest.raises(BlockingIOError):
        datagrams.recv(1)


MAY_BE_KILLED = {
    "processes-machine_code_of_32_bits", "network-x32_system_call", "limits-cpu_time", "limits-many_files",
    "limits-deleted_files", "limits-mapped_deleted_files", "limits-directories_in_a_chain",
    "limits-files_in_a_deep_tree", "limits-many_empty_files", "limits-hard_links", "limits-symbolic_links",
    "limits-nameless_files",
}  # fmt: skip
"""They cost the session its life: a system call of another kind, or a limit that is watched from outside."""


@pytest.mark.parametrize("name", EVERY)
def test_escape_fails(name, pool, host, constants, neighbours):
    zygote = wait(pool.zygote())
    if pool not in neighbours:
        neighbours[pool] = wait(pool.session())
        wait(neighbours[pool].run("open('of_another_session', 'w').close(); n = 0", 30.0))
    result = wait(attempt(pool, EVERY[name], constants))
    assert "ESCAPED" not in result.stdout, result
    # One that was killed may not have come to its last line, which prints ESCAPED.
    assert result.status != "killed" or name in MAY_BE_KILLED, result
    assert_unharmed(host)
    assert wait(neighbours[pool].run("import os; n += 1; os.listdir('.')", 30.0)).value == "['of_another_session']"
    assert wait(pool.zygote()) is zygote


ALLOWED_TO_FEW = {
    "files-write_to_the_interpreter",
    "files-kernel_log", "files-memory_device", "files-device_node", "files-file_handle", "files-mount", "files-chroot",
    "privileges-performance_counters", "privileges-page_faults", "privileges-bpf", "privileges-name_the_host",
    "privileges-become_root", "privileges-enter_a_namespace", "privileges-new_user_namespace", "network-raw_socket",
    "privileges-new_namespace_with_a_thread", "other_processes-trace_the_parent", "network-io_uring", "network-ipv6",
    "network-x32_system_call", "processes-machine_code_of_32_bits", "proc-environment_by_libc", "processes-exec",
    "proc-memory_of_the_parent", "other_processes-read_memory_of_another", "privileges-keyring",
    "objects-a_process_that_shares_memory", "objects-a_thread_with_descriptors_of_its_own", "objects-timers",
    "objects-posix_message_queue", "objects-protection_keys", "objects-secret_memory", "objects-realtime_priority",
    "objects-higher_priority", "objects-disk_priority", "objects-locked_memory", "objects-huge_pages",
    "neighbours-advise_another", "neighbours-groups_of_the_owner", "neighbours-handle_of_the_owner",
    "neighbours-take_a_descriptor", "neighbours-compare_with_another", "neighbours-pages_pushed_out_of_memory",
    "neighbours-pages_merged_with_those_of_others", "neighbours-pages_in_memory_by_reading", "locks-lease",
    "locks-directory_notice",
    "objects-queued_signals", "objects-what_all_descriptors_hold", "neighbours-names_of_its_neighbours",
}  # fmt: skip
"""These also need rights, devices or kernel features that a host may lack, end the interpreter if they succeed, or are
held by limits that hold without walls, too (the last line)."""


@pytest.mark.parametrize("name", sorted({*WALLS, *KERNEL} - ALLOWED_TO_FEW))
def test_the_same_attempt_succeeds_without_walls(name, pools, constants):
    """Else its failure would show nothing."""
    result = wait(attempt(pools["none"], EVERY[name], {**constants, "DEADLY": 0}))
    assert "ESCAPED" in result.stdout, result
