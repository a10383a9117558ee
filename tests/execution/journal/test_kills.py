"""The training is killed at every step of the journal, with and without faults of the provider; nothing is paid twice.

The provider is the real gateway in a process of its own. It charges for its simulator by a price table, keeps its own
books, and (except where duplicates are injected) has its idempotency switched off, as IonQ has none.
"""

import json
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import httpx
import pytest

from quantum_db.execution.budget.local_ledger import LocalBudget
from quantum_db.execution.journal import Journal
from tests.execution.journal.gateways import FAULTS, PRICES, ForkServer
from tests.execution.journal.killed_training import POINTS, STEPS

RUNS, KILLS_PER_RUN = 9, 6


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
