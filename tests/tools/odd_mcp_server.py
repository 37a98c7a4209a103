"""An MCP server that answers in bytes of its own: ``odd_mcp_server.py PING [PORT json|sse]``; stdio without a port.

Its tool ``odd`` takes the answer from ``ANSWERS``; ``PING`` says what becomes of a ping.
"""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def text(inside):
    return f'"result":{{"content":[{{"type":"text","text":"{inside}"}}]}}'.encode()


ANSWERS = {
    "fine": text("fine"),
    "half": text("cut \\ud83d"),
    "whole": text("\\ud83d\\ude00 \\\\ud83d"),
    "latin": b'"result":{"content":[{"type":"text","text":"caf\xe9"}]}',
    "null and return": text("a\\u0000b\\rc"),
    "long": text("x" * 2_000_000),
    "half in an error": b'"error":{"code":-32000,"message":"cut \\ud83d"}',
    "a code that is a text": b'"error":{"code":"E1","message":"refused"}',
    "no message": b'"error":{"code":-32000}',
    "no reason": b'"result":{"content":[],"isError":true}',
    "no object": b'"result":null',
    "no content": b'"result":{}',
    "unknown content": b'"result":{"content":[{"type":"hologram"}]}',
    "refused": b'"error":{"code":-32600,"message":"refused"}',
}
TOOL = {"name": "odd", "description": "cut HALF", "inputSchema": {"type": "object"}}
PING = {"answered": b'"result":{}', "unknown": b'"error":{"code":-32600,"message":"no ping"}'}


def answer(message):
    """To one message, in bytes; None for none."""
    if "id" not in message:
        return None
    match message["method"]:
        case "initialize":
            served = {"name": "odd", "version": "1"}
            version = message["params"]["protocolVersion"]
            result = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": served}
            body = b'"result":' + json.dumps(result).encode()
        case "tools/list":
            body = b'"result":' + json.dumps({"tools": [TOOL]}).replace("HALF", "\\ud83d").encode()
        case "tools/call":
            body = ANSWERS[message["params"]["arguments"]["how"]]
        case "ping":
            if sys.argv[1] == "silent":
                return None
            body = PING[sys.argv[1]]
        case _:
            body = b'"error":{"code":-32601,"message":"unknown"}'
    return b'{"jsonrpc":"2.0","id":%s,%s}' % (json.dumps(message["id"]).encode(), body)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = answer(message)
        kind = "application/json"
        if body is not None and sys.argv[3] == "sse":
            kind, body = "text/event-stream", b"event: message\r\ndata: " + body + b"\r\n\r\n"
        self.send_response(202 if body is None else 200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *args):
        pass


def write(line):
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    if len(sys.argv) > 2:
        ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()
    for line in sys.stdin:
        message = json.loads(line)
        if message.get("method") == "tools/call" and message["params"]["arguments"]["how"] == "slow":
            late = b'{"jsonrpc":"2.0","id":%d,%s}' % (message["id"], ANSWERS["fine"])
            threading.Thread(target=lambda late=late: (time.sleep(1), write(late))).start()
        elif reply := answer(message):
            write(reply)
