"""Many ports, one thread: HTTP servers that answer, refuse, hang or talk nonsense, as each is told.

`python -m tests.availability_kit.cloud FOLDER COUNT [CERTIFICATE]` serves in a process of its own, writes the ports to
FOLDER/ports.json, obeys words written to FOLDER/say (`PORT MODE` each), and logs when it really opened and closed a
port to FOLDER/truth.log: the independent measurement that reported downtime is held against.
"""

from __future__ import annotations

import json
import selectors
import socket
import ssl
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PASSWORD = "Canary-Pa55word-of-admin"
TOKEN = "gAAAAAcanary-token"


def boottime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass
class Port:
    """One API. Modes: `up`, `hang` (accepts, never answers), `reset`, `garbage`, `cut`, `closed`, or a status."""

    number: int = 0
    host: str = "127.0.0.1"
    mode: str = "up"
    status: int = 300
    location: str = ""
    keystone: bool = False
    chunked: bool = False
    lasting: bool = True
    """Connections may stay, where the client wants that."""
    mute: bool = False
    """Connections that served once serve no more, without being closed."""
    greeted: int = 0
    """Connections accepted."""
    asked: list[bytes] = field(default_factory=list)
    listener: socket.socket | None = None


class Cloud:
    """Serves in a thread; `port(...)` adds an API, `open`/`close` bring it up and take it away."""

    def __init__(self, certificate: tuple[str, str] | None = None) -> None:
        self.ports: list[Port] = []
        self.catalogue: list[dict[str, Any]] = []
        self.truth: list[tuple[float, int, str]] = []
        self.tls = certificate is not None
        self._context: ssl.SSLContext | None = None
        if certificate:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(*certificate)
        self._poll = selectors.DefaultSelector()
        self._lock = threading.RLock()
        self._wake, self._woken = socket.socketpair()
        self._poll.register(self._woken, selectors.EVENT_READ, None)
        self._over = False
        self._held: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    # ------------------------------------------------------------ what a test says

    def port(self, **values: Any) -> Port:
        port = Port(**values)
        self.ports.append(port)
        if port.mode != "closed":
            self.open(port)
        else:
            with socket.socket(socket.AF_INET6 if ":" in port.host else socket.AF_INET) as probe:
                probe.bind((port.host, 0))
                port.number = probe.getsockname()[1]
        return port

    def url(self, port: Port, path: str = "/") -> str:
        host = f"[{port.host}]" if ":" in port.host else port.host
        return f"{'https' if self.tls else 'http'}://{host}:{port.number}{path}"

    def open(self, port: Port) -> None:
        listener = socket.socket(socket.AF_INET6 if ":" in port.host else socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((port.host, port.number))
        listener.listen(64)
        listener.setblocking(False)
        with self._lock:
            port.number, port.listener = listener.getsockname()[1], listener
            if port.mode == "closed":
                port.mode = "up"
            self._poll.register(listener, selectors.EVENT_READ, port)
            self.truth.append((boottime(), port.number, "open"))
        self._wake.send(b".")

    def close(self, port: Port) -> None:
        with self._lock:
            if port.listener is not None:
                self.truth.append((boottime(), port.number, "closed"))
                self._poll.unregister(port.listener)
                port.listener.close()
                port.listener = None
                port.mode = "closed"

    def over(self) -> None:
        self._over = True
        self._wake.send(b".")
        self._thread.join(5)
        for port in self.ports:
            self.close(port)
        for stream in self._held:
            stream.close()
        for stream in (self._wake, self._woken):
            stream.close()

    # ------------------------------------------------------------ serving

    def _serve(self) -> None:
        while not self._over:
            for key, _ in self._poll.select(1.0):
                with self._lock:
                    if key.data is None:
                        self._woken.recv(64)
                    elif isinstance(key.data, tuple):
                        self._again(*key.data)
                    elif key.data.listener is key.fileobj:
                        self._accept(key.data)

    def _accept(self, port: Port) -> None:
        assert port.listener is not None
        try:
            stream, _ = port.listener.accept()
        except OSError:
            return
        if port.mode == "hang":
            self._held.append(stream)
            return
        port.greeted += 1
        stream.setblocking(True)
        stream.settimeout(2)
        stays = False
        try:
            if self._context is not None:
                stream = self._context.wrap_socket(stream, server_side=True)
            stays = self._talk(port, stream)
        except OSError:
            pass
        if stays:
            self._poll.register(stream, selectors.EVENT_READ, (port, stream))
        else:
            stream.close()

    def _again(self, port: Port, stream: socket.socket) -> None:
        stays = False
        try:
            if port.mute:
                stays = bool(stream.recv(65536))
            elif port.listener is not None:
                stays = self._talk(port, stream)
        except OSError:
            pass
        if not stays:
            self._poll.unregister(stream)
            stream.close()

    def _talk(self, port: Port, stream: socket.socket) -> bool:
        if port.mode == "reset":
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            return False
        if port.mode == "banner":
            stream.sendall(b"220 mail.example.org ESMTP\r\n\r\n")
            return False
        head, _, body = b"", b"", b""
        data = b""
        while b"\r\n\r\n" not in data:
            more = stream.recv(65536)
            if not more:
                return False
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        wanted = int(head.lower().partition(b"content-length:")[2].split(b"\r")[0] or 0) if b"ontent-" in head else 0
        while len(body) < wanted:
            body += stream.recv(65536)
        port.asked.append(head)
        del port.asked[:-50]
        if port.mode == "garbage":
            stream.sendall(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
        elif port.mode == "cut":
            stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        else:
            stays = port.lasting and b"Connection: keep-alive" in head
            stream.sendall(self._answer(port, head, body, stays=stays))
            return stays
        return False

    def _answer(self, port: Port, head: bytes, body: bytes, *, stays: bool) -> bytes:
        status, more, content = port.status, "", b'{"versions": []}'
        if port.mode not in ("up", "closed"):
            status = int(port.mode)
        elif port.keystone and b" /v3/auth/tokens" in head.split(b"\r\n")[0]:
            status, more, content = self._keystone(head, body)
        if port.location and status in (301, 302, 303, 307, 308):
            more = f"Location: {port.location}\r\n"
        length = f"Content-Length: {len(content)}\r\n"
        if port.chunked:
            length = "Transfer-Encoding: chunked\r\n"
            half = len(content) // 2
            content = b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (half, content[:half], len(content) - half, content[half:])
        close = "" if stays else "Connection: close\r\n"
        return f"HTTP/1.1 {status} Whatever\r\n{length}{more}{close}\r\n".encode() + content

    def _keystone(self, head: bytes, body: bytes) -> tuple[int, str, bytes]:
        if head.startswith(b"POST"):
            given = json.loads(body)["auth"]["identity"]["password"]["user"]["password"]
            if given != PASSWORD:
                return 401, "", json.dumps({"error": {"message": f"not with {given}"}}).encode()
            token: dict[str, Any] = {"expires_at": "2099-01-01T00:00:00Z"}
            if b"nocatalog" not in head:
                token["catalog"] = self.catalogue
            return 201, f"X-Subject-Token: {TOKEN}\r\n", json.dumps({"token": token}).encode()
        lines = head.decode().split("\r\n")
        sound = f"X-Auth-Token: {TOKEN}" in lines and f"X-Subject-Token: {TOKEN}" in lines
        return (200, "", b'{"token": {}}') if sound else (404, "", f'{{"error": {{"message": "no {TOKEN}"}}}}'.encode())


def serve(folder: Path, count: int, certificate: tuple[str, str] | None) -> None:
    """For a process of its own; the first port is Keystone's."""
    cloud = Cloud(certificate)
    for number in range(count):
        cloud.port(keystone=number == 0)
    cloud.catalogue = [
        {
            "name": f"service{number}",
            "type": f"type{number}",
            "endpoints": [{"interface": "public", "region_id": "RegionOne", "url": cloud.url(port, "/v2.1/abc")}],
        }
        for number, port in enumerate(cloud.ports)
    ]
    temporary = folder / "ports.tmp"
    temporary.write_text(json.dumps([port.number for port in cloud.ports]))
    temporary.rename(folder / "ports.json")
    said = 0
    while True:
        time.sleep(0.02)
        words = (folder / "say").read_text().splitlines() if (folder / "say").exists() else []
        for line in words[said:]:
            number, mode = line.split()
            port = next(one for one in cloud.ports if one.number == int(number))
            cloud.close(port) if mode == "closed" else cloud.open(port)
        if len(words) > said:
            said = len(words)
            (folder / "truth.log").write_text(json.dumps(cloud.truth))


if __name__ == "__main__":
    chosen = (sys.argv[3], sys.argv[4]) if len(sys.argv) > 4 else None
    serve(Path(sys.argv[1]), int(sys.argv[2]), chosen)
