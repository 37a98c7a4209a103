"""A port for what is started, killed and started again on it."""

import contextlib
import random
import socket

FIRST, LAST = 20000, 32767
"""Below net.ipv4.ip_local_port_range, from which the system gives ports to whoever asks for any."""


def free_port():
    """One that nobody listens on; another run of these tests hardly chooses the same."""
    while True:
        port = random.SystemRandom().randint(FIRST, LAST)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
