"""What can go wrong with a request to the upstream service, sorted by what may be done next.

UpstreamError (BackendError)
├── UpstreamBusyError       certainly without effect, or a read: do it again later (`retry_after` when it said when)
├── UpstreamUncertainError  a submission or cancellation whose effect is unknown: look before doing it again
├── UpstreamRefusedError    refused for what was asked; the same request will be refused again
├── UpstreamSetupError      refused for the address or the key of this gateway; no job is at fault
├── UpstreamMissingError    there is no such job upstream
└── UpstreamAnswerError     an answer that does not follow the API
"""

from __future__ import annotations

from typing import ClassVar

from quantum_db.errors import BackendError


class UpstreamError(BackendError):
    """A request to the upstream service did not succeed. `kind` is its label in metrics."""

    kind: ClassVar[str] = "error"


class UpstreamBusyError(UpstreamError):
    """The request took no effect (or was a read); the service, or the way to it, is overloaded or down."""

    kind: ClassVar[str] = "busy"

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after  # seconds, when the service named a time


class UpstreamUncertainError(UpstreamError):
    """Nobody can tell whether the request took effect: its answer was lost, late or an error of the server."""

    kind: ClassVar[str] = "uncertain"


class UpstreamRefusedError(UpstreamError):
    """The service understood the request and refuses it; `status` is the HTTP status, `reason` the service's text."""

    kind: ClassVar[str] = "refused"

    def __init__(self, message: str, status: int, reason: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class UpstreamSetupError(UpstreamError):
    """The address or the key of this gateway is wrong; every request will be refused until that is mended."""

    kind: ClassVar[str] = "setup"


class UpstreamMissingError(UpstreamError):
    """There is no such job upstream, or it is another account's."""

    kind: ClassVar[str] = "missing"


class UpstreamAnswerError(UpstreamError):
    """The service answered something that the API does not allow, so the answer is not used."""

    kind: ClassVar[str] = "answer"
