"""Find out which submissions without an answer arrived, by the intents that their jobs carry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from quantum_db.gateway.upstream.client import JobPage, UpstreamClient
from quantum_db.gateway.upstream.errors import UpstreamAnswerError
from quantum_db.gateway.upstream.jobs import UpstreamJob

_PAGE = 100
_MARGIN = timedelta(minutes=10)  # between the database's clock, which dates an intent, and the upstream's


@dataclass
class Lookup:
    """What a complete look through the upstream's jobs found: every intent with its jobs, oldest first.

    An intent that is absent was certainly not accepted. More than one job under an intent is a double submission.
    """

    found: dict[str, list[UpstreamJob]] = field(default_factory=dict)


async def find_intents(client: UpstreamClient, ages: Mapping[str, float]) -> Lookup:
    """Look for intents, given with the seconds since each was submitted, through the listing of the upstream.

    The pages are read to the end, or, where the listing has so far been newest first, until they are older than every
    intent. Raises UpstreamError when a page cannot be had: then nothing is known about what was not found.
    """
    lookup = Lookup()
    reach = timedelta(seconds=max(ages.values())) + _MARGIN
    order = _Order()
    query: dict[str, str | list[str]] = {"limit": str(_PAGE)}
    cursors: set[str] = set()
    until: datetime | None = None
    while True:
        page = await client.page(query)
        _collect(page, ages, lookup)
        if until is None and page.now is not None:
            until = page.now - reach
        order.read(page)
        if not page.next or order.is_past(until):
            break
        if page.next in cursors:
            raise UpstreamAnswerError("the upstream's list of jobs leads back to a page that it gave before")
        cursors.add(page.next)
        query = {**query, "next": page.next}
    for jobs in lookup.found.values():
        jobs.sort(key=lambda job: (job.submitted_at is None, job.submitted_at or datetime.min, job.id))
    return lookup


def _collect(page: JobPage, ages: Mapping[str, float], lookup: Lookup) -> None:
    for job in page.jobs:
        # A child may carry its parent's name and metadata; the parent is what was submitted.
        if job.intent_id in ages and not job.parent_id:
            known = lookup.found.setdefault(job.intent_id, [])
            if all(job.id != other.id for other in known):  # pages shift while jobs come in
                known.append(job)


class _Order:
    """Whether a listing is newest first, and how far back it has come. IonQ does not document the order."""

    def __init__(self) -> None:
        self._newest_first = True
        self._last: datetime | None = None

    def read(self, page: JobPage) -> None:
        for job in page.jobs:
            if job.submitted_at is None or (self._last is not None and job.submitted_at > self._last):
                self._newest_first = False
                return
            self._last = job.submitted_at

    def is_past(self, moment: datetime | None) -> bool:
        return self._newest_first and moment is not None and self._last is not None and self._last < moment
