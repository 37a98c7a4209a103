"""Snippets that are after what the kernel keeps besides files, memory and processes; see ``escape_attempts``.

A lock that two open files of the same process contend for shows whether the kernel's tables were reached; a counter of
objects shows whether a limit on descriptors limits what they hold.
"""

from __future__ import annotations

LOCKS = {
    "flock": """
        import fcntl
        one, two = open('file', 'w'), open('file', 'w')
        fcntl.flock(one, fcntl.LOCK_EX)
        try:
            fcntl.flock(two, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            escaped()
    """,
    "flock_by_system_call": """
        one, two = open('file', 'w'), open('file', 'w')
        syscall(NR['flock'], one.fileno(), 2)
        try:
            syscall(NR['flock'], two.fileno(), 2 | 4)
        except BlockingIOError:
            escaped()
    """,
    "lock_of_an_open_file": """
        import fcntl, struct
        lock = struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 0, 0)
        one, two = open('file', 'w'), open('file', 'w')
        fcntl.fcntl(one, 37, lock)  # F_OFD_SETLK
        try:
            fcntl.fcntl(two, 37, lock)
        except BlockingIOError:
            escaped()
    """,
    "lock_by_high_bits": """
        import struct
        lock = ctypes.create_string_buffer(struct.pack('hhqqi4x', 1, 0, 0, 0, 0))
        one, two = open('file', 'w'), open('file', 'w')
        syscall(NR['fcntl'], one.fileno(), 1 << 32 | 37, lock)
        try:
            syscall(NR['fcntl'], two.fileno(), 1 << 32 | 37, lock)
        except BlockingIOError:
            escaped()
    """,
    "ask_for_a_record_lock": """
        import fcntl, struct
        lock = struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 0, 0)
        fcntl.fcntl(open('file', 'w'), fcntl.F_GETLK, lock) != lock and escaped()
    """,
    "ask_for_a_lock_of_an_open_file": """
        import fcntl, struct
        lock = struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 0, 0)
        fcntl.fcntl(open('file', 'w'), 36, lock) != lock and escaped()
    """,
    "channel_by_a_host_file": """
        import fcntl, struct
        lock = struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 4711, 1, 0)
        fcntl.fcntl(open(os.__file__, 'rb'), fcntl.F_GETLK, lock) != lock and escaped()
    """,
    "channel_by_the_null_device": """
        import fcntl, struct
        lock = struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 0, 0)
        fcntl.fcntl(open('/dev/null', 'r+b'), fcntl.F_GETLK, lock) != lock and escaped()
    """,
    "wait_for_a_lock": """
        import fcntl, signal
        one, two = open('file', 'w'), open('file', 'w')
        fcntl.flock(one, fcntl.LOCK_EX)
        def woken(*_):
            raise TimeoutError
        signal.signal(signal.SIGALRM, woken)
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        try:
            fcntl.flock(two, fcntl.LOCK_EX)
        except TimeoutError:
            escaped()
        signal.setitimer(signal.ITIMER_REAL, 0)
    """,
    "lease": "import fcntl; fcntl.fcntl(open('file', 'w'), fcntl.F_SETLEASE, fcntl.F_WRLCK); escaped()",
    "directory_notice": "import fcntl; fcntl.fcntl(os.open('.', os.O_RDONLY), fcntl.F_NOTIFY, 4); escaped()",
    "watch_for_changes": "syscall(NR['inotify_init1'], 0); escaped()",
}

OBJECTS = {
    "descriptors_per_thread": """
        import threading
        tables = []
        def one_more():
            tables.append(syscall(NR['close_range'], 0x7ffffff0, 0x7ffffff0, 2))
        try:
            thread = threading.Thread(target=one_more)
            thread.start()
            thread.join()
        except RuntimeError:  # there are no threads
            one_more()
        tables and escaped()
    """,
    "descriptors_by_unshare": "syscall(NR['unshare'], 0x400); escaped()",
    "a_thread_with_descriptors_of_its_own": """
        CLONE = 0x3d0f00 & ~0x400
        syscall(NR['clone'], CLONE, 0, 0, 0, 0)
        escaped()
    """,
    "a_process_that_shares_memory": "syscall(NR['clone'], 0x4111, 0, 0, 0, 0) or os._exit(0); escaped()",
    "clone_of_the_new_kind": """
        words = (ctypes.c_ulonglong * 11)()
        words[4] = 17
        syscall(NR['clone3'], words, 88) or os._exit(0)
        escaped()
    """,
    "wide_pipes": """
        import fcntl
        reader, writer = os.pipe()
        fcntl.fcntl(writer, 1031, 1 << 20) > 65536 and escaped()
    """,
    "wide_sockets": """
        import socket
        ours, theirs = socket.socketpair()
        before = ours.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 26)
        ours.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) > before and escaped()
    """,
    "what_all_descriptors_hold": """
        import socket
        held, pairs = 0, []
        try:
            while True:
                pairs.append(socket.socketpair())
                pairs[-1][0].setblocking(False)
                try:
                    while True:
                        held += pairs[-1][0].send(b'x' * 65536)
                except BlockingIOError:
                    pass
        except OSError:
            pass
        held > LIMITS['open_files'] << 18 and escaped(held)
    """,
    "event_queues_of_many_keys": """
        import select
        queues, watched = [select.epoll() for _ in range(8)], os.pipe()[0]
        for key in range(40, 60):
            os.dup2(watched, key)
            for queue in queues:
                queue.register(key, select.EPOLLIN)
            os.close(key)
        escaped()
    """,
    "timers": "[syscall(NR['timer_create'], 1, None, ctypes.create_string_buffer(8)) for _ in range(99)]; escaped()",
    "queued_signals": """
        import signal
        signal.pthread_sigmask(signal.SIG_BLOCK, range(34, 64))
        for number in range(500):
            os.kill(os.getpid(), 34 + number % 30)
        queued = 0
        while signal.sigtimedwait(range(34, 64), 0):
            queued += 1
        queued > 100 and escaped(queued)
    """,
    "queued_signals_with_a_value": """
        import signal
        signal.pthread_sigmask(signal.SIG_BLOCK, [40])
        siginfo = (ctypes.c_int * 32)(40, 0, -1)
        syscall(NR['rt_sigqueueinfo'], os.getpid(), 40, siginfo)
        escaped()
    """,
    "signal_descriptors": "syscall(NR['signalfd4'], -1, ctypes.create_string_buffer(8), 8, 0); escaped()",
    "process_descriptors": "os.close(os.pidfd_open(os.getpid())); escaped()",
    "posix_message_queue": "syscall(NR['mq_open'], b'queue', 0o102, 0o600, None); escaped()",
    "system_v_semaphores": "syscall(NR['semget'], 0, 1, 0o1600); escaped()",
    "secret_memory": "syscall(NR['memfd_secret'], 0); escaped()",
    "protection_keys": "syscall(NR['pkey_alloc'], 0, 0); escaped()",
    "huge_pages": """
        libc.mmap.restype = ctypes.c_long
        address = libc.mmap(None, ctypes.c_size_t(2 << 20), 3, 0x40022, -1, ctypes.c_long(0))
        # the machine may have none to give, which is another error
        (address != -1 or ctypes.get_errno() != 1) and escaped()
    """,
    "locked_memory": "libc.mlockall(1) == 0 and escaped()",
    "realtime_priority": "os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)); escaped()",
    "higher_priority": "os.setpriority(os.PRIO_PROCESS, 0, -5); escaped()",
    "disk_priority": "syscall(NR['ioprio_set'], 1, 0, 1 << 13 | 1); escaped()",
}

NEIGHBOURS = {
    "handle_of_the_owner": """
        import socket
        own = socket.socket(fileno=os.dup(3))
        own.getsockopt(socket.SOL_SOCKET, 77)  # SO_PEERPIDFD
        escaped()
    """,
    "groups_of_the_owner": """
        import socket
        socket.socket(fileno=os.dup(3)).getsockopt(socket.SOL_SOCKET, 59, 4096)  # SO_PEERGROUPS
        escaped()
    """,
    "names_of_its_neighbours": """
        found = [number for number in range(200) if os.path.lexists(f'../{number}')]
        found and escaped(found)
    """,
    "futex_that_all_see": """
        import mmap
        file = open(os.__file__, 'rb')
        page = mmap.mmap(file.fileno(), 4096, prot=mmap.PROT_READ)
        address = address_of(page)
        syscall(NR['futex'], address, 1, 1, None, None, 0)  # FUTEX_WAKE
        escaped()
    """,
    "futex_that_moves_waiters": """
        word = (ctypes.c_int * 2)()
        syscall(NR['futex'], word, 3, 0, 0, ctypes.byref(word, 4), 0)  # FUTEX_REQUEUE
        escaped()
    """,
    "pages_in_memory": """
        import mmap
        page = mmap.mmap(-1, 4096)
        syscall(NR['mincore'], address_of(page), 4096, ctypes.create_string_buffer(1))
        escaped()
    """,
    "pages_in_memory_by_reading": """
        file = os.open(os.__file__, os.O_RDONLY)
        try:
            os.preadv(file, [bytearray(1)], 0, os.RWF_NOWAIT)
            escaped()
        except BlockingIOError:
            escaped()
    """,
    "pages_pushed_out_of_memory": """
        import mmap
        file = open(os.__file__, 'rb')
        page = mmap.mmap(file.fileno(), 4096, prot=mmap.PROT_READ)
        libc.madvise(address_of(page), 4096, 21) == 0 and escaped()  # MADV_PAGEOUT
    """,
    "pages_merged_with_those_of_others": """
        import mmap
        page = mmap.mmap(-1, 1 << 16)
        libc.madvise(address_of(page), 1 << 16, 12) == 0 and escaped()  # MADV_MERGEABLE
    """,
    "which_processes_there_are": "os.sched_getaffinity(os.getppid() or 1); escaped()",
    "how_others_are_scheduled": "os.sched_getscheduler(os.getppid() or 1); escaped()",
    "groups_of_processes": "os.getpgid(os.getppid() or 1); escaped()",
    "compare_with_another": "syscall(NR['kcmp'], os.getpid(), os.getppid() or 1, 1, 0, 0); escaped()",
    "take_a_descriptor": "syscall(NR['pidfd_getfd'], os.pidfd_open(VICTIM), 0, 0); escaped()",
    "advise_another": "syscall(NR['process_madvise'], 3, None, 0, 20, 0); escaped()",
    "stop_the_parent": "os.kill(os.getppid(), 19 if DEADLY else 0); escaped()",
}
