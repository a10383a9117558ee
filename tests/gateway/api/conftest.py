"""A gateway over a SQLite ledger, asked through starlette's client; tests that need results run a real worker."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from quantum_db.gateway.api.app import create_app
from quantum_db.gateway.api.service import ApiSettings, Service
from quantum_db.gateway.faults import FaultPlan
from quantum_db.gateway.ledger import Database
from quantum_db.gateway.ledger.records import TenantLimits
from quantum_db.gateway.targets import target_table
from quantum_db.gateway.tenants import Tenant, Tenants
from quantum_db.gateway.worker import Worker, WorkerOptions
from quantum_db.pricing import load_price_table
from quantum_db.telemetry.gateway_metrics import GATEWAY_METRICS
from quantum_db.telemetry.prometheus_metrics import PrometheusMetrics

KEY, SECOND_KEY, OTHER_KEY, POOR_KEY = "key-of-alice", "key-2-of-alice", "key-of-bob", "key-of-poor-carol"
AS_ALICE = {"Authorization": f"apiKey {KEY}"}
AS_BOB = {"Authorization": f"apiKey {OTHER_KEY}"}
AS_CAROL = {"Authorization": f"apiKey {POOR_KEY}"}
AS_CIRQ = {**AS_ALICE, "User-Agent": "cirq/1.7.0 (python/3.11)"}

X0 = [{"gate": "x", "targets": [0]}]
BELL = [{"gate": "h", "target": 0}, {"gate": "cnot", "control": 0, "target": 1}]


def tenants() -> Tenants:
    alice, bob = Tenant("alice"), Tenant("bob", coalesce=True)
    carol = Tenant("carol", TenantLimits(queued_jobs=2, shots=5000, usd=Decimal(30)))
    return Tenants([(alice, KEY), (alice, SECOND_KEY), (bob, OTHER_KEY), (carol, POOR_KEY)])


def single(circuit: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    """The body of a job with one circuit on two qubits."""
    given = {"gateset": "qis", "qubits": 2, "circuit": X0 if circuit is None else circuit}
    return {"type": "ionq.circuit.v1", "backend": "simulator", "input": given, **more}


def multi(circuits: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """The body of a job with several circuits on two qubits."""
    given = {"gateset": "qis", "qubits": 2, "circuits": circuits}
    return {"type": "ionq.multi-circuit.v1", "backend": "simulator", "input": given, **more}


@dataclass
class Gateway:
    """A running application, asked as alice."""

    service: Service
    client: TestClient

    def submit(self, body: dict[str, Any], **headers: str) -> str:
        answer = self.client.post("/v0.4/jobs", json=body, headers=headers)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def get(self, path: str, status: int = 200, **headers: str) -> Any:
        answer = self.client.get(f"/v0.4{path}", headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    def finished(self, body: dict[str, Any]) -> dict[str, Any]:
        """Submit a job and look at it until it ends (the gateway holds each look)."""
        job_id = self.submit(body)
        for _ in range(100):
            job: dict[str, Any] = self.get(f"/jobs/{job_id}")
            if job["status"] in ("completed", "failed", "canceled"):
                return job
        raise AssertionError(f"job {job_id} did not end")


@contextmanager
def running_gateway(
    folder: Path,
    settings: ApiSettings | None = None,
    simulate_qpus: bool = False,
    upstream: bool = False,
    faults: FaultPlan | None = None,
    worker: bool = False,
) -> Iterator[Gateway]:
    """A gateway whose ledger lies in `folder`, with a worker in a thread if `worker`."""
    targets = target_table(simulate_qpus, upstream, largest_qubits=20)
    metrics = PrometheusMetrics(GATEWAY_METRICS)
    database = Database.open(f"sqlite:///{folder / 'ledger.db'}")
    settings = settings or ApiSettings(long_poll_s=5.0, first_look_s=5.0, max_body_bytes=200_000)
    service = Service(database, tenants(), targets, load_price_table(), metrics, settings, faults)
    works = Worker(WorkerOptions(targets=targets.names()), database, metrics) if worker else None
    thread = threading.Thread(target=works.run) if works else None
    if works and thread:
        service.wake_workers = works.notify
        thread.start()
    try:
        with TestClient(create_app(service), headers=AS_ALICE) as client:
            yield Gateway(service, client)
    finally:
        if works and thread:
            works.stop()
            thread.join(20)
        database.close()


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway without workers."""
    with running_gateway(tmp_path, ApiSettings(long_poll_s=0.0, max_body_bytes=200_000)) as running:
        yield running


@pytest.fixture(scope="module")
def working(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with a worker, which plays machines; shared by the tests of a module."""
    with running_gateway(tmp_path_factory.mktemp("gateway"), simulate_qpus=True, worker=True) as running:
        yield running


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., Any]:
    """Starts a gateway with settings of one's own: `with start(faults=...) as gateway`."""
    return lambda **options: running_gateway(tmp_path, **options)
