"""Hostile snippets: each prints ESCAPED if it gets what it is after, and is bounded so that this would harm nothing.

They find a prelude in place: ``os``, ``ctypes``, ``libc``, ``syscall(number, *args)`` (raises OSError), and

    CANARY    path of a file of the host, which holds SECRET        HOST_DIR  its directory, with a tree
    PORT      a listening TCP port on 127.0.0.1                     SOCKET    a listening unix socket
    VICTIM    process id of another process of the host             DEADLY    the signal to kill with: 9, or 0 to try
    LIMITS    the session's limits                                  DATAGRAMS  a unix socket that takes datagrams
    NR        numbers of this machine's system calls, by name
"""

from __future__ import annotations

from textwrap import dedent

from kernel_attempts import LOCKS, NEIGHBOURS, OBJECTS
from limit_attempts import LIMITS

PRELUDE = """
import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def syscall(number, *args):
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    result = libc.syscall(ctypes.c_long(number), *words)
    if result == -1:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result
def escaped(what=""):
    print("ESCAPED", what)
def read(path):
    with open(path) as file:
        return file.read()
def address_of(mapping):
    import numpy
    return ctypes.c_long(numpy.frombuffer(mapping, 'u1').ctypes.data)
"""

FILES = {
    "open": "SECRET in read(CANARY) and escaped()",
    "the_password_file": "'root:' in read('/etc/passwd') and escaped()",
    "list_a_directory": "os.listdir(HOST_DIR) and escaped()",
    "walk_from_the_root": """
        for place, inner, names in os.walk('/'):
            inner[:] = [name for name in inner if CANARY.startswith(os.path.join(place, name) + '/')]
            if os.path.join(place, os.path.basename(CANARY)) == CANARY:
                SECRET in read(CANARY) and escaped()
    """,
    "dot_dot": "SECRET in read('../' * 20 + CANARY) and escaped()",
    "symbolic_link": """
        os.symlink(CANARY, 'link')
        SECRET in read('link') and escaped()
    """,
    "link_to_a_directory": """
        os.symlink('/', 'root')
        SECRET in read('root' + CANARY) and escaped()
    """,
    "hard_link": """
        os.link(CANARY, 'link')
        SECRET in read('link') and escaped()
    """,
    "directory_handle": """
        root = os.open('/', os.O_PATH)
        file = os.open(CANARY.lstrip('/'), os.O_RDONLY, dir_fd=root)
        SECRET in os.read(file, 1000).decode() and escaped()
    """,
    "bare_system_call": """
        file = syscall(NR['openat'], -100, CANARY.encode(), 0)
        SECRET in os.read(file, 1000).decode() and escaped()
    """,
    "numpy_reads_it": "import numpy as np; SECRET.encode() in np.memmap(CANARY, mode='r').tobytes() and escaped()",
    "change_directory": """
        os.chdir(HOST_DIR)
        SECRET in read(os.path.basename(CANARY)) and escaped()
    """,
    "chroot": """
        os.mkdir('jail')
        os.chroot('jail')
        escaped()
    """,
    "write_outside": """
        with open(HOST_DIR + '/planted', 'w') as file:
            file.write('x')
        escaped()
    """,
    "write_to_the_interpreter": "open(os.__file__, 'r+').close(); escaped()",
    "make_it_readable_by_all": """
        os.chmod(CANARY, 0o777)
        os.stat(CANARY).st_mode & 0o777 == 0o777 and escaped()
    """,
    "give_it_another_date": """
        os.utime(CANARY, (1, 1))
        os.stat(CANARY).st_mtime == 1 and escaped()
    """,
    "truncate": "os.truncate(CANARY, 3); escaped()",
    "truncate_while_reading": "os.close(os.open(CANARY, os.O_RDONLY | os.O_TRUNC)); escaped()",
    "rename": "os.rename(CANARY, CANARY + '.moved'); escaped()",
    "exchange": """
        open('own', 'w').close()
        syscall(NR['renameat2'], -100, b'own', -100, CANARY.encode(), 2)  # RENAME_EXCHANGE
        escaped()
    """,
    "nameless_file": "os.open(HOST_DIR, os.O_TMPFILE | os.O_RDWR); escaped()",
    "delete": "os.remove(CANARY); escaped()",
    "delete_its_directory": """
        import shutil
        shutil.rmtree(HOST_DIR + '/tree')
        escaped()
    """,
    "device_node": "os.mknod('node', 0o020666, os.makedev(1, 11)); escaped()",
    "kernel_log": "os.read(os.open('/dev/kmsg', os.O_RDONLY | os.O_NONBLOCK), 9000) and escaped()",
    "memory_device": "os.open('/dev/mem', os.O_RDONLY); escaped()",
    "file_handle": """
        handle = ctypes.create_string_buffer(136)
        ctypes.cast(handle, ctypes.POINTER(ctypes.c_uint))[0] = 128
        mount = ctypes.c_int()
        syscall(NR['name_to_handle_at'], -100, CANARY.encode(), handle, ctypes.byref(mount), 0)
        escaped()
    """,
    "mount": """
        syscall(NR['unshare'], 0x10000000 | 0x20000)
        syscall(NR['mount'], b'none', os.getcwd().encode(), b'tmpfs', 0, None)
        escaped()
    """,
}

PROC = {
    "its_own_environment": "read('/proc/self/environ') and escaped()",
    "the_environment_of_another": "SECRET in read(f'/proc/{VICTIM}/environ') and escaped()",
    "the_environment_of_the_parent": "read(f'/proc/{os.getppid()}/environ') and escaped()",
    "the_root_of_another": "SECRET in read(f'/proc/{VICTIM}/root{CANARY}') and escaped()",
    "its_own_root": "SECRET in read(f'/proc/self/root{CANARY}') and escaped()",
    "memory_of_the_parent": "open(f'/proc/{os.getppid()}/mem', 'rb').close(); escaped()",
    "list_of_processes": "[name for name in os.listdir('/proc') if name.isdigit()] and escaped()",
    "write_a_setting": "open('/proc/self/oom_score_adj', 'w').write('1000'); escaped()",
    "environment_by_libc": """
        environ = ctypes.POINTER(ctypes.c_char_p).in_dll(libc, 'environ')
        number = 0
        while environ[number]:
            SECRET in environ[number].decode() and escaped()
            number += 1
        any(SECRET in value for value in os.environ.values()) and escaped()
    """,
}

NETWORK = {
    "tcp": "import socket; socket.create_connection(('127.0.0.1', PORT), 1); escaped()",
    "udp": "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', PORT)); escaped()",
    "ipv6": "import socket; socket.socket(socket.AF_INET6); escaped()",
    "unix_socket": "import socket; socket.socket(socket.AF_UNIX).connect(SOCKET); escaped()",
    "datagram_from_a_pair": """
        import socket
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        ours.sendto(b'x', DATAGRAMS)
        escaped()
    """,
    "netlink": "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0); escaped()",
    "raw_socket": "import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1); escaped()",
    "http": """
        import urllib.request
        try:
            urllib.request.urlopen(f'http://127.0.0.1:{PORT}/', timeout=0.2)
        except TimeoutError:
            escaped('connected')
    """,
    "server": "import socket; socket.create_server(('127.0.0.1', 0)); escaped()",
    "bare_system_call": "syscall(NR['socket'], 2, 1, 0); escaped()",
    "vsock": "import socket; socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM); escaped()",
    "pair_of_packets": "syscall(NR['socketpair'], 1, 5, 0, ctypes.create_string_buffer(8)); escaped()",
    "pair_by_high_bits": """
        syscall(NR['socketpair'], 1 | 1 << 32, 2 | 1 << 32, 0, ctypes.create_string_buffer(8))
        escaped()
    """,
    "x32_system_call": "syscall(0x40000000 | NR['socket'], 2, 1, 0); escaped()",
    "bash": "os.system(f'bash -c \"echo > /dev/tcp/127.0.0.1/{PORT}\"') == 0 and escaped()",
    "io_uring": "syscall(NR['io_uring_setup'], 8, ctypes.create_string_buffer(120)); escaped()",
    "passed_descriptor": """
        import socket
        ours, theirs = socket.socketpair()
        socket.send_fds(ours, [b'x'], [0])
        escaped()
    """,
}

PROCESSES = {
    "fork": "pid = os.fork(); pid == 0 and os._exit(0); escaped()",
    "fork_bomb": """
        for _ in range(20):
            if os.fork() == 0:
                time.sleep(0.2)
                os._exit(0)
        escaped()
    """,
    "vfork_by_libc": "pid = libc.fork(); pid == 0 and os._exit(0); pid > 0 and escaped()",
    "system": "os.system('true') == 0 and escaped()",
    "system_by_another_name": "getattr(__import__('o' + 's'), 'sys' + 'tem')('true') == 0 and escaped()",
    "subprocess": "import subprocess; subprocess.run([sys.executable, '-c', '0'], check=True); escaped()",
    "spawn": "os.posix_spawn('/bin/true', ['true'], {}); escaped()",
    "multiprocessing": """
        import multiprocessing
        process = multiprocessing.get_context('fork').Process(target=int)
        process.start()
        escaped()
    """,
    "clone_by_high_bits": "syscall(NR['clone'], 1 << 40 | 17, 0, 0, 0, 0) or os._exit(0); escaped()",
    "exec": "os.execv('/bin/true', ['true'])",  # which would end the interpreter
    "exec_of_its_own": """
        with open('program', 'wb') as file:
            file.write(b'#!/bin/true')
        os.chmod('program', 0o755)
        os.posix_spawn('./program', ['program'], {})
        escaped()
    """,
    "machine_code": """
        import mmap
        page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        code = {
            'x86_64': 'b8390000000f05c3',  # mov eax, SYS_fork; syscall; ret
            'aarch64': '881b80d2010000d4c0035fd6',  # mov x8, SYS_clone; svc 0; ret
        }
        page.write(bytes.fromhex(code[os.uname().machine]))
        address = ctypes.addressof(ctypes.c_char.from_buffer(page))
        pid = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_long] * 5)(address)(17, 0, 0, 0, 0)
        pid == 0 and os._exit(0)
        pid > 0 and escaped()
    """,
    "machine_code_of_32_bits": """
        import mmap
        page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        os.uname().machine == 'x86_64' or sys.exit()
        page.write(bytes.fromhex('b814000000cd80c3'))  # mov eax, i386 getpid; int 0x80; ret
        address = ctypes.addressof(ctypes.c_char.from_buffer(page))
        ctypes.CFUNCTYPE(ctypes.c_int)(address)() > 0 and escaped()
    """,
}

OTHER_PROCESSES = {
    "kill_the_parent": "os.kill(os.getppid(), DEADLY); escaped()",
    "kill_another": "os.kill(VICTIM, DEADLY); escaped()",
    "signal_everyone": "os.kill(-1, 0); escaped()",
    "signal_its_group": "os.killpg(0, 0); escaped()",
    "queue_a_signal": """
        siginfo = (ctypes.c_int * 32)(0, 0, -1)
        syscall(NR['rt_sigqueueinfo'], os.getppid(), 0, siginfo)
        escaped()
    """,
    "signal_by_descriptor": """
        import fcntl
        reader, writer = os.pipe()
        fcntl.fcntl(reader, 8, VICTIM)  # F_SETOWN
        escaped()
    """,
    "signal_by_pidfd": "import signal; signal.pidfd_send_signal(os.pidfd_open(VICTIM), 0); escaped()",
    "trace_the_parent": "syscall(NR['ptrace'], 0x4206, os.getppid(), 0, 0); escaped()",
    "read_memory_of_another": """
        buffer = ctypes.create_string_buffer(8)
        there = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 8)
        syscall(NR['process_vm_readv'], os.getppid(), there, 1, there, 1, 0)
        escaped()
    """,
    "limits_of_another": "import resource; resource.prlimit(os.getppid(), resource.RLIMIT_CORE); escaped()",
    "another_scheduling": "os.sched_setaffinity(os.getppid(), os.sched_getaffinity(0)); escaped()",
}

PRIVILEGES = {
    "become_root": "os.setuid(0); os.setgroups([]); escaped()",
    "new_user_namespace": "syscall(NR['unshare'], 0x10000000); escaped()",
    "new_namespace_with_a_thread": "syscall(NR['clone'], 0x10000000 | 17, 0, 0, 0, 0) or os._exit(0); escaped()",
    "enter_a_namespace": "syscall(NR['setns'], os.open('/proc/self/ns/net', os.O_RDONLY), 0); escaped()",
    "name_the_host": "import socket; socket.sethostname(socket.gethostname()); escaped()",
    "outlive_the_parent": "libc.prctl(1, 0) == 0 and escaped()",
    "read_its_own_filters": "libc.prctl(21) >= 0 and escaped()",
    "keyring": "syscall(NR['keyctl'], 0, -3, 0); escaped()",
    "bpf": "syscall(NR['bpf'], 0, ctypes.create_string_buffer(128), 72); escaped()",
    "performance_counters": "syscall(NR['perf_event_open'], ctypes.create_string_buffer(128), 0, -1, -1, 0); escaped()",
    "page_faults": "syscall(NR['userfaultfd'], 1); escaped()",
    "shared_memory": """
        from multiprocessing import shared_memory
        memory = shared_memory.SharedMemory(create=True, size=4096)
        memory.unlink()
        escaped()
    """,
    "system_v_memory": "syscall(NR['shmctl'], syscall(NR['shmget'], 0, 4096, 0o1600), 0, 0); escaped()",
    "message_queue": "syscall(NR['msgctl'], syscall(NR['msgget'], 0, 0o1600), 0, 0); escaped()",
    "nameless_file": "os.memfd_create('x'); escaped()",
}
INSIDE = {
    "shell_line_of_a_notebook": "!echo ESCAPED",
    "shell_cell_of_a_notebook": """
        %%bash
        echo ESCAPED
    """,
    "inherited_descriptors": """
        for handle in range(4, 1024):
            try:
                os.fstat(handle)
            except OSError:
                continue
            escaped(handle)
    """,
    "sockets_by_gc": """
        import gc, socket
        for thing in gc.get_objects():
            if isinstance(thing, socket.socket) and thing.fileno() not in (-1, 3):
                escaped(thing)
    """,
    "secrets_by_gc": """
        import gc
        held = [x for thing in gc.get_objects() if isinstance(thing, dict) for x in list(thing.values())]
        mine = globals()
        any(isinstance(x, str) and SECRET == x for x in held if x is not mine['SECRET']) and escaped()
    """,
    "another_session": """
        for place in ('/tmp', *('../' * n for n in range(1, 4))):
            for top, _, names in os.walk(place):
                'of_another_session' in names and escaped(top)
    """,
    "frames": """
        frame, names = sys._getframe(), []
        while frame:
            names += [name for name, value in frame.f_locals.items() if 'Popen' in type(value).__name__]
            frame = frame.f_back
        names and escaped(names)
    """,
}


def attempts(**groups: dict[str, str]) -> dict[str, str]:
    """Name -> code."""
    return {f"{group}-{name}": dedent(code) for group, codes in groups.items() for name, code in codes.items()}


WALLS = attempts(
    files=FILES,
    proc=PROC,
    network=NETWORK,
    processes=PROCESSES,
    other_processes=OTHER_PROCESSES,
    privileges=PRIVILEGES,
)
KERNEL = attempts(locks=LOCKS, objects=OBJECTS, neighbours=NEIGHBOURS)
EVERY = {**WALLS, **KERNEL, **attempts(limits=LIMITS, inside=INSIDE)}
