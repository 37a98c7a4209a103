"""Snippets that are after more memory, files, threads, descriptors or time; see ``escape_attempts``."""

from __future__ import annotations

LIMITS = {
    "memory": "blocks = [bytearray(16 << 20) for _ in range(2 * LIMITS['memory_mb'] // 16)]; escaped()",
    "shared_anonymous_memory": """
        import mmap
        blocks = []
        for _ in range(2 * LIMITS['memory_mb'] // 16):
            blocks.append(mmap.mmap(-1, 16 << 20))
            blocks[-1].write(b'x' * (16 << 20))
        escaped()
    """,
    "memory_by_malloc": """
        libc.malloc.restype = ctypes.c_void_p
        blocks = [libc.malloc(ctypes.c_size_t(16 << 20)) for _ in range(2 * LIMITS['memory_mb'] // 16)]
        all(blocks) and escaped()
    """,
    "memory_by_numpy": "import numpy as np; np.ones(2 * LIMITS['memory_mb'] << 17); escaped()",
    "raise_the_limits": """
        import resource
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        escaped()
    """,
    "threads": """
        import threading
        stop = threading.Event()
        started = []
        try:
            for _ in range(4 * LIMITS['threads']):
                threading.Thread(target=stop.wait, args=(3,)).start()
                started.append(1)
        except RuntimeError:
            pass
        stop.set()
        len(started) > LIMITS['threads'] and escaped()
    """,
    "one_large_file": """
        with open('large', 'wb') as file:
            for _ in range(2 * LIMITS['scratch_mb']):
                file.write(b'x' * (1 << 20))
        escaped()
    """,
    "many_files": """
        for number in range(100):
            with open(f'file{number}', 'wb') as file:
                file.write(b'x' * (1 << 20))
            time.sleep(0.03)
        escaped()
    """,
    "deleted_files": """
        files = []
        for number in range(100):
            files.append(open('file', 'w+b'))
            os.unlink('file')
            files[-1].write(b'x' * (1 << 20))
            files[-1].flush()
            time.sleep(0.03)
        escaped()
    """,
    "mapped_deleted_files": """
        libc.mmap.restype = ctypes.c_long
        for number in range(100):
            with open('file', 'w+b') as file:
                os.unlink('file')
                file.write(b'x' * (1 << 20))
                file.flush()
                libc.mmap(None, ctypes.c_size_t(4096), 1, 1, file.fileno(), ctypes.c_long(0)) == -1 and os.abort()
            time.sleep(0.03)
        escaped()
    """,
    "directories_in_a_chain": """
        for number in range(2000):
            os.mkdir('d')
            os.chdir('d')
        time.sleep(2)
        escaped()
    """,
    "files_in_a_deep_tree": """
        for number in range(100):
            os.mkdir('d' * 200)
            os.chdir('d' * 200)
            with open('file', 'wb') as file:
                file.write(b'x' * (1 << 20))
            time.sleep(0.03)
        escaped()
    """,
    "many_empty_files": """
        for number in range(20_000):
            open(f'file{number}', 'w').close()
            number % 200 or time.sleep(0.02)
        escaped()
    """,
    "hard_links": """
        open('file', 'w').close()
        for number in range(60_000):
            os.link('file', f'link{number}')
            number % 500 or time.sleep(0.02)
        escaped()
    """,
    "symbolic_links": """
        for number in range(30_000):
            os.symlink('x' * 200, f'link{number}')
            number % 500 or time.sleep(0.02)
        escaped()
    """,
    "nameless_files": """
        files = []
        for number in range(100):
            files.append(os.open('.', os.O_TMPFILE | os.O_RDWR))
            os.write(files[-1], b'x' * (1 << 20))
            time.sleep(0.03)
        escaped()
    """,
    "descriptors": "files = [os.open('/dev/null', os.O_RDONLY) for _ in range(2 * LIMITS['open_files'])]; escaped()",
    "cpu_time": """
        import signal
        signal.signal(signal.SIGXCPU, signal.SIG_IGN)
        end = time.process_time() + 2 * LIMITS['cpu_seconds'] + 3
        while time.process_time() < end:
            pass
        escaped()
    """,
}
