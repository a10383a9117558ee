"""`Journal`: the file, the lock that gives it one writer, and the state of every job in it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from quantum_db.backends.remote import CircuitJob, Collected, Intent, Ticket
from quantum_db.errors import BackendError, StoreError
from quantum_db.execution.journal.chain import START, ChainWriter, Line, read_line, read_lines
from quantum_db.execution.journal.entries import (
    JobEntry,
    collected_from,
    entry_from_intent,
    intent_record,
    result_record,
)

FILE = "journal.jsonl"
"""The journal's file in the folder of a run."""
_VERSION = 1
_LOG = logging.getLogger(__name__)


class JournalMissError(BackendError):
    """A replayed run asks for circuits that its journal has no results of; nothing was submitted."""


def circuit_keys(job: CircuitJob, target: str, options: Mapping[str, Any]) -> tuple[str, ...]:
    """SHA-256 (hex) of each circuit of `job` with all that its result depends on, whatever job it is part of."""
    return _keys(job.fingerprints, [job.shots, job.sampling_seed, job.as_written, target, options])


def entry_keys(entry: JobEntry) -> tuple[str, ...]:
    """The `circuit_keys` of a recorded job."""
    intent = entry.intent
    seed = None if intent.shots is None else entry.seed
    return _keys(entry.fingerprints, [intent.shots, seed, entry.as_written, intent.target, entry.options])


def _keys(fingerprints: tuple[str, ...], rest: list[Any]) -> tuple[str, ...]:
    tail = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return tuple(hashlib.sha256((one + tail).encode()).hexdigest() for one in fingerprints)


class Journal:
    """The jobs of one run. Several threads may use it; one process at a time may write it.

    Make one with `Journal.open` (to write) or `Journal.read` (a look at it, at any time, also while it is written).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run = ""
        self.journal_id = ""
        self.head = START
        """The hash of the last line: it covers the whole file."""
        self._entries: dict[str, JobEntry] = {}
        self._latest: dict[str, str] = {}
        self._writer: ChainWriter | None = None
        self._lock_file: int | None = None
        self._mutex = threading.RLock()
        self._end = 0

    @classmethod
    def open(cls, folder: Path | str, run: str) -> Journal:
        """The journal of the run `run` in `folder`, to write; it is made if there is none.

        Raises StoreError when it belongs to another run, is damaged, or another process is writing it.
        """
        path = Path(folder) / FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = _locked(path)
        try:
            journal = cls(path)
            journal._lock_file = lock
            if path.exists():
                journal._load()
            journal._begin(run)
        except BaseException:
            os.close(lock)
            raise
        return journal

    @classmethod
    def read(cls, folder: Path | str) -> Journal:
        """The journal in `folder` (or a journal's own path), to look at; StoreError when there is none."""
        path = Path(folder)
        path = path / FILE if path.is_dir() else path
        if not path.is_file():
            raise StoreError(f"there is no journal at {path}; name the folder of a run on a machine, or its {FILE}")
        journal = cls(path)
        journal._load()
        if not journal.journal_id:
            raise StoreError(f"{path} holds no journal yet: the run was stopped before it wrote anything")
        return journal

    @property
    def entries(self) -> tuple[JobEntry, ...]:
        """All jobs, in the order of their intents."""
        with self._mutex:
            return tuple(self._entries.values())

    @property
    def id_prefix(self) -> str:
        """How the intent ids of this journal begin; no other journal's do."""
        return f"qs-{self.journal_id[:12]}-"

    def entry(self, intent_id: str) -> JobEntry | None:
        """The job with this intent id, None if there is none."""
        with self._mutex:
            return self._entries.get(intent_id)

    def latest(self, digest: str) -> JobEntry | None:
        """The latest entry of the job with this digest, None if there is none."""
        with self._mutex:
            intent_id = self._latest.get(digest)
            return None if intent_id is None else self._entries[intent_id]

    def next_intent_id(self, digest: str) -> str:
        """The intent id that the job has, or would have if it were submitted now."""
        entry = self.latest(digest)
        if entry is not None and entry.state not in ("failed", "dropped"):
            return entry.intent.intent_id
        attempt = 1 if entry is None else entry.attempt + 1
        return f"{self.id_prefix}{digest[:32]}-{attempt}"

    def record_intent(
        self, job: CircuitJob, digest: str, target: str, options: Mapping[str, Any], sizes: tuple[tuple[int, int], ...]
    ) -> JobEntry:
        """Write down that `job` is about to be submitted; the entry it starts."""
        with self._mutex:
            before = self.latest(digest)
            intent = Intent.of(job, target, self.next_intent_id(digest))
            entry = JobEntry(
                digest=digest,
                attempt=1 if before is None else before.attempt + 1,
                intent=intent,
                state="intent",
                sent_at=intent.recorded_at,
                options=options,
                sizes=sizes,
                fingerprints=job.fingerprints,
                seed=job.seed,
                as_written=job.as_written,
            )
            line = self._append("intent", intent_record(entry))
            return self._keep(replace(entry, line=replace(line, record={})))

    def record_again(self, entry: JobEntry) -> JobEntry:
        """Write down that the job proved to be absent and is about to be sent again, under the same intent id."""
        again = replace(entry, sent_at=datetime.now(UTC).isoformat())
        return self._step(entry, "intent", intent_record(again))

    def record_submitted(self, entry: JobEntry, ticket: Ticket, adopted: bool = False) -> JobEntry:
        """Write down the provider's id of the job; `adopted` where it was looked up after a lost answer."""
        record = {"job_id": ticket.job_id, "submitted_at": ticket.submitted_at, "adopted": adopted}
        return self._step(entry, "submitted", record)

    def record_result(self, entry: JobEntry, collected: Collected) -> JobEntry:
        """Write down the raw result."""
        return self._step(entry, "result", result_record(collected))

    def record_failed(self, entry: JobEntry, message: str, cost_usd: Decimal | None) -> JobEntry:
        """Write down that the provider ended the job without a result, and what it charged for it."""
        cost = None if cost_usd is None else str(cost_usd)
        return self._step(entry, "failed", {"message": message, "cost_usd": cost})

    def record_dropped(self, entry: JobEntry, message: str) -> JobEntry:
        """Write down that the provider certainly has no such job and that it will not be sent again."""
        return self._step(entry, "dropped", {"message": message})

    def result(self, entry: JobEntry) -> Collected:
        """The raw result of an entry in the state "result", read from the file."""
        if entry.state != "result" or entry.line is None:
            raise StoreError(f"job {entry.intent.intent_id} has no result; its latest record is {entry.state!r}")
        return collected_from(read_line(self.path, entry.line))

    def close(self) -> None:
        """Close the file and let another process write it."""
        with self._mutex:
            if self._writer is not None:
                self._writer.close()
            if self._lock_file is not None:
                os.close(self._lock_file)
            self._writer = self._lock_file = None

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _load(self) -> None:
        for line in read_lines(self.path):
            self._take(line)
            self.head, self._end = line.hash, line.offset + line.size

    def _take(self, line: Line) -> None:
        record = line.record
        kind = record.get("kind")
        if kind == "opened":
            if record.get("version") != _VERSION:
                raise StoreError(
                    f"{self.path} has version {record.get('version')!r}; this Q-Store reads version {_VERSION}"
                )
            self.run, self.journal_id = str(record["run"]), str(record["journal"])
        elif kind == "intent" and record["intent"]["intent_id"] not in self._entries:
            self._keep(entry_from_intent(record, line))
        else:
            name = record["intent"]["intent_id"] if kind == "intent" else record["intent_id"]
            self._keep(self._entries[name].after(str(kind), record, line))

    def _begin(self, run: str) -> None:
        torn = self.path.stat().st_size - self._end if self.path.exists() else 0
        if torn:
            _LOG.warning("%s ends in a torn line of %d bytes, never relied upon; it is dropped", self.path, torn)
        if self.journal_id and self.run != run:
            raise StoreError(
                f"{self.path} is the journal of run {self.run!r}, not of {run!r}; give this run a folder of its own"
            )
        self._writer = ChainWriter(self.path, self._end, self.head)
        if not self.journal_id:
            self.run, self.journal_id = run, uuid.uuid4().hex
            self._append("opened", {"version": _VERSION, "run": run, "journal": self.journal_id})

    def _append(self, kind: str, content: Mapping[str, Any]) -> Line:
        if self._writer is None:
            raise StoreError(f"{self.path} is open for reading only")
        now = datetime.now(UTC).isoformat()
        line = self._writer.append({"kind": kind, "at": now, **content})
        self.head = line.hash
        return line

    def _step(self, entry: JobEntry, kind: str, content: Mapping[str, Any]) -> JobEntry:
        with self._mutex:
            name = {} if kind == "intent" else {"intent_id": entry.intent.intent_id}
            line = self._append(kind, name | dict(content))
            return self._keep(self._entries[entry.intent.intent_id].after(kind, line.record, line))

    def _keep(self, entry: JobEntry) -> JobEntry:
        self._entries[entry.intent.intent_id] = entry
        self._latest[entry.digest] = entry.intent.intent_id
        return entry


def records(path: Path | str) -> Iterator[dict[str, Any]]:
    """All records of a journal's file, each with the hash of its line under "hash"; StoreError where it is damaged."""
    for line in read_lines(Path(path)):
        yield line.record | {"hash": line.hash}


def _locked(path: Path) -> int:
    lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise StoreError(
            f"{path} is being written by another process; a run is resumed only after its first process has ended"
        ) from error
    return lock
