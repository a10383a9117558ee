"""Tracking events as JSON lines: what could not be sent during an outage, and how it is sent afterwards.

    python -m quantum_db.tracking.spool FILE --tracking-uri URI

One line is one event: {"event": <name>, "given": {<arguments>}}. A line with the event "start" begins a run; the
lines after it belong to that run. Sending is safe to repeat: metrics keep their time stamps, and steps that the
store already has are not recorded again.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quantum_db.errors import StoreError
from quantum_db.files import write_text
from quantum_db.tracking.tracker import Tracker, TrackingError

_LOG = logging.getLogger(__name__)

_SENDERS: Mapping[str, Callable[[Tracker, Mapping[str, Any]], object]] = {
    "start": lambda tracker, given: tracker.start(**given),
    "tags": lambda tracker, given: tracker.set_tags(**given),
    "metrics": lambda tracker, given: tracker.log_metrics(**given),
    "artifact": lambda tracker, given: tracker.log_artifact(Path(given["path"]), given["folder"]),
    "text": lambda tracker, given: tracker.log_text(**given),
    "finish": lambda tracker, given: tracker.finish(**given),
}


@dataclass(frozen=True)
class Event:
    """One call on a tracker: its name (a key of the table of senders) and its arguments, all of them JSON."""

    name: str
    given: Mapping[str, Any]

    def send(self, tracker: Tracker) -> None:
        """Make the call; TrackingError when the store does not take it."""
        _SENDERS[self.name](tracker, self.given)


def append(spool: Path, events: Sequence[Event]) -> None:
    """Add events to the spool file, which is written as a whole or not at all."""
    old = spool.read_text() if spool.exists() else ""
    lines = (json.dumps({"event": event.name, "given": dict(event.given)}, sort_keys=True) for event in events)
    write_text(spool, old + "".join(line + "\n" for line in lines))


def read(spool: Path) -> list[Event]:
    """The events of a spool file; StoreError when it is missing or a line is not an event."""
    try:
        lines = spool.read_text().splitlines()
    except OSError as error:
        raise StoreError(f"the spool file {spool} cannot be read ({error}); check the path") from error
    return [_parsed(spool, number, line) for number, line in enumerate(lines, start=1)]


def _parsed(spool: Path, number: int, line: str) -> Event:
    try:
        content = json.loads(line)
        event = Event(content["event"], dict(content["given"]))
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{spool} line {number} is not a tracking event; remove that line and send again") from error
    if event.name not in _SENDERS:
        raise StoreError(
            f"{spool} line {number} has the unknown event {event.name!r}; known: {', '.join(sorted(_SENDERS))}. "
            "It was written by another version; send it with that version"
        )
    return event


def send(spool: Path, tracker: Tracker) -> int:
    """Send every event of the spool to `tracker`, then delete the file; return how many were sent.

    Events that the store refuses for good (a file that is gone, for example) are logged and left out. When the
    store fails, TrackingError is raised and the file keeps everything, so that sending can be repeated.
    """
    sent = 0
    for event in read(spool):
        try:
            event.send(tracker)
            sent += 1
        except TrackingError as error:
            if not error.permanent:
                raise
            _LOG.warning("left out one tracking event (%s): %s", event.name, error)
    spool.unlink()
    return sent


def main(arguments: Sequence[str] | None = None) -> int:
    """Send a spool file to a tracking store; the entry of `python -m quantum_db.tracking.spool`."""
    from quantum_db.tracking.mlflow_tracker import MlflowTracker

    parser = argparse.ArgumentParser(prog="python -m quantum_db.tracking.spool", description=main.__doc__)
    parser.add_argument("spool", type=Path, help="the JSON-lines file that a run left behind")
    parser.add_argument("--tracking-uri", required=True, help="for example http://host:5000")
    parser.add_argument("--experiment", default="q-store", help="the MLflow experiment (default: %(default)s)")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sent = send(given.spool, MlflowTracker(given.tracking_uri, given.experiment))
    _LOG.info("sent %d tracking events of %s", sent, given.spool)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
