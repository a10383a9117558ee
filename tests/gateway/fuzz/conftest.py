"""A real gateway process with a worker, which every fuzz of this folder talks to over HTTP."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

KEYS = {"fuzz": "key-of-fuzz", "other": "key-of-other", "nothing": "key-of-nothing"}
MAX_BODY_MB = 12
X0 = {"gateset": "qis", "qubits": 1, "circuit": [{"gate": "x", "target": 0}]}
_ENDED = ("completed", "failed", "canceled")


def as_tenant(name: str) -> dict[str, str]:
    """The header that a tenant sends."""
    return {"Authorization": f"apiKey {KEYS[name]}"}


@dataclass
class RunningGateway:
    """The process, and a client with a connection kept open."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    client: httpx.Client

    def post(self, content: bytes, tenant: str = "fuzz") -> httpx.Response:
        """Submit a job, as bytes."""
        return self.client.post("/v0.4/jobs", content=content, headers=as_tenant(tenant))

    def submit(self, body: dict[str, Any], tenant: str = "fuzz") -> str:
        """Submit a job that is accepted; return its id."""
        answer = self.post(json.dumps(body).encode(), tenant)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def finished(self, job_id: str, tenant: str = "fuzz") -> dict[str, Any]:
        """The job once it has ended."""
        for _ in range(60):
            job: dict[str, Any] = self.client.get(f"/v0.4/jobs/{job_id}", headers=as_tenant(tenant)).json()
            if job["status"] in _ENDED:
                return job
        raise AssertionError(f"job {job_id} did not end")

    def stored(self, tenant: str) -> list[dict[str, Any]]:
        """The newest job of a tenant, if it has one."""
        found: list[dict[str, Any]] = self.client.get("/v0.4/jobs?limit=1", headers=as_tenant(tenant)).json()["jobs"]
        return found

    def check_alive(self) -> None:
        """The process runs, its database answers, and its log has no traceback."""
        assert self.process.poll() is None, self.log.read_text()[-4000:]
        assert self.client.get("/ready").status_code == 200
        assert "Traceback" not in self.log.read_text(), self.log.read_text()[-4000:]


def job(given: Any = X0, **fields: Any) -> dict[str, Any]:
    """The body of a job with one circuit."""
    return {"type": "ionq.circuit.v1", "backend": "simulator", "input": given, **fields}


def jobs(circuits: Any, **fields: Any) -> dict[str, Any]:
    """The body of a job with several circuits."""
    given = {"gateset": "qis", "qubits": 2, "circuits": circuits}
    return {"type": "ionq.multi-circuit.v1", "backend": "simulator", "input": given, **fields}


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway that plays the machines too; the test fails when it does not end well."""
    folder = tmp_path_factory.mktemp("fuzz")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "quantum_db.cli", "gateway", "--port", str(port), "--workers", "1"]
    command += ["--simulate-qpus", "--long-poll-s", "1", "--max-body-mb", str(MAX_BODY_MB)]
    command += ["--database", f"sqlite:///{folder}/gateway.db"]
    env = {**os.environ, "QSTORE_GATEWAY_API_KEYS": ",".join(f"{name}:{key}" for name, key in KEYS.items())}
    log = folder / "gateway.log"
    with log.open("wb") as out, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        process = subprocess.Popen(command, env=env, stdout=out, stderr=out, cwd=folder)
        try:
            _wait_until_ready(client, process, log)
            yield RunningGateway(f"http://127.0.0.1:{port}", process, log, client)
        finally:
            process.terminate()
            code = process.wait(20)
    assert code == 0, log.read_text()[-4000:]


def _wait_until_ready(client: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if client.get("/ready").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"the gateway did not start:\n{log.read_text()}")
