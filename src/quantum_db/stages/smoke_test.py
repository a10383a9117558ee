"""The smoke test of a deployment: a model server is really started and must answer as the model did when saved."""

from __future__ import annotations

import http.client
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from quantum_db.errors import DeploymentError

TOLERANCE = 1e-6
READY_TIMEOUT_S = 180.0
_STOP_TIMEOUT_S = 30.0
_REQUEST_TIMEOUT_S = 30.0
_TIMED_REQUESTS = 20


@dataclass(frozen=True)
class SmokeTest:
    """A passed smoke test.

    rows: golden rows that were predicted; max_difference: largest distance of a probability from its golden value;
    ready_s: seconds from the start of the process to its readiness; latency_ms, latency_p95_ms: median and 95th
    percentile of single-row requests, in milliseconds; stopped_cleanly: the server ended by itself when told to.
    """

    rows: int
    max_difference: float
    tolerance: float
    ready_s: float
    latency_ms: float
    latency_p95_ms: float
    timed_requests: int
    stopped_cleanly: bool

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able data."""
        return asdict(self)


class _Server:
    """A model server in a process of its own, on a free port of this machine."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: IO[bytes]) -> None:
        self.process = process
        self._log = log
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_REQUEST_TIMEOUT_S)

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        """Send a request; return status and decoded answer. OSError or HTTPException when there is none."""
        content = None if body is None else json.dumps(body)
        try:
            self._connection.request(method, path, content, {"Content-Type": "application/json"})
            answer = self._connection.getresponse()
            return answer.status, json.loads(answer.read())
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise

    def stop(self) -> bool:
        """End the process, by force if it does not end when told to; return whether it ended by itself."""
        self._connection.close()
        self.process.terminate()
        try:
            self.process.wait(_STOP_TIMEOUT_S)
            return True
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return False

    def last_words(self) -> str:
        """The last line that the process logged."""
        self._log.seek(0)
        lines = [line for line in self._log.read().decode(errors="replace").splitlines() if line.strip()]
        return lines[-1][:400] if lines else "it logged nothing"


def smoke_test(
    model_dir: Path,
    name: str,
    version: str,
    digest: str,
    golden: Mapping[str, Sequence[Sequence[float]]],
    ready_timeout_s: float = READY_TIMEOUT_S,
) -> SmokeTest:
    """Serve `model_dir` as `name`, `version`, and compare what it answers with `golden`.

    Raises DeploymentError when the server does not start, serves another model than the one with `digest`, is not
    ready in time, or a probability is farther than TOLERANCE from its golden value. The server is stopped either way.
    """
    with _running(model_dir, name, version) as server:
        try:
            ready_s = _wait_until_ready(server, ready_timeout_s)
            _check_identity(server, digest)
            difference = _compare(server, golden)
            latencies = _latencies(server, golden["inputs"][0])
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise DeploymentError(
                f"the model server stopped answering during its smoke test ({type(error).__name__}: {error}); its last "
                f"message: {server.last_words()}"
            ) from error
        stopped_cleanly = server.stop()
    return SmokeTest(
        rows=len(golden["inputs"]),
        max_difference=difference,
        tolerance=TOLERANCE,
        ready_s=round(ready_s, 3),
        latency_ms=round(statistics.median(latencies), 3),
        latency_p95_ms=round(float(np.percentile(latencies, 95)), 3),
        timed_requests=len(latencies),
        stopped_cleanly=stopped_cleanly,
    )


@contextmanager
def _running(model_dir: Path, name: str, version: str) -> Iterator[_Server]:
    port = _free_port()
    command = [sys.executable, "-m", "quantum_db.serving.server", "--model", str(model_dir.resolve())]
    command += ["--host", "127.0.0.1", "--port", str(port), "--name", name, "--version", version]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        server = _Server(process, port, log)
        try:
            yield server
        finally:
            if process.poll() is None:
                server.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(server: _Server, timeout_s: float) -> float:
    began = time.monotonic()
    while time.monotonic() - began < timeout_s:
        code = server.process.poll()
        if code is not None:
            raise DeploymentError(
                f"the model server ended with exit code {code} before it was ready: {server.last_words()}"
            )
        try:
            status, answer = server.ask("GET", "/ready")
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)
            continue
        if status == 200:
            return time.monotonic() - began
        raise DeploymentError(f"the model server is not ready: {answer.get('error', answer)}")
    raise DeploymentError(
        f"the model server was not ready after {timeout_s:g} s; its last message: {server.last_words()}"
    )


def _check_identity(server: _Server, digest: str) -> None:
    _, answer = server.ask("GET", "/model")
    found = answer.get("digest")
    if found != digest:
        raise DeploymentError(
            f"the model server serves the model {str(found)[:12]}, not {digest[:12]}; another server may have its "
            "port, or the registry gave back another model: deploy again"
        )


def _compare(server: _Server, golden: Mapping[str, Sequence[Sequence[float]]]) -> float:
    """The largest difference between the served and the golden probabilities; DeploymentError if it is too large."""
    status, answer = server.ask("POST", "/predict", {"instances": golden["inputs"]})
    if status != 200:
        raise DeploymentError(f"the model server refused its golden inputs with status {status}: {answer.get('error')}")
    found, expected = np.asarray(answer["probabilities"]), np.asarray(golden["probabilities"])
    if found.shape != expected.shape:
        raise DeploymentError(
            f"the model server gave an array of shape {found.shape} for the golden inputs, expected {expected.shape}"
        )
    difference = float(np.abs(found - expected).max(initial=0.0))
    if not difference <= TOLERANCE:
        raise DeploymentError(
            f"the served probabilities differ from the golden ones by {difference:.3g}, more than {TOLERANCE:g}; the "
            "model or the libraries changed since it was saved: train it again with the libraries that serve it"
        )
    return difference


def _latencies(server: _Server, row: Sequence[float]) -> list[float]:
    """Milliseconds of single-row requests."""
    latencies = []
    for _ in range(_TIMED_REQUESTS):
        began = time.perf_counter()
        status, answer = server.ask("POST", "/predict", {"instances": [row]})
        latencies.append(1000 * (time.perf_counter() - began))
        if status != 200:
            raise DeploymentError(f"the model server failed on a repeated request, status {status}: {answer}")
    return latencies
