"""The scripts that run inside containers: OpenSearch over its own interface, RabbitMQ by its own tool's words."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from upgrader.leftovers.inside import opensearch, rabbitmq


class Search(BaseHTTPRequestHandler):
    """Cluster settings as OpenSearch answers for them, with `flat_settings`."""

    transient: dict[str, Any] = {}  # noqa: RUF012 - the server's one state

    def do_GET(self) -> None:
        self._say({"persistent": {}, "transient": self.transient})

    def do_PUT(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        for name, value in asked["transient"].items():
            self.transient.pop(name) if value is None else self.transient.update({name: value})
        self._say({"acknowledged": True})

    def _say(self, document: dict[str, Any]) -> None:
        data = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def address() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Search) as server:
        Search.transient = {opensearch.SETTING: "none"}
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_shard_allocation_is_asked_for_and_switched_on(address: str) -> None:
    assert opensearch.answer(address, "ask") == {"allocation": "none"}
    assert opensearch.answer(address, "ask") == {"allocation": "none"}, "asking changes nothing"
    assert opensearch.answer(address, "allocate") == {"allocation": ""}
    assert Search.transient == {}


def test_a_search_that_does_not_answer() -> None:
    assert "error" in opensearch.answer("http://127.0.0.1:9", "ask")


def test_where_opensearch_listens() -> None:
    """As roles/opensearch/templates/opensearch.yml.j2 writes it, 16.7.0 to 22.2.0."""
    assert (
        opensearch.place('node.name: "10.0.0.1"\nnetwork.host: "10.0.0.2"\nhttp.port: 9201\n') == "http://10.0.0.2:9201"
    )
    assert opensearch.place('network.host: "[fd00::1]"\nhttp.port: 9200\n') == "http://[fd00::1]:9200"
    assert opensearch.place("") == "http://127.0.0.1:9200"


STATUS = {
    "disk_nodes": ["rabbit@ctl1", "rabbit@ctl2"], "ram_nodes": [],
    "maintenance_status": {"rabbit@ctl1": "marked for maintenance", "rabbit@ctl2": "not under maintenance"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        # rabbitmqctl of 3.10.8
        ([(0, "{rabbit@ctl1,true}\n"), (0, "\n" + json.dumps(STATUS))],
         {"node": "rabbit@ctl1", "app": True, "nodes": ["rabbit@ctl1", "rabbit@ctl2"], "maintenance": ["rabbit@ctl1"]}),
        ([(0, "{'rabbit@ctl-1',false}\n")], {"node": "rabbit@ctl-1", "app": False}),
        ([(69, "Error: unable to perform an operation on node 'rabbit@ctl1'.\nmore")],
         {"error": "Error: unable to perform an operation on node 'rabbit@ctl1'."}),
        ([(0, "{rabbit@ctl1,true}\n"), (0, "nothing")],
         {"node": "rabbit@ctl1", "app": True, "error": "cluster_status could not be read"}),
    ],
)  # fmt: skip
def test_a_broker_node(monkeypatch: pytest.MonkeyPatch, said: list[tuple[int, str]], expected: dict[str, Any]) -> None:
    answers = iter(said)
    monkeypatch.setattr(rabbitmq, "ctl", lambda *_: next(answers))
    assert rabbitmq.node() == expected
