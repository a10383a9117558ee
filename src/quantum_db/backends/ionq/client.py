"""HTTP to IonQ's API v0.4: one connection pool, limits on time and rate, and errors that say what may be done next.

cirq-ionq's own client is not used: it repeats submissions without a mark (one lost answer, two paid jobs), has no
timeouts, ignores Retry-After, and puts the request's body into its errors (docs/ionq.md).
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from quantum_db.errors import (
    BackendError,
    BudgetExceededError,
    ConfigurationError,
    LostJobError,
    RejectedJobError,
    TransientBackendError,
)
from quantum_db.registry import require_package

if TYPE_CHECKING:
    import httpx

IONQ_URL = "https://api.ionq.co/v0.4"
"""IonQ's cloud."""
_VERSION = "/v0.4"
_PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, *range(520, 530)})
"""HTTP statuses of a read that are worth asking again."""
_SHOWN = 300


class MissingJobError(BackendError):
    """There is nothing at this address: no such job, or it is another account's."""


@dataclass(frozen=True)
class Pace:
    """How patient and how fast a client is; all in seconds but `per_second`, the requests let through on average.

    A read that meets passing faults is asked again for `patience` after the first, with delays that double from
    `first_delay` to `longest_delay`.
    """

    connect: float = 10.0
    answer: float = 60.0
    patience: float = 300.0
    first_delay: float = 0.2
    longest_delay: float = 20.0
    per_second: float = 50.0
    burst: int = 50

    def delay(self, failures: int, asked: float | None = None) -> float:
        """Seconds before the next try, jittered so that processes spread; at least what the service asked for."""
        whole = min(self.longest_delay, self.first_delay * 2.0 ** min(failures - 1, 40))
        return (asked or 0.0) + whole * random.uniform(0.5, 1.0)


class _Tokens:
    """Lets `per_second` requests through on average, `burst` at once; for several threads."""

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second, self._burst = per_second, float(burst)
        self._tokens, self._at = self._burst, time.monotonic()
        self._mutex = threading.Lock()

    def take(self) -> None:
        """Wait until a request may leave."""
        with self._mutex:
            now = time.monotonic()
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_second) - 1
            self._at = now
            wait = -self._tokens / self._per_second
        if wait > 0:
            time.sleep(wait)


class IonQClient:
    """One account at IonQ, or at a gateway. For several threads; make another one after a fork.

    `url` is the address with or without /v0.4, `key` the API key, or a function that reads it (from a mounted file,
    say) and is asked again when the service refuses it, so that a key can be changed while a run waits. The key is in
    no error and no representation.
    """

    def __init__(self, url: str, key: str | Callable[[], str], pace: Pace | None = None) -> None:
        self.url = _address(url)
        self._read_key = key if callable(key) else lambda: key
        self._key = self._fresh_key()
        self.pace = pace or Pace()
        self._library = require_package("httpx", "ionq", "talking to IonQ")
        self._http: httpx.Client = self._library.Client(
            base_url=self.url,
            headers={"User-Agent": "quantum-db"},
            timeout=self._library.Timeout(self.pace.answer, connect=self.pace.connect, pool=None),
            limits=self._library.Limits(max_connections=32),
        )
        self._tokens = _Tokens(self.pace.per_second, self.pace.burst)

    def __repr__(self) -> str:
        return f"IonQClient({self.url!r})"

    def get(self, path: str, query: Mapping[str, str | int] | None = None) -> Any:
        """Read `path`, again and again while faults are passing ones; the JSON of the answer.

        Money in it is exact: numbers with a fraction come as Decimal below "cost", "value" and the like only when read
        with `get_money`. Raises TransientBackendError after `patience`, MissingJobError for 404.
        """
        return self._decoded(self._read(path, query), path)

    def get_money(self, path: str) -> Any:
        """Like `get`, with every number that has a fraction as Decimal."""
        return self._decoded(self._read(path, None), path, parse_float=Decimal)

    def submit(self, body: bytes) -> Any:
        """POST a job, once. The JSON of the answer.

        Raises TransientBackendError (certainly not accepted; `retry_after` where the service named a time),
        RejectedJobError or BudgetExceededError (refused), LostJobError (perhaps accepted).
        """
        answer = self._post("/jobs", body)
        self._check_submission(answer)
        try:
            return answer.json()
        except ValueError:
            raise LostJobError(
                f"{self.url} answered a submission with HTTP {answer.status_code} and no JSON; the job may or may "
                f"not have been accepted"
            ) from None

    def post(self, path: str, content: Mapping[str, Any]) -> Any:
        """POST something other than a job, once; the JSON of the answer. LostJobError when the answer was lost."""
        answer = self._post(path, json.dumps(content).encode())
        if answer.status_code == 429:
            raise TransientBackendError(f"{self.url} takes nothing for now (HTTP 429); try again later")
        self._check_read(answer, path)
        return self._decoded(answer, path)

    def _post(self, path: str, body: bytes) -> httpx.Response:
        self._tokens.take()
        try:
            return self._send("POST", path, content=body, headers={"Content-Type": "application/json"})
        except (self._library.ConnectError, self._library.ConnectTimeout) as error:
            raise TransientBackendError(
                f"{self.url} cannot be reached ({type(error).__name__}); nothing was sent. Check the address, or wait"
            ) from None
        except self._library.TransportError as error:
            raise LostJobError(
                f"the answer of {self.url} to a submission was lost ({type(error).__name__}); the job may or may not "
                f"have been accepted"
            ) from None

    def put(self, path: str) -> Any:
        """PUT without a body; repeated like a read, so only for what may be done twice (cancellation)."""
        return self._decoded(self._read(path, None, "PUT"), path)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _send(self, method: str, path: str, **content: Any) -> httpx.Response:
        """One request; once more where the key was refused and there is another one now (nothing was accepted then)."""
        used = self._key
        answer = self._once(used, method, path, content)
        if answer.status_code in (401, 403):
            self._key = self._fresh_key()
            if self._key != used:
                answer = self._once(self._key, method, path, content)
        return answer

    def _once(self, key: str, method: str, path: str, content: Mapping[str, Any]) -> httpx.Response:
        headers = {**content.get("headers", {}), "Authorization": f"apiKey {key}"}
        return self._http.request(method, path, **{**content, "headers": headers})

    def _fresh_key(self) -> str:
        key = self._read_key().strip()
        if not key:
            raise ConfigurationError(
                "there is no API key for IonQ; set IONQ_API_KEY, or IONQ_API_KEY_FILE to a file that holds it"
            )
        return key

    def _read(self, path: str, query: Mapping[str, str | int] | None, method: str = "GET") -> httpx.Response:
        begin, failures = time.monotonic(), 0
        while True:
            self._tokens.take()
            asked = None
            try:
                answer = self._send(method, path, params=query)
            except self._library.TransportError as error:
                what = type(error).__name__
            else:
                if answer.status_code not in _PASSING or (method != "GET" and answer.status_code == 409):
                    self._check_read(answer, path)
                    return answer
                what, asked = f"HTTP {answer.status_code}", _retry_after(answer)
            failures += 1
            delay = self.pace.delay(failures, asked)
            if time.monotonic() + delay - begin > self.pace.patience:
                raise TransientBackendError(
                    f"{method} {path} at {self.url} failed {failures} times in {self.pace.patience:g} s, last with "
                    f"{what}; the service is down or cannot be reached. Jobs that were accepted are not lost: start "
                    f"again later"
                )
            time.sleep(delay)

    def _check_read(self, answer: httpx.Response, path: str) -> None:
        if answer.is_success:
            return
        self._check_key(answer)
        if answer.status_code == 404:
            raise MissingJobError(f"there is no {path} at {self.url} for this key")
        raise BackendError(f"{self.url} refused {path} with HTTP {answer.status_code}: {_reason(answer)}")

    def _check_submission(self, answer: httpx.Response) -> None:
        status = answer.status_code
        if answer.is_success:
            return
        self._check_key(answer)
        reason = _reason(answer)
        if status == 429:
            error = TransientBackendError(f"{self.url} takes no more jobs for now (HTTP 429: {reason})")
            error.retry_after_s = _retry_after(answer)
            raise error
        if status == 402 or _name(answer) == "SessionEnded":
            raise BudgetExceededError(f"{self.url} refused the job for its cost: {reason}")
        if status == 408 or status >= 500:
            raise LostJobError(
                f"{self.url} answered a submission with HTTP {status}; the job may or may not have been accepted"
            )
        raise RejectedJobError(f"{self.url} refused the job with HTTP {status}: {reason}")

    def _check_key(self, answer: httpx.Response) -> None:
        if answer.status_code in (401, 403):
            raise ConfigurationError(
                f"{self.url} refused the API key (HTTP {answer.status_code}); check IONQ_API_KEY or the file named by "
                f"IONQ_API_KEY_FILE, and that it belongs to this address"
            )

    def _decoded(self, answer: httpx.Response, path: str, **options: Any) -> Any:
        try:
            return json.loads(answer.content, **options)
        except ValueError:
            raise BackendError(
                f"{self.url} answered {path} with something that is no JSON; check that the address is an IonQ API"
            ) from None


def _address(url: str) -> str:
    parts = urlsplit(url.strip() or IONQ_URL)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ConfigurationError(f"the address of IonQ's API is {url!r}; give one like {IONQ_URL} (IONQ_API_URL)")
    if parts.username or parts.password:
        raise ConfigurationError("the address of IonQ's API carries a login; give the key in IONQ_API_KEY instead")
    if parts.path.rstrip("/") not in ("", _VERSION):
        raise ConfigurationError(
            f"the address of IonQ's API ends in {parts.path!r}; Q-Store speaks v0.4 at the root of a host: "
            f"{parts.scheme}://{parts.netloc}{_VERSION}"
        )
    return f"{parts.scheme}://{parts.netloc}{_VERSION}"


def _retry_after(answer: httpx.Response) -> float | None:
    stated = answer.headers.get("Retry-After", "")
    return min(float(stated), 600.0) if stated.isdigit() else None


def _name(answer: httpx.Response) -> str:
    """The service's short name of an error, "" without one."""
    try:
        content = answer.json()
    except ValueError:
        return ""
    return str(content.get("error") or "") if isinstance(content, dict) else ""


def _reason(answer: httpx.Response) -> str:
    """The service's own words, shortened; never the request."""
    try:
        content = answer.json()
    except ValueError:
        return "no reason given"
    message = content.get("message") if isinstance(content, dict) else None
    return str(message or "no reason given")[:_SHOWN]
