"""A job as it is sent upstream, and as the upstream describes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from quantum_db.gateway.upstream.errors import UpstreamAnswerError

INTENT_KEY = "qstore_intent"
FINAL = ("completed", "failed", "canceled")
_MULTI = "ionq.multi-circuit.v1"
_NAME_CHARACTERS = 100


@dataclass(frozen=True)
class SubmittedJob:
    """What is sent: the circuits as the client wrote them, and the intent by which the job can be found again.

    `intent_id` goes into the name and the metadata. The client's own metadata stays here: IonQ limits it to ten keys,
    which cirq-ionq alone can fill. `circuits_json` is the JSON of `input`.
    """

    intent_id: str
    kind: str
    target: str
    shots: int
    circuits_json: bytes
    name: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    noise: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_multi(self) -> bool:
        """Whether the job has several circuits, so that its results are an object per circuit."""
        return self.kind == _MULTI

    def body(self) -> bytes:
        """The JSON body of POST /jobs."""
        content: dict[str, Any] = {
            "type": self.kind,
            "backend": self.target,
            "shots": self.shots,
            "name": upstream_name(self.intent_id, self.name),
            "metadata": {INTENT_KEY: self.intent_id},
            "input": msgspec.Raw(self.circuits_json),
        }
        if self.settings:
            content["settings"] = dict(self.settings)
        if self.noise:  # for an upstream that plays its machines; IonQ's have their own
            content["noise"] = dict(self.noise)
        return msgspec.json.encode(content)


def upstream_name(intent_id: str, name: str) -> str:
    """The intent, then as much of the client's name as IonQ allows: letters, digits, spaces, hyphens, underscores."""
    readable = re.sub(r"[^A-Za-z0-9 _-]+", "-", name).strip()
    return f"{intent_id} {readable}".strip()[:_NAME_CHARACTERS]


@dataclass(frozen=True)
class UpstreamJob:
    """A job as the upstream describes it. Times are the upstream's; None where it says none."""

    id: str
    status: str
    intent_id: str
    parent_id: str
    submitted_at: datetime | None
    child_ids: tuple[str, ...] = ()
    failure_code: str = ""
    failure_message: str = ""

    @classmethod
    def parse(cls, content: Any) -> UpstreamJob:
        """Read a job object; UpstreamAnswerError without an id or a status."""
        if not isinstance(content, dict) or not _text(content.get("id")) or not _text(content.get("status")):
            raise UpstreamAnswerError("the upstream described a job without an id or a status")
        failure = content.get("failure")
        failure = failure if isinstance(failure, dict) else {}
        return cls(
            id=content["id"],
            status=content["status"],
            intent_id=_intent_of(content),
            parent_id=_text(content.get("parent_job_id")),
            submitted_at=_moment(content.get("submitted_at")),
            child_ids=_ids(content.get("child_job_ids") or content.get("children")),
            failure_code=_text(failure.get("code")),
            failure_message=_text(failure.get("message")) or _text(failure.get("error")),
        )

    @property
    def is_final(self) -> bool:
        """Whether the upstream will not change the job any more."""
        return self.status in FINAL


def read_histograms(content: Mapping[str, Any], job: UpstreamJob, n_circuits: int) -> list[dict[str, float]]:
    """The probabilities of `n_circuits` circuits, in their order, from an answer of either results URL.

    Histograms of a multi-circuit job are keyed by child; where the job lists its children, their order there counts,
    else the order of the answer. UpstreamAnswerError when one is missing, empty, or does not sum to 1.
    """
    values: list[Any]
    if content and all(isinstance(value, dict) for value in content.values()):
        ordered = job.child_ids if set(job.child_ids) == set(content) else tuple(content)
        values = [content[child] for child in ordered]
    else:
        values = [content]
    if len(values) != n_circuits:
        raise UpstreamAnswerError(
            f"the upstream gave {len(values)} histograms for the {n_circuits} circuits of its job"
        )
    return [_histogram(value, index) for index, value in enumerate(values)]


def read_cost(content: Mapping[str, Any]) -> Decimal | None:
    """Dollars that GET /jobs/{id}/cost says the job cost; None when it says none yet, or not in dollars."""
    cost = content.get("cost")
    if not isinstance(cost, dict) or cost.get("value") is None or _text(cost.get("unit")).lower() != "usd":
        return None
    try:
        value = Decimal(str(cost["value"]))
    except InvalidOperation as error:
        raise UpstreamAnswerError("the upstream gave a cost that is not a number") from error
    if not value.is_finite() or value < 0:
        raise UpstreamAnswerError(f"the upstream gave the cost {value}, which is no amount of money")
    return value


def _histogram(value: Any, index: int) -> dict[str, float]:
    if not isinstance(value, dict) or not value:
        raise UpstreamAnswerError(f"the upstream's histogram of circuit {index} is empty")
    for key, share in value.items():
        number = isinstance(share, int | float) and not isinstance(share, bool)
        if not key.isdigit() or not number or not -1e-9 <= share <= 1 + 1e-6:
            raise UpstreamAnswerError(
                f"the upstream's histogram of circuit {index} has an entry that is no probability"
            )
    total = sum(value.values())
    if abs(total - 1) > 1e-3:
        raise UpstreamAnswerError(f"the probabilities of circuit {index} sum to {total:.6g} upstream, not to 1")
    return {key: float(share) for key, share in value.items()}


def _intent_of(content: Mapping[str, Any]) -> str:
    metadata = content.get("metadata")
    if isinstance(metadata, dict) and _text(metadata.get(INTENT_KEY)):
        return str(metadata[INTENT_KEY])
    return _text(content.get("name")).split(" ", 1)[0]


def _moment(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _ids(value: Any) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
