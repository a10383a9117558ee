"""A real PostgreSQL server for tests, from Debian's packages (`apt-get install postgresql`) or from PATH.

It listens on a free port of this machine, keeps its data in a temporary folder, and takes any password. PostgreSQL
refuses to run as root; then it runs as the user `postgres` that the package makes.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import pytest

_OPTIONS = (
    "-c",
    "fsync=off",
    "-c",
    "unix_socket_directories=",
    "-c",
    "max_connections=200",
    "-c",
    "shared_buffers=32MB",
)
_PATIENCE_S = 60.0


def find_programs() -> Path | None:
    """The folder with initdb and postgres, None when there is no PostgreSQL here."""
    found = shutil.which("initdb")
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name), reverse=True
    )
    candidates = [*folders, *([Path(found).resolve().parent] if found else [])]
    return next((folder for folder in candidates if (folder / "initdb").is_file()), None)


def require_postgresql() -> Path:
    """The folder of the programs; skips the test without them, or fails it if QSTORE_REQUIRE_POSTGRESQL is 1."""
    programs = find_programs()
    if programs is None:
        reason = "there is no PostgreSQL on this machine; on Debian: apt-get install postgresql"
        if os.environ.get("QSTORE_REQUIRE_POSTGRESQL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return programs


class PostgresServer:
    """One server; use it as a context manager. `fsync` is off: what is tested are processes that die, not disks."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._user = "postgres" if os.geteuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix="qstore-postgresql-"))
        self._data = self._folder / "data"
        self._databases = 0
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    def __enter__(self) -> PostgresServer:
        if self._user is not None:
            os.chown(self._folder, pwd.getpwnam(self._user).pw_uid, pwd.getpwnam(self._user).pw_gid)
        initdb = ["initdb", "--pgdata", str(self._data), "--username", "postgres", "--auth", "trust", "--no-sync"]
        self._run([*initdb, "--encoding", "UTF8", "--locale", "C"])
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, "-h", "127.0.0.1", "-p", str(self.port), *_OPTIONS],
                user=self._user,
                stdout=log,
                stderr=log,
                cwd=self._folder,
            )
        deadline = time.monotonic() + _PATIENCE_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL does not start: {(self._folder / 'log').read_text()[-2000:]}")
            time.sleep(0.05)

    def stop(self, how: str = "fast") -> None:
        """Stop the server: `fast` breaks its connections, `immediate` is a crash."""
        if self._process is None:
            return
        self._run(["pg_ctl", "stop", "--pgdata", str(self._data), "--mode", how, "--wait"])
        self._process.wait(_PATIENCE_S)
        self._process = None

    def new_database(self, template: str = "template1") -> str:
        """Make a database like `template`, by default an empty one; return its address for `Database.open`."""
        self._databases += 1
        name = f"ledger{self._databases}"
        self.sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        return f"postgresql+pg8000://postgres:any@127.0.0.1:{self.port}/{name}"

    def drop_connections(self) -> None:
        """Break every other connection to the server, as a network fault would."""
        self.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")

    def sql(self, statement: str) -> None:
        """Run a statement in the database `postgres`."""
        psql = ["psql", "--no-psqlrc", "--quiet", "--host", "127.0.0.1", "--port", str(self.port)]
        self._run([*psql, "--username", "postgres", "--command", statement])

    def _answers(self) -> bool:
        ready = [self._programs / "pg_isready", "--quiet", "--host", "127.0.0.1", "--port", str(self.port)]
        return subprocess.run(ready, check=False).returncode == 0

    def _run(self, command: list[str]) -> None:
        program, *arguments = command
        done = subprocess.run(
            [self._programs / program, *arguments], user=self._user, capture_output=True, text=True, check=False,
            cwd=self._folder,
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed: {done.stderr[-2000:]}")


@contextlib.contextmanager
def postgresql_server() -> Iterator[PostgresServer]:
    """A running server, stopped and removed at the end of the block."""
    with PostgresServer(require_postgresql()) as server:
        yield server
