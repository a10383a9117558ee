"""What is assumed of a target before it is asked: limits of a job, and how long gates take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from quantum_db.backends import BACKENDS
from quantum_db.backends.ionq.options import ALIASES, RETIRED, SIMULATOR
from quantum_db.backends.ionq.serialization import qis_circuit
from quantum_db.backends.ionq.targets import MAX_BODY_BYTES, MAX_CIRCUITS, MAX_GATES, MAX_SHOTS
from quantum_db.backends.remote import TargetLimits
from quantum_db.circuits.circuit import Circuit
from quantum_db.errors import ConfigurationError
from quantum_db.execution.splitting import JobLoad, written_load
from quantum_db.execution.targets import IONQ_SIMULATOR, REPLAY
from quantum_db.pricing import CircuitSize

_SHOT_S = 125e-6
"""Readout and reset, which are published of Harmony only (100 us and 25 us)."""
_QUBITS = {"forte": 36, "aria": 25}
_GATE_S = {"forte": (130e-6, 950e-6), "aria": (135e-6, 600e-6)}
"""Seconds of a one-qubit and of a two-qubit gate, as IonQ's system pages and Azure's provider page say."""


@dataclass(frozen=True)
class PlannedTarget:
    """A target as plans see it. `embedded` ones simulate in this process, cost nothing and have no queue."""

    name: str
    embedded: bool
    limits: TargetLimits
    gate_1q_s: float = 0.0
    gate_2q_s: float = 0.0
    shot_s: float = 0.0

    @property
    def price_name(self) -> str:
        """The target's name in price tables."""
        return SIMULATOR if self.name == IONQ_SIMULATOR else self.name

    @property
    def needs_shots(self) -> bool:
        """Whether the target draws shots and has no exact values."""
        return not self.embedded

    @property
    def instead(self) -> str:
        """What to use instead of a machine that is switched off; "" for one that runs."""
        return RETIRED.get(self.name, "")

    def seconds(self, sizes: Sequence[CircuitSize], shots: int) -> float:
        """Seconds on the machine for circuits of these sizes, gate after gate."""
        each = (size.gates_1q * self.gate_1q_s + size.gates_2q * self.gate_2q_s + self.shot_s for size in sizes)
        return shots * sum(each)


def planned_target(name: str, priced: Sequence[str]) -> PlannedTarget:
    """The target `name`; ConfigurationError unless it is a simulator of this package or one of the `priced` ones."""
    full = ALIASES.get(name, name)
    if full.startswith(REPLAY):
        return PlannedTarget(full, True, TargetLimits())
    if full == IONQ_SIMULATOR:
        return PlannedTarget(full, False, TargetLimits(MAX_CIRCUITS, MAX_GATES, MAX_BODY_BYTES, None, 1, MAX_SHOTS))
    if full in BACKENDS.rows and not full.startswith(("qpu.", "braket.")):
        return PlannedTarget(full, True, TargetLimits())
    if full not in priced:
        known = ", ".join(sorted({*BACKENDS.rows, IONQ_SIMULATOR, *priced}))
        raise ConfigurationError(f"unknown target {name!r}; targets that can be planned for: {known}")
    family = next((kind for kind in _QUBITS if kind in full), "forte")
    one, two = _GATE_S[family]
    qubits = next((count for kind, count in _QUBITS.items() if kind in full), None)
    if full.startswith("braket."):  # every circuit is a task of its own
        limits = TargetLimits(max_circuits=1, max_qubits=qubits, max_shots=MAX_SHOTS)
    else:
        limits = TargetLimits(MAX_CIRCUITS, MAX_GATES, MAX_BODY_BYTES, qubits, 1, MAX_SHOTS)
    return PlannedTarget(full, False, limits, one, two, _SHOT_S)


@dataclass(frozen=True)
class Sent:
    """One circuit as it is sent: what it is billed by, and what it adds to a job."""

    size: CircuitSize
    load: JobLoad


Measure = Callable[[Circuit], Sent]


def sent(circuit: Circuit) -> Sent:
    """`circuit` in IonQ's gates, which have no controlled rotations and no CZ."""
    written = qis_circuit(circuit)
    return Sent(CircuitSize(*written.count_by_arity()), written_load(written))
