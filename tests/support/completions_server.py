"""A small OpenAI-compatible server: a scripted model, asked by tokens or as a chat."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tiny import tiny_tokenizer

MODEL = "scripted"


class CompletionsServer:
    """Answers with ``write(prompt_text, request)``.

    Attributes:
        requests: bodies of the completions asked for.
        keys: what came as ``Authorization``.
        failures: status codes to answer next, one per request.
        tells_tokens: send token ids, as vLLM does, or text alone.
        takes_images: beside tokens, as vLLM does.
        knows: fields it takes, as OpenAI's own server, which refuses others; None: any.
        chat: what it answers to the body of a chat, a message; None: it has no chats.
    """

    def __init__(self, write: Callable[[str, dict], str]):
        self.write, self.requests, self.keys, self.failures, self.tells_tokens = write, [], [], [], True
        self.models = [MODEL]
        self.takes_images = False
        self.knows: set[str] | None = None
        self.chat: Callable[[dict], dict] | None = None
        self.url = ""

    def answer(self, path: str, body: dict | None) -> tuple[int, dict]:
        if path == "/v1/models":
            return 200, {"object": "list", "data": [{"id": name} for name in self.models]}
        if path == "/inference/v1/generate" and self.takes_images:
            self.requests.append(body)
            tokens = tiny_tokenizer().encode(
                self.write(tiny_tokenizer().decode(body["token_ids"]), body) + "<|im_end|>"
            )
            return 200, {"choices": [{"index": 0, "token_ids": tokens, "finish_reason": "stop"}]}
        if path not in ("/v1/completions", "/v1/chat/completions") or ("chat" in path and self.chat is None):
            return 404, {"error": f"no {path}"}
        self.requests.append(body)
        if self.failures:
            return self.failures.pop(0), {"error": "scripted failure"}
        if self.knows is not None and (others := set(body) - self.knows):
            return 400, {"error": f"unrecognized fields: {', '.join(sorted(others))}"}
        if self.chat is not None and "chat" in path:
            message = {"role": "assistant", **self.chat(body)}
            return 200, {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
        tokenizer = tiny_tokenizer()
        text = self.write(tokenizer.decode(body["prompt"]), body)
        choice = {"index": 0, "text": text, "finish_reason": "stop"}
        if self.tells_tokens:
            choice["token_ids"] = tokenizer.encode(text + "<|im_end|>")
        return 200, {"choices": [choice]}


@contextlib.contextmanager
def serving(write: Callable[[str, dict], str]) -> Iterator[CompletionsServer]:
    model = CompletionsServer(write)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            model.keys.append(self.headers["Authorization"])
            self._send(*model.answer(self.path, None))

        def do_POST(self):
            self._send(*model.answer(self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))

        def _send(self, status, content):
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    model.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield model
    finally:
        server.shutdown()
        server.server_close()
