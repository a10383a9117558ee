"""What training needs of an experiment tracker, and the tracker that keeps nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from quantum_db.errors import QStoreError

RunStatus = Literal["FINISHED", "FAILED", "KILLED"]


class TrackingError(QStoreError):
    """The tracking store did not take or give something.

    `permanent` is True when the same request would be refused again, so that trying again is no use.
    """

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class NotStartedError(QStoreError):
    """Something was logged before the run was started."""

    def __init__(self) -> None:
        super().__init__("the tracker has no run yet; call start() before logging to it")


class Tracker(Protocol):
    """Records one run: parameters and tags at its start, metrics by step, artifacts, and how it ended."""

    @property
    def run_id(self) -> str:
        """The store's name of the run; empty before the store has taken the start of the run."""

    def start(
        self,
        run_name: str,
        params: Mapping[str, object],
        tags: Mapping[str, str],
        resume_run_id: str | None = None,
    ) -> str:
        """Begin a run, or go on with `resume_run_id`; return `run_id`."""

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags of the run; one that it has gets the new value."""

    def log_metrics(self, metrics: Mapping[str, float], step: int, timestamp_ms: int | None = None) -> None:
        """Record metric values at a step; a metric that the store already has at that step is not recorded again.

        `timestamp_ms` is the time of the measurement in milliseconds since 1970, now if it is left out.
        """

    def log_artifact(self, path: Path, folder: str = "") -> None:
        """Copy a file, or a directory with all its files, into the run, in `folder` if one is given."""

    def log_text(self, text: str, name: str) -> None:
        """Write a text file into the run; `name` may hold folders ("circuit/epoch-10.txt")."""

    def log_dict(self, content: Mapping[str, Any], name: str) -> None:
        """Write a JSON file into the run."""

    def finish(self, status: RunStatus = "FINISHED") -> None:
        """End the run."""


class NullTracker:
    """A tracker that keeps nothing, for runs that nobody wants to look up later."""

    @property
    def run_id(self) -> str:
        """Always empty."""
        return ""

    def start(
        self,
        run_name: str,
        params: Mapping[str, object],
        tags: Mapping[str, str],
        resume_run_id: str | None = None,
    ) -> str:
        """Return an empty run id."""
        return ""

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Keep nothing."""

    def log_metrics(self, metrics: Mapping[str, float], step: int, timestamp_ms: int | None = None) -> None:
        """Keep nothing."""

    def log_artifact(self, path: Path, folder: str = "") -> None:
        """Keep nothing."""

    def log_text(self, text: str, name: str) -> None:
        """Keep nothing."""

    def log_dict(self, content: Mapping[str, Any], name: str) -> None:
        """Keep nothing."""

    def finish(self, status: RunStatus = "FINISHED") -> None:
        """Keep nothing."""
