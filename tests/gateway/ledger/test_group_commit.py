"""Writers that meet share one commit, each with its own outcome."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from quantum_db.gateway.ledger.engine import make_engine, parse_url
from quantum_db.gateway.ledger.group_commit import GroupCommit


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = make_engine(parse_url(f"sqlite:///{tmp_path}/numbers.db"))
    with engine.connect() as connection:
        connection.execute(text("CREATE TABLE numbers (value INTEGER PRIMARY KEY)"))
        connection.commit()
    yield engine
    engine.dispose()


def numbers(engine: Engine) -> list[int]:
    with engine.connect() as connection:
        return [row.value for row in connection.execute(text("SELECT value FROM numbers ORDER BY value"))]


def adds(value: int, then: Exception | None = None) -> Callable[[Connection], int]:
    def work(connection: Connection) -> int:
        connection.execute(text("INSERT INTO numbers VALUES (:value)"), {"value": value})
        if then is not None:
            raise then
        return value

    return work


class Crowd:
    """Lets one writer hold the turn until the others wait behind it, and keeps what became of each."""

    def __init__(self, group: GroupCommit) -> None:
        self._group = group
        self.outcomes: dict[int, object] = {}

    def run(self, works: list[Callable[[Connection], int]]) -> None:
        gate, holding = threading.Event(), threading.Event()

        def hold(connection: Connection) -> None:
            holding.set()
            assert gate.wait(30)

        first = threading.Thread(target=self._group.run, args=(hold,))
        first.start()
        assert holding.wait(30)
        others = [threading.Thread(target=self._one, args=pair) for pair in enumerate(works)]
        for thread in others:
            thread.start()
        while len(self._group._waiting) < len(works):
            threading.Event().wait(0.005)
        gate.set()
        for thread in (first, *others):
            thread.join(30)

    def _one(self, place: int, work: Callable[[Connection], int]) -> None:
        try:
            self.outcomes[place] = self._group.run(work)
        except Exception as error:  # noqa: BLE001 - it is what the test asks about
            self.outcomes[place] = error


def test_those_who_wait_share_one_commit(engine: Engine) -> None:
    commits: list[int] = []
    event.listen(engine, "commit", lambda connection: commits.append(1))
    crowd = Crowd(GroupCommit(engine))
    crowd.run([adds(value) for value in range(20)])
    assert crowd.outcomes == {value: value for value in range(20)}
    assert numbers(engine) == list(range(20))
    assert len(commits) == 1  # the one that held the turn wrote nothing


def test_one_failure_undoes_only_its_own_writes(engine: Engine) -> None:
    refused = ValueError("no")
    crowd = Crowd(GroupCommit(engine))
    crowd.run([adds(0), adds(1, refused), adds(2)])
    assert crowd.outcomes == {0: 0, 1: refused, 2: 2}
    assert numbers(engine) == [0, 2]


def test_a_failure_of_the_database_meets_only_its_own_writer(engine: Engine) -> None:
    crowd = Crowd(GroupCommit(engine))
    crowd.run([adds(0), adds(7), adds(7), adds(2)])
    failed = [outcome for outcome in crowd.outcomes.values() if isinstance(outcome, IntegrityError)]
    assert len(failed) == 1
    assert numbers(engine) == [0, 2, 7]


def test_a_refused_commit_is_told_to_everyone(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(text("CREATE TABLE parents (id INTEGER PRIMARY KEY)"))
        reference = "REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED"
        connection.execute(text(f"CREATE TABLE children (id INTEGER PRIMARY KEY {reference})"))
        connection.commit()

    def orphan(connection: Connection) -> int:
        connection.execute(text("INSERT INTO children VALUES (5)"))
        return 5

    crowd = Crowd(GroupCommit(engine))
    crowd.run([adds(0), orphan, adds(1)])  # only the commit finds out about the orphan
    assert (crowd.outcomes[0], crowd.outcomes[2]) == (0, 1)
    assert isinstance(crowd.outcomes[1], DBAPIError)
    assert numbers(engine) == [0, 1]


def test_more_writers_than_one_commit_takes_are_all_served(engine: Engine) -> None:
    crowd = Crowd(GroupCommit(engine))
    crowd.run([adds(value) for value in range(150)])
    assert numbers(engine) == list(range(150))
