"""What is read from the `input` of a job: circuits of IonQ's wire format as circuits of the gate table."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from quantum_db.circuits.circuit import Circuit, Operation, Slot
from quantum_db.circuits.ionq.decomposition import Multiple, Step
from quantum_db.errors import CircuitError

FloatArray = npt.NDArray[np.float64]
Gateset = Literal["qis", "native"]
JsonPath = tuple[str | int, ...]
ErrorCode = Literal[
    "InvalidInput",
    "UnsupportedGate",
    "TooManyGates",
    "NotEnoughQubits",
    "TooManyControls",
    "QuantumCircuitComplexityError",
]


class WireError(CircuitError):
    """A circuit on the wire cannot be read or run.

    `code` is the failure code of IonQ's API for it, `keys` the path of the offending place in the body of the job, for
    example `("input", "circuits", 3, "circuit", 7, "rotation")`. The message never holds more of the body than one
    number, one gate name or one short word.
    """

    def __init__(self, message: str, code: ErrorCode = "InvalidInput", keys: Iterable[str | int] = ()) -> None:
        super().__init__(message)
        self.code: ErrorCode = code
        self.keys: JsonPath = tuple(keys)


@dataclass(frozen=True)
class WireLimits:
    """What a target takes in one job.

    `max_gates` counts the submitted gates of all circuits. `max_qubits` bounds the declared width and every qubit
    number, `max_active` the number of qubits in one circuit that gates act on.
    """

    max_circuits: int = 5000
    max_gates: int = 150_000
    max_qubits: int = 36
    max_active: int = 29
    max_controls: int = 7


@dataclass(frozen=True, eq=False)
class Structure:
    """The gates of a circuit without the numbers in them: equal gates share one object, so it works as a key.

    `steps` act on wires 0 to `n_wires` - 1, the active qubits in ascending order; every number of the circuit is a
    feature. `virtual_rz` says that RZ gates are changes of a frame, made without a pulse and so without noise (native
    gates).
    """

    steps: tuple[Step, ...]
    n_wires: int
    virtual_rz: bool

    @cached_property
    def circuit(self) -> Circuit:
        """The circuit, made at first use; a structure without gates has one idle wire."""
        operations = (
            Operation(
                gate, wires, Slot("feature", angle.feature, angle.scale) if isinstance(angle, Multiple) else angle
            )
            for gate, wires, angle in self.steps
        )
        return Circuit(max(self.n_wires, 1), tuple(operations))


@dataclass(frozen=True, eq=False, slots=True)
class WireCircuit:
    """One circuit of a job.

    `qubits` is its declared width, `active` the qubits its gates act on, ascending (wire k of `structure.circuit` is
    qubit `active[k]`; without gates it is empty and the circuit has one idle wire). `angles` (n_features,) fills the
    slots of `structure.circuit`; it is read-only. `gates_1q` and `gates_2q` are as billed: gates that act on one and on
    two qubits, and 6 (N - 2) two-qubit gates for a gate with controls on N > 2 qubits. `n_gates` counts as submitted.
    """

    qubits: int
    active: tuple[int, ...]
    gates_1q: int
    gates_2q: int
    n_gates: int
    structure: Structure
    angles: FloatArray
    gateset: Gateset
    name: str | None = None

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of what is run: circuits with the same digest have the same histogram; names don't count."""
        text = f"{self.structure.circuit.fingerprint} {self.structure.virtual_rz} {self.active} {self.angles.shape}"
        return hashlib.sha256(text.encode() + self.angles.astype("<f8").tobytes()).hexdigest()


@dataclass(frozen=True, eq=False)
class WireProgram:
    """All circuits of a job, in the order of submission; at least one."""

    circuits: tuple[WireCircuit, ...]

    @property
    def n_circuits(self) -> int:
        """The number of circuits."""
        return len(self.circuits)

    @cached_property
    def qubits(self) -> int:
        """The largest declared width."""
        return max(circuit.qubits for circuit in self.circuits)

    @cached_property
    def gates_1q(self) -> int:
        """One-qubit gates of all circuits, as billed."""
        return sum(circuit.gates_1q for circuit in self.circuits)

    @cached_property
    def gates_2q(self) -> int:
        """Two-qubit gates of all circuits, as billed."""
        return sum(circuit.gates_2q for circuit in self.circuits)

    @cached_property
    def n_gates(self) -> int:
        """Submitted gates of all circuits."""
        return sum(circuit.n_gates for circuit in self.circuits)
