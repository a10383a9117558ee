"""HTTP/1.1 over a socket with as little work as can be, so that a benchmark measures the server and not its client."""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Self


def request(method: str, path: str, body: bytes = b"", key: str = "") -> bytes:
    """The bytes of a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    if key:
        lines.append(f"Authorization: apiKey {key}")
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def head_of(received: bytes) -> tuple[int, int, int] | None:
    """Status, where the body begins, and its length; None before the whole head has come."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = received[:end].lower()
    start = head.index(b"content-length:") + 15
    stop = head.find(b"\r\n", start)
    return int(head[9:12]), end + 4, int(head[start : stop if stop >= 0 else end])


class Connection:
    """One connection that is kept open; one request at a time."""

    def __init__(self, port: int, key: str = "") -> None:
        self._key = key
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Send a request; the status and the body of its answer."""
        self._socket.sendall(request(method, path, body, self._key))
        received = bytearray()
        head = None
        while head is None or len(received) < head[1] + head[2]:
            part = self._socket.recv(2**18)
            if not part:
                raise ConnectionError(f"the connection was closed after {len(received)} bytes of an answer")
            received += part
            head = head or head_of(received)
        return head[0], bytes(received[head[1] :])
