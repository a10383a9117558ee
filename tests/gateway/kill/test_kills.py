"""Gateways and workers that die at random moments, in front of an upstream that takes money.

After every run: each accepted job is there and completed, its results are those of an undisturbed run, nothing is
reserved, the queue is empty. After all runs: the upstream has each job once, and its bill is what was charged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest

from quantum_db.gateway.ledger import Accounts, Database
from tests.gateway.kill.lanes import Lane, Upstream, run_name
from tests.gateway.kill.processes import ForkServer
from tests.gateway.postgresql import PostgresServer, require_postgresql

RUNS_ON_SQLITE = 168
RUNS_ON_POSTGRESQL = 36
LANES = 12


@pytest.fixture(scope="module")
def fork_server() -> Iterator[ForkServer]:
    with ForkServer() as server:
        yield server


def run_lanes(lanes: Sequence[Lane], upstream: Upstream, record: Callable[[str, object], None]) -> None:
    """Run all lanes side by side, then compare what the upstream has with what the ledgers say."""
    upstream.start()
    try:
        with ThreadPoolExecutor(len(lanes)) as pool:
            paid = list(pool.map(_run_lane, lanes))
        charged: dict[str, Decimal] = {}
        for lane in lanes:
            charged.update(_charges(lane))
            lane.stop()
            record("kills", lane.kills)
    finally:
        for lane in lanes:
            lane.stop()
        upstream.process.stop()
    bills = upstream.bills()
    wanted = {intent: run for intents in paid for intent, run in intents.items()}
    assert {intent: jobs for intent, jobs in bills.items() if len(jobs) > 1} == {}, "submitted twice"
    assert bills.keys() == wanted.keys(), "the upstream has other jobs than were submitted"
    billed: dict[str, Decimal] = dict.fromkeys(charged, Decimal(0))
    for intent, jobs in bills.items():
        billed[wanted[intent]] += jobs[0][1]
    assert billed == charged
    assert sum(billed.values()) > 0


def _drop_connections(postgresql: PostgresServer, name: str) -> None:
    """Break every connection to one database, as a network fault would."""
    postgresql.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")


def _run_lane(lane: Lane) -> dict[str, str]:
    lane.start()
    paid: dict[str, str] = {}
    for seed in lane.seeds:
        paid.update(lane.run(seed))
    return paid


def _charges(lane: Lane) -> dict[str, Decimal]:
    database = Database.open(lane.database)
    try:
        return {run_name(seed): Accounts(database).tenant(run_name(seed)).spent for seed in lane.seeds}
    finally:
        database.close()


@pytest.mark.slow
@pytest.mark.timeout(900)  # seconds on a machine that is busy otherwise; two minutes on an idle one
def test_killed_processes_on_sqlite(
    fork_server: ForkServer, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    upstream = Upstream(fork_server, tmp_path)
    lanes = [
        Lane(
            fork_server,
            tmp_path / f"lane{number}",
            f"sqlite:///{tmp_path}/lane{number}/gateway.db",
            upstream,
            range(number, RUNS_ON_SQLITE, LANES),
        )
        for number in range(LANES)
    ]
    run_lanes(lanes, upstream, record_property)


@pytest.mark.slow
@pytest.mark.timeout(900)  # seconds on a machine that is busy otherwise; two minutes on an idle one
def test_killed_processes_and_broken_connections_on_postgresql(
    fork_server: ForkServer, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with PostgresServer(require_postgresql()) as postgresql:
        upstream = Upstream(fork_server, tmp_path)
        lanes = []
        for number in range(LANES):
            seeds = range(1000 + number, 1000 + RUNS_ON_POSTGRESQL, LANES)
            address = postgresql.new_database()
            drop = partial(_drop_connections, postgresql, address.rsplit("/", 1)[1])
            lanes.append(Lane(fork_server, tmp_path / f"lane{number}", address, upstream, seeds, drop))
        run_lanes(lanes, upstream, record_property)
