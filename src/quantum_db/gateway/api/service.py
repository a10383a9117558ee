"""What the routes share: the ledger, the tenants, the targets, the prices, and the settings of one gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

from starlette.requests import Request

from quantum_db.gateway.api.errors import ApiError
from quantum_db.gateway.api.waiting import FreshJobs, StatusWatcher
from quantum_db.gateway.faults import FaultPlan
from quantum_db.gateway.ledger import Accounts, CircuitQueue, Database, JobLedger, Sessions
from quantum_db.gateway.recent_programs import RecentPrograms
from quantum_db.gateway.targets import TargetTable
from quantum_db.gateway.tenants import Tenant, Tenants
from quantum_db.pricing import PriceTable
from quantum_db.telemetry.prometheus_metrics import PrometheusMetrics

P = ParamSpec("P")
T = TypeVar("T")

_THREADS = 8  # calls of the ledger at once; more only wait for its lock


@dataclass(frozen=True)
class ApiSettings:
    """Settings of the HTTP side.

    `long_poll_s`: how long GET on an unfinished job is held, 0 never; `first_look_s`: the same for the first look at a
    job just accepted (clients look once when they create a job, and must not be held up then).
    `idempotency_window_s`: how long an identical body is a repeat; 0 never, below 0 not even by intent id.
    """

    long_poll_s: float = 20.0
    first_look_s: float = 0.25
    max_body_bytes: int = 12 * 2**20
    idempotency_window_s: float = 2.0

    @property
    def joins_intents(self) -> bool:
        """Whether a repeated intent id is given its first job (off only to test that nobody repeats one)."""
        return self.idempotency_window_s >= 0


@dataclass
class Service:
    """One gateway's parts. Ledger calls go through `in_thread`, so that the event loop never waits for a disk."""

    database: Database
    tenants: Tenants
    targets: TargetTable
    prices: PriceTable
    metrics: PrometheusMetrics
    settings: ApiSettings = field(default_factory=ApiSettings)
    faults: FaultPlan | None = None
    wake_workers: Callable[[], None] = lambda: None
    programs: RecentPrograms | None = None  # where workers run in this process

    def __post_init__(self) -> None:
        self.jobs = JobLedger(self.database, max(0.0, self.settings.idempotency_window_s))
        self.queue = CircuitQueue(self.database)
        self.accounts = Accounts(self.database)
        self.sessions = Sessions(self.database)
        self.fresh = FreshJobs()
        self.watcher = StatusWatcher(lambda ids: self.in_thread(self.jobs.statuses, ids))
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="gateway-ledger")

    @property
    def skew_s(self) -> float:
        """Seconds by which times in answers are wrong on purpose (0 without fault injection)."""
        return self.faults.skew_s() if self.faults else 0.0

    async def in_thread(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `function` in a thread of the service."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: function(*args, **kwargs))

    def authenticate(self, request: Request) -> Tenant:
        """The tenant that sent the request; ApiError 401 without a known key."""
        given = request.headers.get("authorization")
        tenant = self.tenants.authenticate(given)
        if tenant is None:
            raise ApiError(401, _why_unknown(given), headers={"WWW-Authenticate": "apiKey"})
        return tenant

    async def start(self) -> None:
        """Begin to look after waiting requests."""
        self.watcher.start()
        self.database.listen(self.watcher.committed)

    async def stop(self) -> None:
        """Answer waiting requests and end the threads."""
        await self.watcher.stop()
        self._threads.shutdown(wait=False)


def _why_unknown(given: str | None) -> str:
    if not given:
        return "there is no API key; send the header: Authorization: apiKey <key>"
    if given.lower().startswith("basic "):
        return (
            "the API key was replaced by a Basic login, probably from an entry for this host in ~/.netrc; remove it, "
            "and send the header: Authorization: apiKey <key>"
        )
    if not given.lower().startswith("apikey "):
        return "the Authorization header has another scheme; send: Authorization: apiKey <key>"
    return "the API key is not known here; check it, or ask whoever runs this gateway"
