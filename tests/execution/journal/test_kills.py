"""The training is killed at every step of the journal, with and without faults of the provider; nothing is paid twice.

The provider is the real gateway in a process of its own. It charges for its simulator by a price table, keeps its own
books, and (except where duplicates are injected) has its idempotency switched off, as IonQ has none.
"""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from quantum_db.execution.budget.local_ledger import LocalBudget
from quantum_db.execution.journal import Journal
from tests.execution.journal.killed_training import POINTS, STEPS

ROOT = Path(__file__).resolve().parents[3]
PRICES = {
    "version": "test", "unit": "usd",
    "targets": {"simulator": {
        "model": "gate_shot", "gate_1q_shot": "0.00013", "gate_2q_shot": "0.0011", "minimum": "0.37",
        "minimum_mitigated": "0.37", "source": "https://example.org", "date": "2026-11-22", "note": "for this test",
    }},
}  # fmt: skip
RUNS, KILLS_PER_RUN = 7, 6

# name -> (rules of the gateway's fault plan, seconds of its idempotency window; -1 switches all of it off)
POST = {"method": "POST", "path": "^/v0.4/jobs$"}
FAULTS = {
    "none": ([], -1),
    "429": ([{**POST, "kind": "status_before", "status": 429, "probability": 0.3}], -1),
    "503 after acceptance": ([{**POST, "kind": "status_after", "status": 503, "probability": 0.3}], -1),
    "504 after acceptance": ([{**POST, "kind": "status_after", "status": 504, "probability": 0.3}], -1),
    "lost answer": (
        [{**POST, "kind": "drop_answer", "probability": 0.3}, {"kind": "drop_answer", "probability": 0.03}], -1,
    ),
    "duplicate": ([{**POST, "kind": "duplicate", "probability": 0.5}], 2),
}  # fmt: skip


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class ForkServer:
    """The process of `killed_training`, which starts gateways and trainings in no time."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.execution.journal.killed_training"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout.readline(), "the fork server did not start"
        self.mutex = threading.Lock()

    def ask(self, **request):
        with self.mutex:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())

    def wait(self, pid):
        end = time.monotonic() + 120
        while self.ask(poll=pid)["code"] is None:
            assert time.monotonic() < end, "a process did not end"
            time.sleep(0.02)

    def train(self, folder, url, key, kills):
        """One training with its kills; the report."""
        folder.mkdir()
        self.wait(self.ask(folder=str(folder), url=url, key=key, kills=kills)["pid"])
        return json.loads((folder / "report.json").read_text())

    @contextmanager
    def gateway(self, folder, keys, fault):
        rules, window = FAULTS[fault]
        folder.mkdir()
        (folder / "prices.json").write_text(json.dumps(PRICES))
        port = free_port()
        argv = ["gateway", "--port", str(port), "--database", f"sqlite:///{folder}/ledger.db", "--workers", "1",
                "--price-table", str(folder / "prices.json"), "--long-poll-s", "5", "--idempotency-window-s",
                str(window)]  # fmt: skip
        if rules:
            (folder / "faults.json").write_text(json.dumps({"seed": 5, "rules": rules}))
            argv += ["--inject-faults", str(folder / "faults.json")]
        accounts = ",".join(f"{name}:{key}" for name, key in keys.items())
        pid = self.ask(argv=argv, env={"QSTORE_GATEWAY_API_KEYS": accounts}, log=str(folder / "log"))["pid"]
        try:
            wait_for(f"http://127.0.0.1:{port}", folder / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            os.kill(pid, signal.SIGTERM)
            self.wait(pid)

    def close(self):
        self.process.stdin.close()
        self.process.wait(20)


def wait_for(url, log):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            if httpx.get(f"{url}/ready", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"the gateway is not ready: {log.read_text()[-2000:] if log.exists() else 'no log'}")


@pytest.fixture(scope="module")
def forks():
    server = ForkServer()
    yield server
    server.close()


def jobs_of(url, key):
    """All jobs that the provider has of one account, read as often as its faults make necessary."""
    jobs, cursor = [], None
    with httpx.Client(headers={"Authorization": f"apiKey {key}"}, timeout=20) as client:
        while True:
            answer = again(lambda at=cursor: client.get(f"{url}/v0.4/jobs", params={"limit": 100} | next_of(at)))
            jobs += answer["jobs"]
            cursor = answer["next"]
            if not cursor:
                break
        return [(job, charge(client, url, job)) for job in jobs]


def next_of(cursor):
    return {"next": cursor} if cursor else {}


def charge(client, url, job):
    answer = again(lambda: client.get(f"{url}/v0.4/jobs/{job['id']}/cost"), parse_float=Decimal)
    return Decimal(answer["cost"]["value"])


def again(ask, **options):
    for _ in range(50):
        try:
            answer = ask()
        except httpx.TransportError:
            continue
        if answer.status_code == 200:
            return json.loads(answer.content, **options)
    raise AssertionError("the gateway does not answer")


def plans(seed):
    """The kills of each run: all points come up in turn, at a random occurrence of theirs."""
    generator = random.Random(seed)
    points = [POINTS[number % len(POINTS)] for number in range(RUNS * KILLS_PER_RUN)]
    generator.shuffle(points)
    for number in range(RUNS):
        chosen = points[number * KILLS_PER_RUN : (number + 1) * KILLS_PER_RUN]
        yield [[point, generator.choice((1, 1, 1, 2))] for point in chosen]


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_killed_training_ends_as_if_nothing_had_happened_and_pays_once(fault, tmp_path, forks):
    keys = {f"run{number}": f"key-{number}-{'x' * 24}" for number in range(RUNS + 1)}
    (tmp_path / "prices.json").write_text(json.dumps(PRICES))
    folders = {name: tmp_path / name for name in keys}
    plan = {"run0": []} | {f"run{number}": kills for number, kills in enumerate(plans(list(FAULTS).index(fault)), 1)}
    with forks.gateway(tmp_path / "gateway", keys, fault) as url, ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(lambda name: forks.train(folders[name], url, keys[name], plan[name]), keys))
        books = {name: jobs_of(url, key) for name, key in keys.items()}
    undisturbed = json.loads((folders["run0"] / "done.json").read_text())
    for name, folder in folders.items():
        check_run(folder, books[name], undisturbed, books["run0"])
    killed = Counter(point for report in reports for point in report["killed"])
    print(f"\n{fault}: {killed.total()} kills at {len(killed)} of {len(POINTS)} points, {RUNS} runs")
    assert killed.total() >= 34
    assert len(killed) >= len(POINTS) - 2


def check_run(folder, book, undisturbed, reference):
    assert json.loads((folder / "done.json").read_text()) == undisturbed, "other weights"
    marks = Counter(job["metadata"]["qstore_intent"] for job, _ in book)
    assert set(marks.values()) == {1}, f"submitted more than once: {marks}"
    assert len(book) == len(reference) == STEPS, "circuits were paid for twice, or not at all"
    assert {job["status"] for job, _ in book} == {"completed"}
    bill = sum(cost for _, cost in book)
    assert bill == sum(cost for _, cost in reference) > 0
    balance = LocalBudget(folder / "budget.sqlite").balance()
    assert (balance.spent, balance.reserved) == (bill, 0), "the ledger differs from the provider's bill"
    journal = Journal.read(folder)
    assert {entry.state for entry in journal.entries} == {"result"}
    assert sum(entry.cost_usd for entry in journal.entries) == bill
    assert {entry.ticket.job_id for entry in journal.entries} == {job["id"] for job, _ in book}
