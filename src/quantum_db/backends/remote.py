"""What a machine behind a network is to Q-Store: jobs are submitted, waited for, collected, and found again.

`execution/journaled.py` alone turns a RemoteBackend into an Executor, because only the journal knows what was already
submitted. A backend itself keeps no state: everything that is needed to go on after a crash is in its tickets and in
the intent id, which every job carries at the provider.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal, Protocol, TypeAlias

from quantum_db.circuits.circuit import Circuit
from quantum_db.errors import CircuitError, StoreError

Histogram: TypeAlias = Mapping[int, float]
"""Basis state -> probability, or share of the shots. Qubit 0 is the most significant bit; absent states are 0."""

JobState = Literal["waiting", "running", "completed", "failed", "canceled"]
TERMINAL: frozenset[JobState] = frozenset({"completed", "failed", "canceled"})
"""The states that a job never leaves."""


EXACT_SHOTS = 100
"""The shots that a job states where none were asked for: an ideal simulator draws none, but takes a number."""


@dataclass(frozen=True)
class TargetLimits:
    """What one job may hold on a target; None means that there is no such limit."""

    max_circuits: int | None = None
    max_gates: int | None = None
    """Gates of all circuits of a job together."""
    max_body_bytes: int | None = None
    max_qubits: int | None = None
    min_shots: int = 1
    max_shots: int | None = None


@dataclass(frozen=True, eq=False)
class CircuitJob:
    """What one job runs: circuits without open slots and without observables, measured on all qubits.

    `shots` None asks for exact probabilities, which only an ideal simulator can give. `seed` seeds the sampling of a
    simulator. `as_written` keeps the machine's compiler from rewriting the gates.
    """

    circuits: tuple[Circuit, ...]
    shots: int | None = None
    seed: int = 0
    as_written: bool = False

    def __post_init__(self) -> None:
        if not self.circuits:
            raise CircuitError("a job needs at least one circuit, got none")
        for number, circuit in enumerate(self.circuits):
            if circuit.n_weights or circuit.n_features or circuit.observables:
                raise CircuitError(
                    f"circuit {number} of the job has open slots or observables; bind its slots and turn its "
                    f"observables into changes of basis first (execution.measured)"
                )

    @property
    def stated_shots(self) -> int:
        """The shots of each circuit as the job states them, and as they are billed."""
        return EXACT_SHOTS if self.shots is None else self.shots

    @property
    def sampling_seed(self) -> int | None:
        """The seed where results depend on it: None where no shots are drawn."""
        return None if self.shots is None else self.seed

    @cached_property
    def fingerprints(self) -> tuple[str, ...]:
        """The fingerprint of each circuit."""
        return tuple(circuit.fingerprint for circuit in self.circuits)

    def digest(self, target: str, options: Mapping[str, Any]) -> str:
        """SHA-256 (hex) of everything that the job's results depend on; equal in every process."""
        form = [self.fingerprints, self.shots, self.sampling_seed, self.as_written, target, options]
        return hashlib.sha256(json.dumps(form, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@dataclass(frozen=True)
class Intent:
    """What is about to be submitted, in plain values: written down before anything is sent."""

    intent_id: str
    """The mark that the job carries at the provider; different for every job, equal when the same job is sent again."""
    target: str
    n_qubits: tuple[int, ...]
    """The number of qubits of each circuit, in the order of the job."""
    shots: int | None
    recorded_at: str
    """UTC, ISO 8601."""

    @classmethod
    def of(cls, job: CircuitJob, target: str, intent_id: str) -> Intent:
        """The intent to submit `job` now."""
        sizes = tuple(circuit.n_qubits for circuit in job.circuits)
        return cls(intent_id, target, sizes, job.shots, datetime.now(UTC).isoformat())

    def to_json(self) -> dict[str, Any]:
        """The intent as a JSON object."""
        return {**asdict(self), "n_qubits": list(self.n_qubits)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Intent:
        """The intent that `to_json` wrote; StoreError when it is none."""
        wanted = {entry.name for entry in fields(cls)}
        if not wanted <= set(content):
            missing = ", ".join(sorted(wanted - set(content)))
            raise StoreError(f"a job's record lacks {missing}; the journal was written by another version or edited")
        return cls(**{name: content[name] for name in wanted} | {"n_qubits": tuple(content["n_qubits"])})


@dataclass(frozen=True)
class Ticket:
    """The receipt of a submitted job: enough to wait for it and collect it in another process."""

    intent: Intent
    job_id: str
    """The provider's name of the job."""
    submitted_at: str
    """UTC, ISO 8601."""


@dataclass(frozen=True)
class RemoteStatus:
    """How a job stands. `code` and `message` say why it failed, in the provider's words."""

    state: JobState
    code: str = ""
    message: str = ""

    @property
    def is_terminal(self) -> bool:
        """Whether the job stays as it is."""
        return self.state in TERMINAL


@dataclass(frozen=True, eq=False)
class Collected:
    """The raw results of a completed job, one histogram per circuit, in the order of the job.

    `exact` says that the histograms are probabilities that no shots were drawn for, whatever the job's shots.
    `cost_usd` is what the provider charged (None where it does not say yet), `calibration` the id of the machine's
    calibration in force, "" where there is none.
    """

    histograms: tuple[Histogram, ...]
    exact: bool
    cost_usd: Decimal | None
    queue_s: float | None = None
    run_s: float | None = None
    calibration: str = ""


@dataclass(frozen=True)
class TargetReport:
    """What the provider says of a target now; None where it says nothing."""

    target: str
    available: bool
    status: str
    queue_s: float | None = None
    n_qubits: int | None = None
    one_qubit_fidelity: float | None = None
    two_qubit_fidelity: float | None = None
    calibration: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


class RemoteBackend(Protocol):
    """Jobs on one target of one provider. All methods may be called from several threads.

    Reads are repeated on passing faults by the backend itself; a submission never is. The errors mean:
    TransientBackendError: nothing was accepted and it may be tried again; RejectedJobError: nothing was accepted and
    the same job never will be; LostJobError: the job may have been accepted, ask `find` before submitting again.
    """

    @property
    def target(self) -> str:
        """The target's name, as in `qpu_target`."""
        ...

    @property
    def limits(self) -> TargetLimits:
        """What one job may hold."""
        ...

    @property
    def options(self) -> Mapping[str, Any]:
        """Everything but circuits, shots and seed that results depend on (noise, mitigation, compilation), as JSON."""
        ...

    def check(self, job: CircuitJob) -> None:
        """Raise RejectedJobError when `job` breaks a limit of the target; nothing is sent."""
        ...

    def sizes(self, job: CircuitJob) -> tuple[tuple[int, int], ...]:
        """The one-qubit and two-qubit gates of each circuit as they are billed."""
        ...

    def submit(self, job: CircuitJob, intent: Intent) -> Ticket:
        """Send `job` once, marked with the intent's id, and return its receipt."""
        ...

    def statuses(self, tickets: Sequence[Ticket]) -> tuple[RemoteStatus, ...]:
        """How the jobs stand, in the order of `tickets`; LostJobError when the provider does not know one."""
        ...

    def collect(self, ticket: Ticket) -> Collected:
        """The results of a completed job; BackendError when they are not complete."""
        ...

    def charged(self, ticket: Ticket) -> Decimal | None:
        """What the provider has charged for the job, in US dollars; None when it does not say yet."""
        ...

    def cancel(self, ticket: Ticket) -> None:
        """Ask the provider to stop the job; a job that is already over stays as it is."""
        ...

    def find(self, intent: Intent) -> tuple[Ticket, ...]:
        """All jobs at the provider that carry the intent's id, oldest first.

        An empty answer is conclusive: all jobs since the intent was recorded were looked at, and none carries it.
        """
        ...

    def report(self) -> TargetReport:
        """What the provider says of the target: status, queue, fidelities, calibration."""
        ...
