"""What goes into the ledger and what comes out of it: plain frozen records.

Money is Decimal in US dollars, times are aware datetimes in UTC by the database's clock, JSON is plain Python data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from quantum_db.gateway.ledger.identifiers import new_job_id
from quantum_db.gateway.ledger.states import JobState

ZERO = Decimal(0)


@dataclass(frozen=True)
class TenantLimits:
    """What a tenant may have; None is no limit.

    `queued_jobs`: unfinished jobs at once. `shots`: drawn shots of all jobs together, but failed and canceled ones.
    `usd`: dollars spent and reserved together.
    """

    queued_jobs: int | None = None
    shots: int | None = None
    usd: Decimal | None = None


@dataclass(frozen=True)
class TaskRange:
    """A run of circuits of one job that one worker runs together: `circuits` of them from index `first`."""

    first: int
    circuits: int


@dataclass(frozen=True)
class NewJob:
    """A validated job on its way into the ledger.

    `kind` is IonQ's type, `body` the normalised `input` (JSON data that the worker reads again). `tasks` covers the
    circuits without gap or overlap; () makes one task of all. `forwarded` jobs have exactly one task.
    `price` is what completion is charged when no bill is given to `CircuitQueue.complete`, `reservation` what is set
    aside until then (at least `price`). `intent_id` and `body_digest` make a repeated submit return the first job;
    without an intent id the digest counts, within the ledger's window. `dry_run` jobs are completed at once, run
    nothing and cost nothing; `price` then is the estimate. `details` is the API's own: it is stored and returned
    unchanged, like `metadata`, `noise` and `settings`.
    """

    tenant: str
    target: str
    kind: str
    body: Any
    body_digest: str
    n_circuits: int
    shots: int
    qubits: int
    gates_1q: int
    gates_2q: int
    metadata: Any = None
    name: str | None = None
    noise: Mapping[str, Any] | None = None
    settings: Mapping[str, Any] | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    session_id: str | None = None
    intent_id: str | None = None
    forwarded: bool = False
    dry_run: bool = False
    price: Decimal = ZERO
    reservation: Decimal = ZERO
    drawn_shots: int = 0
    tasks: Sequence[TaskRange] = ()
    id: str = field(default_factory=new_job_id)


@dataclass(frozen=True)
class Failure:
    """Why a job failed: one of IonQ's failure codes and a sentence."""

    code: str
    message: str


@dataclass(frozen=True)
class Job:
    """One job as it stands. `version` grows with every change that a client can see.

    `cost` is what was charged, None until that is known; `reserved` what is still set aside for the job (a canceled
    forwarded job keeps its reservation until the upstream service has said what it costs).
    """

    id: str
    tenant: str
    target: str
    kind: str
    status: JobState
    version: int
    n_circuits: int
    circuits_done: int
    shots: int
    qubits: int
    gates_1q: int
    gates_2q: int
    metadata: Any
    name: str | None
    noise: Mapping[str, Any] | None
    settings: Mapping[str, Any] | None
    details: Mapping[str, Any]
    session_id: str | None
    intent_id: str | None
    forwarded: bool
    dry_run: bool
    price: Decimal
    reserved: Decimal
    cost: Decimal | None
    submitted_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    failure: Failure | None
    upstream_id: str | None


@dataclass(frozen=True)
class Accepted:
    """The answer to a submit: the job, and whether this submit created it (False: a repeat of an earlier one)."""

    job: Job
    created: bool


@dataclass(frozen=True)
class JobFilter:
    """Which jobs to list; None is any. All given conditions must hold."""

    ids: Sequence[str] | None = None
    statuses: Sequence[JobState] | None = None
    target: str | None = None
    session_id: str | None = None
    name: str | None = None
    intent_id: str | None = None


@dataclass(frozen=True)
class JobPage:
    """Jobs, newest first, and the cursor of the next page (None: this was the last)."""

    jobs: tuple[Job, ...]
    next: str | None


class ResultKind(StrEnum):
    """What the numbers of a result are: exact or reported probabilities, or counts that sum to the shots."""

    PROBABILITIES = "probabilities"
    COUNTS = "counts"


@dataclass(frozen=True)
class Results:
    """One map per circuit, in the order they were submitted: outcome (decimal string) -> probability or count."""

    kind: ResultKind
    circuits: tuple[dict[str, Any], ...]


class UpstreamState(StrEnum):
    """How far a job is on its way to the upstream service."""

    INTENT = "intent"  # recorded, certainly not sent
    SUBMITTING = "submitting"  # may have been sent: look it up before sending again
    ACCEPTED = "accepted"  # the upstream id is known
    DONE = "done"  # the outcome is in the ledger


@dataclass(frozen=True)
class UpstreamRecord:
    """The journal of one forwarded task. `submissions` counts how often it may have been sent.

    `begun_s` and `submitting_s` are the seconds since then by the database's clock, when the record was read: no clock
    of a worker is to be compared with it.
    """

    token: str
    job_id: str
    target: str
    intent_id: str
    state: UpstreamState
    upstream_id: str | None
    submissions: int
    begun_at: datetime
    submitting_at: datetime | None
    accepted_at: datetime | None
    cancel_requested: bool
    begun_s: float
    submitting_s: float | None


@dataclass(frozen=True)
class LeasedTask:
    """Circuits that a worker holds until the lease ends: what to run, and the token every write about it needs.

    `attempt` counts from 1; `taken_over` says that the lease of a worker that did not return it had ended.
    `waited_s` is the time since the task could first have been taken. `upstream` is the journal of a forwarded task
    that was begun before: adopt it.  `cancel_requested`: only its upstream job is left to be canceled.
    The circuits themselves come from `JobLedger.body(job_id)`.
    """

    token: str
    task_id: int
    job_id: str
    tenant: str
    target: str
    kind: str
    first: int
    circuits: int
    n_circuits: int
    shots: int
    name: str | None
    noise: Mapping[str, Any] | None
    settings: Mapping[str, Any] | None
    details: Mapping[str, Any]
    forwarded: bool
    attempt: int
    taken_over: bool
    waited_s: float
    cancel_requested: bool
    upstream: UpstreamRecord | None


@dataclass(frozen=True)
class TaskResult:
    """The outcome of a whole task: one map per circuit of it, in order.

    `cost` is the upstream service's bill for the job; None charges the job's own price. `execution_ms`: run time.
    """

    token: str
    circuits: Sequence[Mapping[str, Any]]
    kind: ResultKind = ResultKind.PROBABILITIES
    cost: Decimal | None = None
    execution_ms: float | None = None


@dataclass(frozen=True)
class Heartbeat:
    """What became of the leases: `lost` ones are to be dropped; those in `canceled` still live, but their user wants
    the upstream job canceled (close them with `CircuitQueue.close_canceled`)."""

    lost: frozenset[str]
    canceled: frozenset[str]


@dataclass(frozen=True)
class Balance:
    """Money of a tenant or a session; `limit` and `remaining` are None where there is no limit."""

    reserved: Decimal
    spent: Decimal
    limit: Decimal | None
    remaining: Decimal | None
    queued_jobs: int
    shots: int


@dataclass(frozen=True)
class Entry:
    """One line of the money journal: kind is reserve, settle or release. Lines are only ever added."""

    job_id: str
    tenant: str
    session_id: str | None
    kind: str
    amount: Decimal
    at: datetime


@dataclass(frozen=True)
class UsageDay:
    """What a tenant's jobs that ended on one UTC day on one target came to."""

    day: date
    target: str
    jobs: int
    circuits: int
    shots: int
    cost: Decimal


@dataclass(frozen=True)
class SessionLimits:
    """When a session ends by itself; None is no limit. `cost_limit` is in US dollars."""

    job_count_limit: int | None = None
    duration_limit_min: int | None = None
    cost_limit: Decimal | None = None


@dataclass(frozen=True)
class Session:
    """A session: a group of jobs on one target with common limits. `status` is created, started or ended.

    `end_reason` is None, user, job_count_limit, duration_limit or cost_limit.
    """

    id: str
    tenant: str
    target: str
    limits: SessionLimits
    details: Mapping[str, Any]
    status: str
    jobs: int
    reserved: Decimal
    spent: Decimal
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    end_reason: str | None
