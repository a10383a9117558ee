"""/metrics and /health of a worker that runs in a process of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from quantum_db.errors import ConfigurationError
from quantum_db.telemetry.prometheus_metrics import PrometheusMetrics


@contextmanager
def metrics_served(metrics: PrometheusMetrics, host: str, port: int) -> Iterator[int]:
    """Answer GET /metrics and GET /health for the length of the block; yields the port (0 picks a free one).

    Raises ConfigurationError when the address cannot be listened on.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answer one request."""
            if self.path == "/metrics":
                self._answer(200, *metrics.exposition())
            elif self.path == "/health":
                self._answer(200, b'{"status":"ok"}\n', "application/json")
            else:
                self._answer(404, b"this worker has /metrics and /health\n", "text/plain")

        def _answer(self, status: int, content: bytes, media_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name it overrides
            """Requests for metrics are not worth a line each."""

    try:
        server = ThreadingHTTPServer((host, port), Handler)
    except (OSError, OverflowError) as error:
        raise ConfigurationError(
            f"cannot listen on {host}, port {port}, for /metrics: {error}; choose another --metrics-port, or none"
        ) from error
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="qstore-metrics", daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
