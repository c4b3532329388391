"""What the fixtures of mosvpp are to know of this project: its header, and where its endpoint is."""

import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

import partner
import pytest

SECRET = "a secret for tests"


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(autouse=True)
def empty(monkeypatch):
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    partner.settled.clear()
    partner.kept.clear()


@pytest.fixture
def mosvpp_webhook_headers():
    return {"X-API-Key": SECRET}


@pytest.fixture
def mosvpp_sandbox_options():
    with make_server("127.0.0.1", 0, partner.app, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield {"execution_response_url": f"http://127.0.0.1:{server.server_port}/execution-response"}
        server.shutdown()
        thread.join()
