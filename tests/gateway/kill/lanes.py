"""A gateway with a worker, in front of another gateway that plays the paid upstream: what kill tests disturb."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

import httpx

from quantum_db.gateway.ledger import Accounts, Database
from quantum_db.seeding import numpy_generator
from tests.gateway.kill.jobs import QPU, DrawnJob, draw_jobs
from tests.gateway.kill.processes import ForkServer, Process, free_port, wait_until_it_answers

UPSTREAM_KEY = "upstream-key-of-the-tests"
# An upstream that stands still for longer than the time between these two may take a submission that was looked for
# in vain; on a busy machine that has happened with one second between them.
SUBMIT_S = 2.5
SETTLE_S = 7.0
_PATIENCE_S = 150.0
# What happens to a tenth or so of the requests that reach the upstream.
FAULTS = {
    "seed": 11,
    "rules": [
        {"kind": "drop_answer", "method": "POST", "path": "^/v0.4/jobs$", "probability": 0.08},
        {"kind": "status_after", "method": "POST", "path": "^/v0.4/jobs$", "status": 503, "probability": 0.08},
        {"kind": "status_before", "method": "POST", "path": "^/v0.4/jobs$", "status": 429, "probability": 0.05},
        {"kind": "status_before", "method": "POST", "path": "^/v0.4/jobs$", "status": 500, "probability": 0.03},
        {"kind": "status_before", "method": "GET", "path": "^/v0.4/jobs", "status": 503, "probability": 0.03},
        {"kind": "drop_answer", "method": "GET", "path": "^/v0.4/jobs", "probability": 0.02},
    ],
}


def run_name(seed: int) -> str:
    return f"run{seed}"


def key_of(tenant: str) -> str:
    return f"key-of-{tenant}"


class Upstream:
    """The gateway that plays IonQ: it joins no submissions, answers with faults, and sends bills of its own prices."""

    def __init__(self, server: ForkServer, folder: Path, faults: dict[str, Any] | None = None) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.database = f"sqlite:///{folder}/upstream.db"
        plan, prices = folder / "faults.json", folder / "prices.json"
        plan.write_text(json.dumps(FAULTS if faults is None else faults))
        prices.write_text(json.dumps(_other_prices()))
        argv = ["gateway", "--port", str(self.port), "--database", self.database, "--workers", "1", "--simulate-qpus",
                "--idempotency-window-s", "-1", "--inject-faults", str(plan), "--price-table", str(prices)]  # fmt: skip
        env = {"QSTORE_GATEWAY_API_KEYS": f"ionq:{UPSTREAM_KEY}"}
        self.process = Process(server, argv, env, folder / "upstream.log")

    def start(self) -> None:
        self.process.start()
        wait_until_it_answers(self.url, self.process)

    def bills(self) -> dict[str, list[tuple[str, Decimal]]]:
        """Every job that was ever accepted, by the intent that it carries: its id and what it costs."""
        bills: dict[str, list[tuple[str, Decimal]]] = {}
        database = Database.open(self.database)
        try:
            for job in all_jobs(database, "ionq"):
                bills.setdefault(job.metadata["qstore_intent"], []).append((job.id, job.cost or Decimal(0)))
        finally:
            database.close()
        return bills


def _other_prices() -> dict[str, Any]:
    """Prices that differ from the gateway's own, so that a bill cannot be right by chance."""
    text = resources.files("quantum_db.pricing").joinpath("prices.json").read_text()
    prices: dict[str, Any] = json.loads(text)
    prices["targets"][QPU].update(minimum="0.0123", gate_1q_shot="0.000731", gate_2q_shot="0.003517")
    return prices


def all_jobs(database: Database, tenant: str) -> list[Any]:
    """All jobs of a tenant in a ledger."""
    from quantum_db.gateway.ledger import JobLedger

    found: list[Any] = []
    after: str | None = None
    while True:
        page = JobLedger(database).list(tenant, limit=100, after=after)
        found.extend(page.jobs)
        after = page.next
        if after is None:
            return found


@dataclass
class Submitted:
    """Jobs of one run as the client knows them: the id that it was answered for each."""

    ids: dict[int, str] = field(default_factory=dict)
    failure: BaseException | None = None


class Lane:
    """One gateway, one worker, one ledger. Runs follow each other; each has a tenant of its own."""

    def __init__(
        self, server: ForkServer, folder: Path, database: str, upstream: Upstream, seeds: Sequence[int],
        disturb: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True)
        self.database = database
        self.seeds = seeds
        self._disturb = disturb
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        tenants = ",".join(f"{run_name(seed)}:{key_of(run_name(seed))}" for seed in seeds)
        env = {"QSTORE_GATEWAY_API_KEYS": tenants, "IONQ_API_KEY": UPSTREAM_KEY}
        self.gateway = Process(
            server,
            ["gateway", "--port", str(port), "--database", database, "--upstream-url", upstream.url,
             "--long-poll-s", "1"],
            env, folder / "gateway.log",
        )  # fmt: skip
        self.worker = Process(
            server,
            ["worker", "--database", database, "--targets", f"simulator,{QPU}", "--upstream-url", upstream.url,
             "--lease-s", "2.5", "--submit-s", str(SUBMIT_S), "--settle-s", str(SETTLE_S), "--poll-s", "0.1",
             "--poll-longest-s", "0.5", "--requests-per-s", "200"],
            env, folder / "worker.log",
        )  # fmt: skip
        self.kills = 0

    def start(self) -> None:
        """Start both."""
        self.gateway.start()
        wait_until_it_answers(self.url, self.gateway)
        self.worker.start()

    def stop(self) -> None:
        """End both at once."""
        self.gateway.stop()
        self.worker.stop()

    def run(self, seed: int) -> dict[str, str]:
        """One run; returns intent -> job id of the paid jobs. AssertionError when a promise was broken."""
        jobs = draw_jobs(seed, run_name(seed))
        submitted = Submitted()
        client = threading.Thread(target=self._submit, args=(seed, jobs, submitted), daemon=True)
        client.start()
        self._kill(seed)
        client.join(_PATIENCE_S)
        if submitted.failure is not None:
            raise submitted.failure
        assert len(submitted.ids) == len(jobs), f"run {seed}: a submission was never answered"
        self._check_results(seed, jobs, submitted)
        self._check_ledger(seed, jobs, submitted)
        return {f"qstore-{submitted.ids[number]}": run_name(seed) for number, job in enumerate(jobs) if job.is_paid}

    def _kill(self, seed: int) -> None:
        """One to three blows at random moments; whatever is hit is started again a moment later."""
        generator = numpy_generator(seed, "blows of a kill test")
        moments = sorted(float(moment) for moment in generator.uniform(0.0, 0.9, int(generator.integers(1, 4))))
        began = time.monotonic()
        for moment in moments:
            time.sleep(max(0.0, began + moment - time.monotonic()))
            blow = float(generator.random())
            if self._disturb is not None and blow < 0.3:
                self._disturb()
                continue
            hit = [self.worker] if blow < 0.6 else [self.gateway] if blow < 0.8 else [self.worker, self.gateway]
            politely = self.worker in hit and generator.random() < 0.2
            for process in hit:
                process.stop(signal.SIGTERM if politely and process is self.worker else signal.SIGKILL)
                self.kills += 1
            time.sleep(float(generator.uniform(0.0, 0.15)))
            for process in hit:
                process.start()

    def _submit(self, seed: int, jobs: Sequence[DrawnJob], submitted: Submitted) -> None:
        """A client that repeats what was not answered: the intent in it makes that harmless."""
        try:
            with self._client(seed) as client:
                for number, job in enumerate(jobs):
                    answer = self._insist(lambda job=job: client.post("/v0.4/jobs", json=job.body))  # type: ignore[misc]
                    assert answer.status_code in (200, 201), f"run {seed}: {answer.status_code} {answer.text[:500]}"
                    submitted.ids[number] = answer.json()["id"]
        except BaseException as error:  # noqa: BLE001 - raised in the lane's thread
            submitted.failure = error

    def _check_results(self, seed: int, jobs: Sequence[DrawnJob], submitted: Submitted) -> None:
        with self._client(seed) as client:
            for number, job in enumerate(jobs):
                where = f"/v0.4/jobs/{submitted.ids[number]}"
                self._wait_for_end(client, where, seed)
                found = self._insist(lambda where=where: client.get(f"{where}/results/probabilities/aggregated")).json()  # type: ignore[misc]
                histograms = list(found.values()) if len(job.expected) > 1 else [found]
                _assert_same(histograms, job.expected, f"run {seed}, job {number} {where}")

    def _wait_for_end(self, client: httpx.Client, where: str, seed: int) -> None:
        end = time.monotonic() + _PATIENCE_S
        status = "unknown"
        while status != "completed":
            assert time.monotonic() < end, (
                f"run {seed}: {where} is {status} after {_PATIENCE_S} s; {self.worker.tail()}"
            )
            self._check_processes(seed)
            answer = self._insist(lambda: client.get(where))
            assert answer.status_code == 200, f"run {seed}: an accepted job is lost: {answer.status_code} for {where}"
            status = answer.json()["status"]
            assert status not in ("failed", "canceled"), f"run {seed}: {where} {answer.json().get('failure')}"

    def _check_processes(self, seed: int) -> None:
        """Nothing but a blow ends a process."""
        for process in (self.gateway, self.worker):
            code = process.ended()
            assert code is None, f"run {seed}: a process ended by itself with {code}: {process.tail()}"

    def _check_ledger(self, seed: int, jobs: Sequence[DrawnJob], submitted: Submitted) -> None:
        """As many jobs as were submitted, nothing reserved any more, and an empty queue."""
        database = Database.open(self.database)
        try:
            found = all_jobs(database, run_name(seed))
            assert {job.id for job in found} == set(submitted.ids.values()), f"run {seed}: other jobs than submitted"
            balance = Accounts(database).tenant(run_name(seed))
        finally:
            database.close()
        assert balance.reserved == 0, f"run {seed}: {balance.reserved} dollars are still reserved"
        assert balance.queued_jobs == 0
        assert balance.spent == sum((job.cost for job in found if job.cost is not None), Decimal(0))
        metrics = self._insist(lambda: httpx.get(f"{self.url}/metrics", timeout=5.0, verify=False)).text
        lengths = [line for line in metrics.splitlines() if line.startswith("quantum_circuit_queue_length{")]
        assert all(float(line.rsplit(" ", 1)[1]) == 0 for line in lengths), f"run {seed}: {lengths}"

    def _client(self, seed: int) -> httpx.Client:
        headers = {"Authorization": f"apiKey {key_of(run_name(seed))}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=10.0, verify=False)

    def _insist(self, ask: Callable[[], httpx.Response]) -> httpx.Response:
        """Ask again while the gateway is down, or says that it cannot answer now."""
        end = time.monotonic() + _PATIENCE_S
        while True:
            try:
                answer = ask()
                if answer.status_code not in (429, 502, 503, 504):
                    return answer
                trouble = f"{answer.status_code} {answer.text[:300]}"
            except httpx.TransportError as error:
                trouble = repr(error)
            assert time.monotonic() < end, f"no answer within {_PATIENCE_S} s: {trouble}; {self.gateway.tail()}"
            time.sleep(0.03)


def _assert_same(found: list[dict[str, float]], expected: list[dict[str, float]], what: str) -> None:
    assert len(found) == len(expected), f"{what}: {len(found)} histograms of {len(expected)}"
    for index, (one, other) in enumerate(zip(found, expected, strict=True)):
        assert one.keys() == other.keys(), f"{what}, circuit {index}"
        worst = max(abs(one[key] - other[key]) for key in one)
        assert worst < 1e-9, f"{what}, circuit {index}: differs by {worst}"
