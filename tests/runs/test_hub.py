"""Whether a model is there, by a hub that is asked once."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from free_port import free_port

from verl_hdpo.runs.hub import ModelError, check_model


@pytest.fixture
def hub():
    """A hub that answers as ``hub.status`` says, and counts."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            server.asked.append(self.path)
            self.send_response(server.status)
            if server.status == 404:
                self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked, server.url = [], f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield server
        server.shutdown()


def test_a_model_that_the_hub_has_not_is_told_after_one_question(hub):
    hub.status = 404
    with pytest.raises(ModelError, match=rf"cannot load the model some/unknown: .*{hub.url} has no such model"):
        check_model("some/unknown", hub.url)
    assert hub.asked == ["/api/models/some/unknown"]


def test_a_hub_in_trouble_is_left_to_what_loads_the_model(hub):
    hub.status = 503
    check_model("some/unknown", hub.url)


def test_a_hub_that_cannot_be_reached():
    with pytest.raises(ModelError, match="cannot be reached"):
        check_model("some/unknown", f"http://127.0.0.1:{free_port()}")


@pytest.mark.parametrize("path", ["/no/folder", "./folder", "a/b/c", "~/folder"])
def test_what_is_no_name_on_the_hub_is_not_asked_for(path):
    with pytest.raises(ModelError, match=f"{path}: there is no such folder$"):
        check_model(path)


def test_a_folder_is_taken(tmp_path):
    check_model(str(tmp_path))
    check_model(f"{tmp_path}/")
