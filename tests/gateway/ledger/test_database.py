"""What happens when the database is wrong, damaged, full, restarted, or its client is killed."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import update

from quantum_db.errors import ConfigurationError, StoreError
from quantum_db.gateway.ledger import Database
from quantum_db.gateway.ledger.database import Transaction
from quantum_db.gateway.ledger.errors import CommitUnknownError, LedgerUnavailableError
from quantum_db.gateway.ledger.records import TaskResult
from quantum_db.gateway.ledger.schema import tasks
from tests.gateway.ledger.samples import QPU, TENANT, Ledger, in_tasks, new_job, outcome
from tests.gateway.postgresql import PostgresServer


@pytest.mark.parametrize(
    "url",
    ["sqlite://", "sqlite:///:memory:", "mysql://u:secret@host/db", "postgresql+psycopg://u:secret@h/d", "gateway.db"],
)
def test_an_address_of_another_kind_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Database.open(url)
    assert "sqlite:///folder/gateway.db" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_server_that_is_not_there_is_named_without_its_password() -> None:
    with pytest.raises(LedgerUnavailableError, match=r"127\.0\.0\.1:1/gateway cannot be reached") as caught:
        Database.open("postgresql://me:secret@127.0.0.1:1/gateway", retry_s=0.1)
    assert "secret" not in str(caught.value)


def test_a_database_that_is_not_there_is_named(postgresql: PostgresServer) -> None:
    with pytest.raises(StoreError, match="has no such database"):
        Database.open(f"postgresql+pg8000://postgres@127.0.0.1:{postgresql.port}/nothing", retry_s=0.1)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    path.write_bytes(b"this is a text of some length, and no database at all" * 100)
    with pytest.raises(StoreError, match=r"gateway\.db is damaged or no SQLite database.*restore a backup"):
        Database.open(f"sqlite:///{path}")
    assert path.read_bytes().startswith(b"this is a text")


def test_a_damaged_file_is_named_and_no_other_result_comes_out(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    ledger = Ledger(Database.open(f"sqlite:///{path}"))
    jobs = [ledger.accept(metadata={"long": os.urandom(3000).hex()}) for _ in range(40)]
    ledger.database.close()
    with path.open("r+b") as file:
        file.seek(3 * 4096)
        file.write(os.urandom(path.stat().st_size - 5 * 4096))

    def read_everything() -> None:
        damaged = Ledger(Database.open(f"sqlite:///{path}"))
        for job in jobs:
            assert damaged.jobs.get(TENANT, job.id) == job
            assert damaged.jobs.body(job.id) == new_job().body

    with pytest.raises(StoreError, match=r"damaged"):
        read_everything()


def test_changed_bytes_of_a_body_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    ledger = Ledger(Database.open(f"sqlite:///{path}"))
    job = ledger.accept(body={"circuit": ["x"] * 1000})
    with sqlite3.connect(path) as connection:
        (body,) = connection.execute("SELECT body FROM bodies").fetchone()
        connection.execute("UPDATE bodies SET body = ?", (body[:20] + b"!" + body[21:],))
    with pytest.raises(StoreError, match="record of the ledger is damaged"):
        ledger.jobs.body(job.id)
    ledger.database.close()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be made"):
        Database.open(f"sqlite:///{tmp_path}/file/gateway.db")


def test_a_full_disk_refuses_jobs_and_loses_none(tmp_path: Path) -> None:
    """The database may grow to some pages only, which SQLite reports just as a full disk."""
    database = Database.open(f"sqlite:///{tmp_path}/gateway.db", retry_s=0.2)
    ledger = Ledger(database)
    for connection in [database._engine.connect() for _ in range(3)]:
        connection.exec_driver_sql("PRAGMA max_page_count = 120")
        connection.rollback()
        connection.close()
    accepted, refused = [], []
    for _ in range(150):
        try:
            accepted.append(ledger.accept(metadata={"long": os.urandom(4000).hex()}))
        except LedgerUnavailableError as error:
            refused.append(str(error))
    assert refused
    assert all("is full; nothing was written" in said for said in refused)
    assert [ledger.status(job) for job in accepted] == ["ready"] * len(accepted)
    assert ledger.queue.queue_length() == {"simulator": len(accepted)}
    assert ledger.accounts.tenant(TENANT).queued_jobs == len(accepted)
    ledger.jobs.delete_many(TENANT, [job.id for job in accepted])
    assert ledger.status(ledger.accept()) == "ready"  # there is room again
    database.close()


def test_a_writer_of_another_process_is_waited_for_and_then_given_up(tmp_path: Path) -> None:
    ledger = Ledger(Database.open(f"sqlite:///{tmp_path}/gateway.db", retry_s=0.1))
    other = sqlite3.connect(tmp_path / "gateway.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(0.5, lambda: other.execute("COMMIT")).start()
    assert ledger.accept().status == "ready"
    assert ledger.jobs.list(TENANT).next is None  # readers never wait
    ledger.database.close()
    other.close()


def test_broken_connections_are_made_anew(postgresql: PostgresServer) -> None:
    ledger = Ledger(Database.open(postgresql.new_database()))
    job = ledger.accept()
    for _ in range(3):
        postgresql.drop_connections()
        assert ledger.jobs.get(TENANT, job.id) == job
        postgresql.drop_connections()
        ledger.accept()
    assert ledger.queue.queue_length() == {"simulator": 4}
    ledger.database.close()


@pytest.mark.parametrize("how", ["fast", "immediate"])
def test_a_restart_of_the_server_loses_and_doubles_nothing(postgresql: PostgresServer, how: str) -> None:
    url = postgresql.new_database()
    ledger, made = Ledger(Database.open(url)), []
    stop = threading.Event()

    def submit() -> None:
        while not stop.is_set():
            job = ledger.accept_paid("1")
            made.append(job.id)

    def work() -> None:
        while not stop.is_set():
            for task in ledger.take(target=QPU, most=3):
                ledger.queue.complete([outcome(task)])

    threads = [threading.Thread(target=run) for run in (submit, submit, work)]
    for thread in threads:
        thread.start()
    for _ in range(2):
        time.sleep(0.5)
        postgresql.stop(how)
        postgresql.start()
    time.sleep(0.5)
    stop.set()
    for thread in threads:
        thread.join(60)
    page = ledger.jobs.list(TENANT, limit=100_000)
    assert sorted(job.id for job in page.jobs) == sorted(made)
    while taken := ledger.take(target=QPU):
        ledger.queue.complete([outcome(task) for task in taken])
    expired = [job for job in made if ledger.jobs.get(TENANT, job).status != "completed"]
    assert len(expired) <= 3 * 2 * 2  # leased in a commit whose answer was lost; they come back when that lease ends
    assert ledger.accounts.tenant(TENANT).spent == len(made) - len(expired)
    ledger.check_books()
    ledger.database.close()


def test_a_commit_that_may_have_happened_is_not_called_undone(postgresql: PostgresServer) -> None:
    """The server goes away between the last statement and the commit, and does not come back in time."""
    ledger = Ledger(Database.open(postgresql.new_database(), retry_s=0.2))

    def work(transaction: Transaction) -> None:
        assert transaction.now() > 0
        postgresql.stop("immediate")

    with pytest.raises(CommitUnknownError, match="may or may not have happened"):
        ledger.database.write(work)
    postgresql.start()
    ledger.database.ping()
    ledger.database.close()


VICTIM = """
import sys
from decimal import Decimal
from quantum_db.gateway.ledger import Database
from tests.gateway.ledger.samples import QPU, Ledger, outcome
ledger = Ledger(Database.open(sys.argv[1]))
number = 0
while True:
    job = ledger.accept_paid("1.25", intent_id=f"{sys.argv[2]}-{number}")
    print(f"accepted {job.id}", flush=True)
    for task in ledger.take(target=QPU, most=2, lease_s=0.05):
        ledger.queue.complete([outcome(task, cost=Decimal("1.01"))])
        print(f"completed {task.job_id}", flush=True)
    number += 1
"""


def test_a_killed_client_loses_nothing_that_it_was_told(ledger: Ledger, database_url: str) -> None:
    root = Path(__file__).resolve().parents[3]
    accepted: set[str] = set()
    completed: set[str] = set()
    for round_ in range(4):
        command = [sys.executable, "-c", VICTIM, database_url, str(round_)]
        victim = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)
        assert victim.stdout is not None
        lines = [victim.stdout.readline() for _ in range(6 + 5 * round_)]
        victim.send_signal(signal.SIGKILL)
        lines += victim.communicate(timeout=60)[0].splitlines()
        words = [line.split() for line in lines if line.count(" ") == 1 and len(line.split()[1]) == 36]
        accepted |= {job_id for word, job_id in words if word == "accepted"}
        completed |= {job_id for word, job_id in words if word == "completed"}
        ledger.check_books()
    assert len(accepted) >= 12
    found = {job.id: job for job in ledger.jobs.list(TENANT, limit=10_000).jobs}
    assert accepted <= set(found)
    assert all(found[job_id].status == "completed" for job_id in completed)
    time.sleep(0.1)
    while taken := ledger.take(target=QPU):
        ledger.queue.complete([outcome(task, cost=Decimal("1.01")) for task in taken])
    ends = [ledger.jobs.get(TENANT, job_id) for job_id in found]
    assert {job.status for job in ends} <= {"completed", "failed"}
    assert ledger.accounts.tenant(TENANT).spent == Decimal("1.01") * sum(job.status == "completed" for job in ends)
    assert ledger.accounts.tenant(TENANT).reserved == 0
    assert ledger.queue.queue_length() == {}
    ledger.check_books()


def test_a_failure_in_the_middle_writes_nothing(ledger: Ledger) -> None:
    ledger.accept(**in_tasks(1, 1))
    first, second = ledger.take()

    def work(transaction: Transaction) -> None:
        transaction.execute(update(tasks).values(state="done"))
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        ledger.database.write(work)
    with pytest.raises(ValueError, match="1 circuits and 0 results"):
        ledger.queue.complete([outcome(first), TaskResult(second.token, [])])
    assert ledger.queue.queue_length() == {"simulator": 2}
