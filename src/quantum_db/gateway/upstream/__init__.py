"""The client of an upstream service that speaks the IonQ API v0.4: IonQ itself, or another gateway.

It knows nothing of the ledger. Every failure is one of `errors.py`, sorted by the only question that matters to who
pays: did the request certainly not take effect, or is that unknown? Nothing here repeats a submission.
"""

from quantum_db.gateway.upstream.backoff import Backoff
from quantum_db.gateway.upstream.client import UpstreamClient, UpstreamOptions, check_upstream_url
from quantum_db.gateway.upstream.errors import (
    UpstreamAnswerError,
    UpstreamBusyError,
    UpstreamError,
    UpstreamMissingError,
    UpstreamRefusedError,
    UpstreamSetupError,
    UpstreamUncertainError,
)
from quantum_db.gateway.upstream.jobs import INTENT_KEY, SubmittedJob, UpstreamJob
from quantum_db.gateway.upstream.lookup import Lookup, find_intents
from quantum_db.gateway.upstream.rate import TokenBucket

__all__ = [
    "INTENT_KEY",
    "Backoff",
    "Lookup",
    "SubmittedJob",
    "TokenBucket",
    "UpstreamAnswerError",
    "UpstreamBusyError",
    "UpstreamClient",
    "UpstreamError",
    "UpstreamJob",
    "UpstreamMissingError",
    "UpstreamOptions",
    "UpstreamRefusedError",
    "UpstreamSetupError",
    "UpstreamUncertainError",
    "check_upstream_url",
    "find_intents",
]
