"""The states of a job, and every step between them that is legal.

A job of this service waits in `ready` from the moment it is accepted; a forwarded job is `submitted` until the
upstream service has accepted it. A multi-circuit job is `started` when its first circuits are taken up. A job whose
worker dies stays `started`.
"""

from __future__ import annotations

from enum import StrEnum

from quantum_db.gateway.ledger.errors import IllegalTransitionError


class JobState(StrEnum):
    """The status words of IonQ's API v0.4, and no others."""

    SUBMITTED = "submitted"
    READY = "ready"
    STARTED = "started"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def terminal(self) -> bool:
        """Whether nothing can happen to the job any more."""
        return not LEGAL[self]


LEGAL: dict[JobState, frozenset[JobState]] = {
    JobState.SUBMITTED: frozenset({JobState.READY, JobState.FAILED, JobState.CANCELED}),
    JobState.READY: frozenset({JobState.STARTED, JobState.FAILED, JobState.CANCELED}),
    JobState.STARTED: frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELED}),
    JobState.COMPLETED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELED: frozenset(),
}

LIVE = tuple(state for state in JobState if LEGAL[state])


def check_step(current: JobState, new: JobState) -> None:
    """Raise IllegalTransitionError unless a job may go from `current` to `new` in one step."""
    if new not in LEGAL[current]:
        allowed = ", ".join(sorted(LEGAL[current])) or "nothing: it is final"
        raise IllegalTransitionError(f"a job cannot go from {current} to {new}; from {current} it can go to {allowed}")


def path(current: JobState, new: JobState) -> tuple[JobState, ...]:
    """The shortest run of legal steps from `current` to `new`, without `current`.

    An observer may see a job late (an upstream job is found completed that was last seen ready), so several steps
    can be taken at once; each is legal. Raises IllegalTransitionError when there is no way, also for new == current.
    """
    waiting: list[tuple[JobState, ...]] = [(current,)]
    while waiting:
        way = waiting.pop(0)
        for step in sorted(LEGAL[way[-1]]):
            if step == new:
                return (*way[1:], step)
            waiting.append((*way, step))
    check_step(current, new)
    raise AssertionError("unreachable: a state without a path has no legal step either")
