"""Checkpoints of runs in a folder, named by run, position and digest."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from quantum_db.checkpoints.checkpoint import Checkpoint
from quantum_db.errors import ConfigurationError, StoreError

_NAME = re.compile(r"epoch-(\d{5})-batch-(\d{6})-([0-9a-f]{12})")
_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


def check_run_id(run_id: str) -> str:
    """Return `run_id` if it can be a folder's name; raise ConfigurationError otherwise."""
    if not _RUN.fullmatch(run_id):
        raise ConfigurationError(
            f"a run id is 1 to 128 letters, digits, '-', '_' or '.', starting with a letter or digit, got {run_id!r}"
        )
    return run_id


@dataclass(frozen=True, order=True)
class CheckpointReference:
    """Where a checkpoint stands in its run: `epoch` epochs and `batch` batches of the next one are done."""

    epoch: int
    batch: int
    digest: str
    path: Path


@dataclass(frozen=True)
class LocalCheckpointStore:
    """Keeps the newest `keep` checkpoints of each run under `root`/<run id>."""

    root: Path
    keep: int = 3

    def __post_init__(self) -> None:
        if self.keep < 1:
            raise ConfigurationError(f"at least one checkpoint must be kept, got keep={self.keep}")

    def write(self, run_id: str, epoch: int, batch: int, checkpoint: Checkpoint) -> CheckpointReference:
        """Write one checkpoint, whole or not at all, then drop those beyond `keep`."""
        digest = checkpoint.digest[:12]
        path = self.root / check_run_id(run_id) / f"epoch-{epoch:05d}-batch-{batch:06d}-{digest}"
        checkpoint.write(path)
        for unfinished in path.parent.glob(".epoch-*"):  # left by a process that was killed while it wrote
            shutil.rmtree(unfinished)
        for old in self.list(run_id)[: -self.keep]:
            shutil.rmtree(old.path)
        return CheckpointReference(epoch, batch, digest, path)

    def list(self, run_id: str) -> tuple[CheckpointReference, ...]:
        """The checkpoints of a run, oldest position first; empty when there are none."""
        folder = self.root / check_run_id(run_id)
        entries = sorted(folder.iterdir()) if folder.is_dir() else []
        matches = [(_NAME.fullmatch(entry.name), entry) for entry in entries]
        return tuple(
            CheckpointReference(int(match[1]), int(match[2]), match[3], entry)
            for match, entry in matches
            if match is not None
        )

    def latest(self, run_id: str) -> Checkpoint | None:
        """The newest checkpoint of a run, or None if it has none; raise StoreError if it is damaged."""
        known = self.list(run_id)
        return Checkpoint.read(known[-1].path) if known else None

    def discard(self, run_id: str) -> None:
        """Remove all checkpoints of a run, so that it starts anew; other files in its folder stay."""
        for reference in self.list(run_id):
            shutil.rmtree(reference.path)
        folder = self.root / check_run_id(run_id)
        for unfinished in folder.glob(".epoch-*"):
            shutil.rmtree(unfinished)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()

    def find(self, name: str) -> Checkpoint:
        """Read a checkpoint by the path of its folder below the root, or by its full path."""
        for path in (self.root / name, Path(name)):
            if path.is_dir():
                return Checkpoint.read(path)
        runs = sorted(entry.name for entry in self.root.iterdir()) if self.root.is_dir() else []
        raise StoreError(f"there is no checkpoint {name!r} in {self.root}; runs there: {', '.join(runs) or 'none'}")
