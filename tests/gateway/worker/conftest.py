from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from quantum_db.gateway.ledger import Database
from tests.gateway.upstream.played import Played, PlayedUpstream
from tests.gateway.worker.ledgers import Ledger


@pytest.fixture
def upstream() -> Iterator[Played]:
    """A service like IonQ's, empty."""
    with PlayedUpstream() as played:
        yield played


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger in a SQLite file."""
    url = f"sqlite:///{tmp_path}/gateway.db"
    database = Database.open(url)
    yield Ledger(database, url)
    database.close()
