"""A queue in front of a tracker, so that no state of the tracking store ever stops or slows training."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quantum_db.tracking import spool as spool_file
from quantum_db.tracking.spool import Event
from quantum_db.tracking.tracker import NotStartedError, RunStatus, Tracker, TrackingError

_LOG = logging.getLogger(__name__)
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 20.0
_LAST_PAUSE_S = 0.5


class BufferedTracker:
    """Passes everything on to `inner` from a background thread, in order, trying again while the store is away.

    No method raises or blocks because of the store. `start` waits at most `start_wait_s` seconds for the run id,
    and less when the first attempt fails; `finish` waits at most `finish_wait_s` seconds for the queue to drain.
    What was not sent by then is written to `spool` as JSON lines, and a warning says how to send it later (see
    `quantum_db.tracking.spool`). One object serves one run.
    """

    def __init__(self, inner: Tracker, spool: Path, start_wait_s: float = 10.0, finish_wait_s: float = 30.0) -> None:
        self._inner = inner
        self._spool = Path(spool)
        self._start_wait_s = start_wait_s
        self._finish_wait_s = finish_wait_s
        self._queue: deque[Event] = deque()
        self._changed = threading.Condition()
        self._attempts = 0
        self._closing = False
        self._stopped = False
        self._away_since: float | None = None
        self._start: Event | None = None
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)

    @property
    def run_id(self) -> str:
        """The run id of the store; empty until the store has taken the start of the run."""
        return self._inner.run_id

    def start(
        self,
        run_name: str,
        params: Mapping[str, object],
        tags: Mapping[str, str],
        resume_run_id: str | None = None,
    ) -> str:
        """Begin or resume a run; return its id, or the id to resume or "" while the store does not answer.

        Ask `run_id` again later: it is known as soon as the store has come back.
        """
        self._start = Event(
            "start",
            {
                "run_name": run_name,
                "params": {name: str(value) for name, value in params.items()},
                "tags": dict(tags),
                "resume_run_id": resume_run_id,
            },
        )
        self._add(self._start)
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._attempts > 0 or self._stopped, timeout=self._start_wait_s)
        return self.run_id or resume_run_id or ""

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Queue tags."""
        self._add(Event("tags", {"tags": dict(tags)}))

    def log_metrics(self, metrics: Mapping[str, float], step: int, timestamp_ms: int | None = None) -> None:
        """Queue metric values with the time of this call."""
        moment = int(time.time() * 1000) if timestamp_ms is None else timestamp_ms
        values = {name: float(value) for name, value in metrics.items()}
        self._add(Event("metrics", {"metrics": values, "step": int(step), "timestamp_ms": moment}))

    def log_artifact(self, path: Path, folder: str = "") -> None:
        """Queue a file or directory; it is read when it is sent, so it must stay where it is until `finish`."""
        self._add(Event("artifact", {"path": str(Path(path).resolve()), "folder": folder or _folder_of(path)}))

    def log_text(self, text: str, name: str) -> None:
        """Queue a text file."""
        self._add(Event("text", {"text": text, "name": name}))

    def log_dict(self, content: Mapping[str, Any], name: str) -> None:
        """Queue a JSON file; values that JSON does not know are written as their text."""
        self.log_text(json.dumps(content, indent=2, sort_keys=True, default=str) + "\n", name)

    def finish(self, status: RunStatus = "FINISHED") -> None:
        """Send what is queued within the time limit, and write the rest to the spool file."""
        self._add(Event("finish", {"status": status}))
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._queue or self._stopped, timeout=self._finish_wait_s)
            self._stopped = True
            self._changed.notify_all()
            unsent = list(self._queue)
        if unsent:
            self._keep(unsent)

    def _add(self, event: Event) -> None:
        if self._start is None:
            raise NotStartedError
        with self._changed:
            self._queue.append(event)
            self._changed.notify_all()

    def _work(self) -> None:
        """The background thread. Whatever ends it, `finish` learns of it and keeps what is left in the queue."""
        try:
            self._send_all()
        finally:
            with self._changed:
                self._stopped = True
                self._changed.notify_all()

    def _send_all(self) -> None:
        """Send the oldest event until it is taken or refused for good, then the next, until the run is over."""
        pause = _FIRST_PAUSE_S
        while (event := self._oldest()) is not None:
            done = self._attempt(event)
            with self._changed:
                self._attempts += 1
                if done:
                    self._queue.popleft()
                self._changed.notify_all()
                if not done:
                    self._rest(pause)
            pause = _FIRST_PAUSE_S if done else min(2 * pause, _LONGEST_PAUSE_S)

    def _rest(self, pause: float) -> None:
        """Wait between attempts; at the end of the run only briefly, since its time is limited."""
        self._changed.wait_for(lambda: self._closing, timeout=pause)
        self._changed.wait_for(lambda: self._stopped, timeout=_LAST_PAUSE_S if self._closing else 0)

    def _oldest(self) -> Event | None:
        """Wait for an event; None when the run is over."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._queue) or self._stopped)
            return None if self._stopped else self._queue[0]

    def _attempt(self, event: Event) -> bool:
        """Send one event; True when it is done with: taken, or refused for good."""
        try:
            event.send(self._inner)
        except TrackingError as error:
            if error.permanent and event.name != "start":
                _LOG.warning("one tracking record is left out: %s", error)
                return True
            if self._away_since is None:
                self._away_since = time.monotonic()
                _LOG.warning("%s Training goes on; its records wait in memory and are sent later.", error)
            return False
        if self._away_since is not None:
            _LOG.warning("the tracking store answers again after %.0f s", time.monotonic() - self._away_since)
            self._away_since = None
        return True

    def _keep(self, unsent: list[Event]) -> None:
        """Write the unsent events to the spool; if even that fails, say what is lost."""
        begin = [] if unsent[0].name == "start" or self._start is None else [self._begin_again(self._start)]
        try:
            spool_file.append(self._spool, [*begin, *unsent])
        except OSError as error:
            _LOG.error(
                "%d tracking events are lost: neither the tracking store nor the spool file %s took them (%s)",
                len(unsent), self._spool, error,
            )  # fmt: skip
            return
        _LOG.warning(
            "%d tracking events could not be sent and are kept in %s. Send them when the store is back: "
            "python -m quantum_db.tracking.spool %s --tracking-uri URI",
            len(unsent), self._spool, self._spool,
        )  # fmt: skip

    def _begin_again(self, start: Event) -> Event:
        return Event("start", {**start.given, "resume_run_id": self.run_id or start.given["resume_run_id"]})


def _folder_of(path: Path) -> str:
    """A directory keeps its own name in the store; a file goes to the top."""
    return Path(path).name if Path(path).is_dir() else ""
