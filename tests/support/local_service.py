"""An HTTP service on this machine that answers as scripted and keeps what it was asked."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit


@dataclass
class Answer:
    """``body`` is sent as JSON unless it is bytes; None hangs up without a word, and ``cut`` in the middle of it."""

    body: object = None
    status: int = 200
    headers: dict = field(default_factory=dict)
    delay: float = 0.0
    cut: bool = False


@dataclass
class Asked:
    method: str
    path: str
    params: dict
    headers: dict
    body: object
    time: float


class Service:
    def __init__(self, *answers):
        self.answers, self.asked, self.lock = list(answers), [], threading.Lock()

    def answer(self, asked):
        """The next answer of the script; the last one again when it is used up."""
        with self.lock:
            self.asked.append(asked)
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def serving(*answers):
    """A service and its URL; ``answers`` may instead be one function from ``Asked`` to ``Answer``."""
    service = Service(*answers)
    if callable(answers[0]):
        answer_from = answers[0]

        def answer(asked):
            service.asked.append(asked)
            return answer_from(asked)

        service.answer = answer

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def respond(self):
            url = urlsplit(self.path)
            sent = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = json.loads(sent) if sent else None
            asked = Asked(self.command, url.path, dict(parse_qsl(url.query)), headers, body, time.monotonic())
            found = service.answer(asked)
            time.sleep(found.delay)
            if found.body is None:
                self.close_connection = True
                return
            data = found.body if isinstance(found.body, bytes) else json.dumps(found.body).encode()
            self.send_response(found.status)
            for name, value in {"Content-Type": "application/json", **found.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data) + found.cut))
            self.end_headers()
            self.wfile.write(data)
            self.close_connection = found.cut

        do_GET = do_POST = do_PUT = do_DELETE = respond

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *args: None  # clients hang up in these tests
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield service, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
