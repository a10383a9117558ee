"""A circuit prepared for batched simulation: which gates are fused, in what order the steps run.

One-qubit gates between two-qubit gates become one 2x2 matrix per wire, and the wires of a layer are multiplied in
groups of up to four as one matrix. Runs of CNOT and SWAP are one permutation of the amplitudes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby, pairwise
from math import ceil

import numpy as np
import numpy.typing as npt

from quantum_db.circuits.circuit import Circuit, Operation, Slot
from quantum_db.circuits.gates import gate

GROUP = 4


@dataclass(frozen=True)
class Layer:
    """One-qubit gates: for each wire the bank rows of its gates, in order of application."""

    gates: tuple[tuple[int, ...], ...]
    has_features: bool


@dataclass(frozen=True)
class Permutation:
    """New amplitude i is old amplitude source[i]."""

    source: npt.NDArray[np.int64]


@dataclass(frozen=True)
class TwoQubit:
    """One two-qubit gate that is not a permutation; `row` is its row in the bank of its arity."""

    wires: tuple[int, int]
    row: int
    has_features: bool


Step = Layer | Permutation | TwoQubit


@dataclass
class Bank:
    """The gates of one arity: their matrices are C + cos(l t) A + sin(l t) B with t = scale * slot + offset.

    Row 0 is the identity. `slot` is the position in (weights, features), -1 for gates without a slot.
    """

    arity: int
    constant: list[npt.NDArray[np.complex128]] = field(default_factory=list)
    cosine: list[npt.NDArray[np.complex128]] = field(default_factory=list)
    sine: list[npt.NDArray[np.complex128]] = field(default_factory=list)
    slot: list[int] = field(default_factory=list)
    scale: list[float] = field(default_factory=list)
    offset: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._add_fixed(np.eye(2**self.arity, dtype=np.complex128))

    def add(self, operation: Operation, n_weights: int) -> int:
        """Add the gate of `operation`; return its row."""
        kind, angle = gate(operation.gate), operation.angle
        if not isinstance(angle, Slot):
            return self._add_fixed(kind.matrix(angle))
        constant, cosine, sine = kind.terms
        self.constant.append(constant)
        self.cosine.append(cosine)
        self.sine.append(sine)
        self.slot.append(angle.index + (n_weights if angle.kind == "feature" else 0))
        self.scale.append(angle.scale * kind.frequency)
        self.offset.append(angle.offset * kind.frequency)
        return len(self.slot) - 1

    def _add_fixed(self, matrix: npt.NDArray[np.complex128]) -> int:
        zero = np.zeros_like(matrix)
        self.constant.append(matrix)
        self.cosine.append(zero)
        self.sine.append(zero)
        self.slot.append(-1)
        self.scale.append(0.0)
        self.offset.append(0.0)
        return len(self.slot) - 1


@dataclass(frozen=True)
class Program:
    """The steps of a circuit and the banks of its gates."""

    n_qubits: int
    n_weights: int
    n_features: int
    steps: tuple[Step, ...]
    single: Bank
    double: Bank

    @property
    def groups(self) -> tuple[range, ...]:
        """The wires multiplied as one matrix: groups of nearly equal size, at most GROUP wires each."""
        count = ceil(self.n_qubits / GROUP)
        bounds = [round(number * self.n_qubits / count) for number in range(count + 1)]
        return tuple(range(first, last) for first, last in pairwise(bounds))


class _Builder:
    def __init__(self, circuit: Circuit) -> None:
        self.circuit = circuit
        self.single, self.double = Bank(1), Bank(2)
        self.steps: list[Step] = []
        self.pending: list[list[int]] = [[] for _ in range(circuit.n_qubits)]
        self.pending_features = False
        self.source: npt.NDArray[np.int64] | None = None

    def build(self) -> Program:
        for operation in self.circuit.operations:
            permutation = gate(operation.gate).permutation
            if permutation is not None and len(operation.wires) == 2:
                self._permute(operation, permutation)
            elif len(operation.wires) == 1:
                self._rotate(operation)
            else:
                self._two_qubit(operation)
        self._flush_layer()
        self._flush_permutation()
        circuit = self.circuit
        return Program(
            circuit.n_qubits, circuit.n_weights, circuit.n_features, tuple(self.steps), self.single, self.double
        )

    def _rotate(self, operation: Operation) -> None:
        if self.source is not None:
            self._flush_permutation()
        self.pending[operation.wires[0]].append(self.single.add(operation, self.circuit.n_weights))
        self.pending_features |= _takes_feature(operation)

    def _permute(self, operation: Operation, permutation: tuple[int, ...]) -> None:
        if any(self.pending):
            self._flush_layer()
        step = permutation_source(permutation, operation.wires, self.circuit.n_qubits)
        self.source = step if self.source is None else self.source[step]

    def _two_qubit(self, operation: Operation) -> None:
        self._flush_layer()
        self._flush_permutation()
        first, second = operation.wires
        row = self.double.add(operation, self.circuit.n_weights)
        self.steps.append(TwoQubit((first, second), row, _takes_feature(operation)))

    def _flush_layer(self) -> None:
        if any(self.pending):
            self.steps.append(Layer(tuple(map(tuple, self.pending)), self.pending_features))
            self.pending = [[] for _ in self.pending]
            self.pending_features = False

    def _flush_permutation(self) -> None:
        if self.source is not None:
            self.steps.append(Permutation(self.source))
            self.source = None


def _takes_feature(operation: Operation) -> bool:
    return operation.slot is not None and operation.slot.kind == "feature"


def permutation_source(targets: tuple[int, ...], wires: tuple[int, ...], n_qubits: int) -> npt.NDArray[np.int64]:
    """Which old amplitude stands at each place after a gate that moves basis state i to `targets[i]`, shape (2^n,)."""
    index = np.arange(2**n_qubits)
    shifts = [n_qubits - 1 - wire for wire in wires]
    local = np.zeros_like(index)
    rest = index.copy()
    for shift in shifts:
        bit = (index >> shift) & 1
        local = 2 * local + bit
        rest &= ~(1 << shift)
    moved = np.asarray(targets)[local]
    for position, shift in enumerate(reversed(shifts)):
        rest |= ((moved >> position) & 1) << shift
    source = np.empty_like(index)
    source[rest] = index
    return source


@lru_cache(maxsize=256)
def index_arrays(circuit: Circuit) -> int:
    """How many arrays of 2^n integers preparing `circuit` takes: one per run of CNOT and SWAP, and five to work."""
    runs = groupby(_permutes(operation) for operation in circuit.operations)
    count = sum(permutes for permutes, _ in runs)
    return count + 5 if count else 0


def _permutes(operation: Operation) -> bool:
    return len(operation.wires) == 2 and gate(operation.gate).permutation is not None


@lru_cache(maxsize=256)
def compile_program(circuit: Circuit) -> Program:
    """Prepare `circuit`; equal circuits are prepared once."""
    return _Builder(circuit).build()
