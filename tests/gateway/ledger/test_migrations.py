"""The schema that the migrations make is the one that the code works with."""

from __future__ import annotations

import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from quantum_db.errors import StoreError
from quantum_db.gateway.ledger import Database
from quantum_db.gateway.ledger.engine import make_engine, parse_url
from quantum_db.gateway.ledger.migrating import SCRIPTS
from quantum_db.gateway.ledger.schema import HEAD, metadata
from tests.gateway.ledger.samples import Ledger


def test_there_is_one_line_of_migrations_up_to_head() -> None:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    script = ScriptDirectory.from_config(config)
    assert script.get_heads() == [HEAD]
    assert all(f"r{one.revision}_" in one.path for one in script.walk_revisions())


def test_migrations_make_the_tables_that_the_code_expects(empty_url: str) -> None:
    Database.open(empty_url).close()
    engine = make_engine(parse_url(empty_url))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        columns = {table.name: [column.name for column in table.columns] for table in metadata.sorted_tables}
        for table, names in columns.items():
            found = connection.execute(text(f"SELECT * FROM {table} LIMIT 1")).keys()
            assert list(found) == names
    engine.dispose()


def test_opening_again_keeps_everything(ledger: Ledger, database_url: str) -> None:
    job = ledger.accept()
    for _ in range(2):
        again = Ledger(Database.open(database_url))
        assert again.jobs.get(job.tenant, job.id) == job
        again.database.close()


def test_many_processes_may_open_a_new_ledger_together(empty_url: str) -> None:
    code = f"from quantum_db.gateway.ledger import Database; Database.open({empty_url!r}).ping()"
    running = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) for _ in range(4)]
    errors = [process.communicate(timeout=120)[1] for process in running]
    assert [process.returncode for process in running] == [0] * 4, errors


def test_a_newer_schema_is_refused(ledger: Ledger, database_url: str) -> None:
    engine = make_engine(parse_url(database_url))
    with engine.connect() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        connection.commit()
    engine.dispose()
    with pytest.raises(StoreError, match=rf"schema 9999, made by a newer Q-Store; this one knows up to {HEAD}"):
        Database.open(database_url)


def test_something_else_than_a_ledger_is_refused(empty_url: str) -> None:
    engine = make_engine(parse_url(empty_url))
    with engine.connect() as connection:
        connection.execute(text("CREATE TABLE recipes (id INTEGER PRIMARY KEY)"))
        connection.commit()
    engine.dispose()
    with pytest.raises(StoreError, match="something else than a ledger \\(tables recipes\\)"):
        Database.open(empty_url)
