"""Starts a worker of Ray by way of the fork server, and ends when the worker does.

``python -I -S launch.py MODULES default_worker.py --raylet-name=...``; only what Python has built in, to start at once.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path


def server_socket(arguments: list[str]) -> Path:
    """Beside the raylet's own socket, so that each Ray session has one, and its path is as short as Ray's own."""
    (raylet,) = (argument.partition("=")[2] for argument in arguments if argument.startswith("--raylet-name="))
    return Path(raylet).with_name("workers")


def start_server(path: Path, modules: str) -> None:
    """Listens at ``path`` and starts the server on it; does nothing where another worker was quicker."""
    mine = path.with_name(f"workers.{os.getpid()}")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(mine))
        listener.listen(64)
        try:
            os.link(mine, path)  # where it is found, it listens
        except FileExistsError:
            return
        finally:
            mine.unlink()
        server = Path(__file__).with_name("server.py")
        command = [sys.executable, str(server), str(listener.fileno()), os.environ["RAY_RAYLET_PID"], modules]
        subprocess.Popen(command, pass_fds=[listener.fileno()], start_new_session=True)


def forked(path: Path, arguments: list[str]) -> socket.socket | None:
    """A connection that tells how the worker ended, once it has been forked; None where there is no server."""
    connection = socket.socket(socket.AF_UNIX)
    text = json.dumps({"arguments": arguments, "environment": dict(os.environ), "folder": os.getcwd()}).encode()
    try:
        connection.connect(str(path))
        socket.send_fds(connection, [b"%8d" % len(text)], [0, 1, 2])
        connection.sendall(text)
        return connection if connection.recv(1) else None
    except ConnectionError:
        return None


def main() -> None:
    modules, *arguments = sys.argv[1:]
    path = server_socket(arguments)
    if not path.exists():
        start_server(path, modules)
    connection = forked(path, arguments)
    if connection is None:
        os.execv(sys.executable, [sys.executable, *arguments])
    status = connection.recv(8)
    sys.exit(int(status) if status else 1)


if __name__ == "__main__":
    main()
