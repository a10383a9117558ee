"""HTTP requests to an IonQ API v0.4: asynchronous, limited in rate and time, each sent once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from importlib.metadata import version as distribution_version
from typing import Self
from urllib.parse import quote, urlsplit

import httpx

from quantum_db.errors import ConfigurationError
from quantum_db.gateway.upstream.answers import check_answer, exact_json_object, http_date, json_object, lost_answer
from quantum_db.gateway.upstream.errors import (
    UpstreamAnswerError,
    UpstreamBusyError,
    UpstreamError,
    UpstreamMissingError,
    UpstreamSetupError,
    UpstreamUncertainError,
)
from quantum_db.gateway.upstream.jobs import SubmittedJob, UpstreamJob, read_cost, read_histograms
from quantum_db.gateway.upstream.rate import TokenBucket

_VERSION_PATH = "/v0.4"
_IDS_PER_REQUEST = 100  # 41 characters each: well below the 8 kB that proxies allow an address
_CONNECTIONS = 8
Observe = Callable[[str, float, str], None]


@dataclass(frozen=True)
class UpstreamOptions:
    """Where the upstream service is, and how it is asked. Times in seconds.

    `settle_s` is how long after a submission without an answer the job is looked for: until then the submission may
    still be on its way. It must be at least twice `submit_s`, after which a submission is given up.
    """

    url: str
    api_key: str = field(repr=False)
    requests_per_s: float = 10.0
    burst: int = 20
    connect_s: float = 10.0
    answer_s: float = 45.0
    submit_s: float = 30.0
    settle_s: float = 60.0
    poll_first_s: float = 1.0
    poll_longest_s: float = 30.0

    def __post_init__(self) -> None:
        check_upstream_url(self.url)
        if not self.api_key:
            raise ConfigurationError(
                "there is no key for the upstream service; set IONQ_API_KEY, or IONQ_API_KEY_FILE to a file with it"
            )
        if not 0 < 2 * self.submit_s <= self.settle_s:
            raise ConfigurationError(
                f"a submission is given up after {self.submit_s:g} s and looked for after {self.settle_s:g} s; that "
                "must be twice as long at least, or it could be sent twice: choose a longer settle time"
            )


def check_upstream_url(url: str) -> str:
    """The base address without a slash at its end and with the version; ConfigurationError when it is none.

    `https://api.ionq.co` and `https://api.ionq.co/v0.4` are the same. A login in the address is refused.
    """
    parts = urlsplit(url.strip())
    if parts.username or parts.password:
        raise ConfigurationError(
            "the upstream URL carries a login; give the key in IONQ_API_KEY instead, and the URL without it"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ConfigurationError(
            f"the upstream URL {url!r} is no web address; give one such as https://api.ionq.co/v0.4"
        )
    path = parts.path.rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path if path.endswith(_VERSION_PATH) else path + _VERSION_PATH}"


@dataclass(frozen=True)
class JobPage:
    """One page of a listing: its jobs, the cursor of the next page or "", and the upstream's clock if it told."""

    jobs: tuple[UpstreamJob, ...]
    next: str
    now: datetime | None


class UpstreamClient:
    """The requests that a worker needs. Use it as an asynchronous context manager, within one event loop.

    `observe(operation, seconds, outcome)` is told of every request; the outcome is "ok" or the `kind` of the error.
    All methods raise UpstreamError.
    """

    def __init__(self, options: UpstreamOptions, observe: Observe) -> None:
        self._options = options
        self._observe = observe
        self._base = check_upstream_url(options.url)
        self._bucket = TokenBucket(options.requests_per_s, options.burst)
        self._connections = asyncio.Semaphore(_CONNECTIONS)
        self._lists_by_id = True
        headers = {
            "Authorization": f"apiKey {options.api_key}",
            "User-Agent": f"q-store/{distribution_version('quantum-db')}",
        }
        timeout = httpx.Timeout(options.answer_s, connect=options.connect_s, pool=None)
        trusted = httpx.create_ssl_context()  # reading all certificates takes a while: once is enough
        self._reader = httpx.AsyncClient(headers=headers, timeout=timeout, verify=trusted)
        # A submission gets a new connection: on a kept one, "closed by the server" would leave its effect unknown.
        fresh = httpx.Limits(max_keepalive_connections=0)
        self._writer = httpx.AsyncClient(headers=headers, timeout=timeout, limits=fresh, verify=trusted)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._reader.aclose()
        await self._writer.aclose()

    async def turn(self) -> None:
        """Wait until the rate limit lets a submission through. To be called before `submit` is announced."""
        await self._bucket.take()

    async def submit(self, job: SubmittedJob, send_before: float) -> str:
        """Submit `job` once; return its id upstream. Call `turn` first.

        Raises UpstreamBusyError when it certainly was not accepted and may be later, UpstreamRefusedError or
        UpstreamSetupError when it was refused, UpstreamUncertainError when nobody can tell. Nothing is sent after
        `send_before` (seconds of time.monotonic()): a process that slept in between may no longer own the job.
        """
        content = job.body()
        if time.monotonic() > send_before:
            raise UpstreamBusyError("this worker was held up before it could submit; nothing was sent")
        try:
            async with asyncio.timeout(self._options.submit_s):
                answer = await self._request("submit", "POST", "/jobs", content=content, writes=True)
        except TimeoutError as error:
            raise UpstreamUncertainError(
                f"the upstream did not answer a submission within {self._options.submit_s:g} s"
            ) from error
        except UpstreamMissingError as error:
            raise UpstreamSetupError(f"{error}; check the upstream URL") from error
        try:
            return UpstreamJob.parse({"status": "submitted", **json_object(answer, "a submission")}).id
        except UpstreamAnswerError as error:  # it was accepted, but as which job?
            raise UpstreamUncertainError(f"a submission was accepted without a readable id: {error}") from error

    async def jobs(self, ids: Iterable[str]) -> dict[str, UpstreamJob]:
        """The jobs with these ids, in few requests; a job that does not exist is absent from the answer."""
        found: dict[str, UpstreamJob] = {}
        asked = list(dict.fromkeys(ids))
        for start in range(0, len(asked), _IDS_PER_REQUEST):
            found.update(await self._jobs(asked[start : start + _IDS_PER_REQUEST]))
        return found

    async def _jobs(self, ids: list[str]) -> dict[str, UpstreamJob]:
        found: dict[str, UpstreamJob] = {}
        if self._lists_by_id and len(ids) > 1:
            page = await self.page({"ids": ids, "limit": str(len(ids))})
            # A service that does not know the filter lists anything; asking it again would be no use.
            self._lists_by_id = all(job.id in ids for job in page.jobs)
            found = {job.id: job for job in page.jobs if job.id in ids}
        for missing in [job_id for job_id in ids if job_id not in found]:
            try:
                found[missing] = await self.job(missing)
            except UpstreamMissingError:
                continue  # absent from the answer, as promised
        return found

    async def job(self, job_id: str) -> UpstreamJob:
        """One job; UpstreamMissingError when there is none. The upstream may hold the answer for some seconds."""
        answer = await self._limited("job", f"/jobs/{quote(job_id, safe='')}")
        return UpstreamJob.parse(json_object(answer, "a job"))

    async def page(self, query: Mapping[str, str | list[str]]) -> JobPage:
        """One page of GET /jobs."""
        answer = await self._limited("jobs", "/jobs", query)
        content = json_object(answer, "a list of jobs")
        if not isinstance(content.get("jobs"), list):
            raise UpstreamAnswerError("the upstream's list of jobs has no jobs in it")
        cursor = content.get("next")
        return JobPage(
            jobs=tuple(UpstreamJob.parse(job) for job in content["jobs"]),
            next=cursor if isinstance(cursor, str) else "",
            now=http_date(answer.headers.get("Date", "")),
        )

    async def histograms(self, job: UpstreamJob, multi: bool, n_circuits: int) -> list[dict[str, float]]:
        """The probabilities of a completed job's circuits, in their order: {outcome: probability} each."""
        end = "/aggregated" if multi else ""
        answer = await self._limited("results", f"/jobs/{quote(job.id, safe='')}/results/probabilities{end}")
        return read_histograms(json_object(answer, "results"), job, n_circuits)

    async def cost(self, job_id: str) -> Decimal | None:
        """Dollars that a job cost; None when the upstream does not say, or not in dollars."""
        answer = await self._limited("cost", f"/jobs/{quote(job_id, safe='')}/cost")
        return read_cost(exact_json_object(answer, "a cost"))

    async def cancel(self, job_id: str) -> None:
        """Ask that a job be canceled; to do so twice is harmless, so a lost answer is a reason to do it again."""
        await self._bucket.take()
        await self._request("cancel", "PUT", f"/jobs/{quote(job_id, safe='')}/status/cancel", writes=False)

    async def _limited(
        self, operation: str, path: str, query: Mapping[str, str | list[str]] | None = None
    ) -> httpx.Response:
        await self._bucket.take()
        return await self._request(operation, "GET", path, query=query, writes=False)

    async def _request(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        writes: bool,
        content: bytes | None = None,
        query: Mapping[str, str | list[str]] | None = None,
    ) -> httpx.Response:
        client = self._writer if writes else self._reader
        headers = {"Content-Type": "application/json"} if content is not None else {}
        what = f"{method} {path}"
        began, outcome = time.perf_counter(), "lost"
        try:
            async with self._connections:
                answer = await client.request(method, self._base + path, content=content, params=query, headers=headers)
            check_answer(answer, what, writes)
            outcome = "ok"
        except httpx.RequestError as error:
            failure = lost_answer(error, what, writes)
            outcome = failure.kind
            raise failure from error
        except UpstreamError as error:
            outcome = error.kind
            if isinstance(error, UpstreamBusyError) and error.retry_after:
                self._bucket.hold(error.retry_after)
            raise
        finally:
            self._observe(operation, time.perf_counter() - began, outcome)
        return answer
