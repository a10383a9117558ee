"""A circuit as the compiled kernel takes it: fused one-qubit gates in sweeps over the stored amplitudes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from quantum_db.circuits.circuit import Circuit, Operation, Slot
from quantum_db.circuits.gates import gate
from quantum_db.simulation.kernel_call import (
    BlockWire,
    Element,
    Fused,
    Integer,
    Pass,
    StoredObservable,
    Sweep,
)
from quantum_db.simulation.stored_indices import StoredIndices
from quantum_db.simulation.sweeps import BlockSweep, Gate, sweeps_of

AXES = {"RX": 0, "RY": 1, "RZ": 2, "PhaseShift": 2}
"""The axis each gate with an angle turns about; PhaseShift is RZ up to a phase, which no expectation value sees."""


@dataclass(frozen=True, eq=False)
class KernelProgram:
    """The arrays of a circuit; they live as long as this object."""

    sweeps: Any
    passes: Any
    wires: Any
    bases: Any
    observables: Any
    elements: Any
    fused: Any
    n_sweeps: int
    n_fused: int
    n_elements: int


def one_and_cnot(operation: Operation) -> list[Operation]:
    """The operation as one-qubit gates and CNOT, SWAP, which cost the kernel next to nothing."""
    name, wires, angle = operation.gate, operation.wires, operation.angle
    if len(wires) == 1 or name in ("CNOT", "SWAP"):
        return [operation]
    second = wires[1]
    entangle = Operation("CNOT", wires)
    if name == "CZ":
        return [Operation("H", (second,)), entangle, Operation("H", (second,))]
    assert angle is not None  # noqa: S101
    if name in ("RXX", "RYY", "RZZ"):
        basis = {"RXX": ("H",), "RYY": ("Sdg", "H"), "RZZ": ()}[name]
        back = {"RXX": ("H",), "RYY": ("H", "S"), "RZZ": ()}[name]
        before = [Operation(turn, (wire,)) for wire in wires for turn in basis]
        after = [Operation(turn, (wire,)) for wire in wires for turn in back]
        return [*before, entangle, Operation("RZ", (second,), angle), entangle, *after]
    # half the angle, and half of it back if the control is set: RY and RZ change their sign under X, RX under Z
    swap = [Operation("H", (second,))] if name == "CRX" else []
    turn = {"CRX": "RZ", "CRY": "RY", "CRZ": "RZ"}[name]
    forth, back_again = (Operation(turn, (second,), angle * factor) for factor in (0.5, -0.5))
    return [*swap, forth, entangle, back_again, entangle, *swap]


class _Builder:
    """Walks a circuit once and packs it.

    `from_states` says that the run starts from given states instead of a product state; `per_row_weights` that every
    row has its own weights.
    """

    def __init__(self, circuit: Circuit, from_states: bool, per_row_weights: bool) -> None:
        self.circuit, self.per_row_weights = circuit, per_row_weights
        self.indices = StoredIndices(circuit.n_qubits)
        self.pending: list[list[Operation]] = [[] for _ in range(circuit.n_qubits)]
        self.layers: list[list[Gate]] = []
        self.elements: list[Element] = []
        self.fused: list[Fused] = []
        self.started = from_states

    def build(self, lane_bits: int, block_bits: int) -> KernelProgram:
        for operation in self.circuit.operations:
            for part in one_and_cnot(operation):
                self._add(part)
        self._flush()
        self._start()
        sweeps = sweeps_of(self.layers, self.circuit.n_qubits, lane_bits, block_bits)
        observables = [StoredObservable(*self.indices.observable(o)) for o in self.circuit.observables]
        packed = _packed(sweeps)
        return KernelProgram(
            **{name: _array(kind, items) for name, (kind, items) in packed.items()},
            observables=_array(StoredObservable, observables),
            elements=_array(Element, self.elements),
            fused=_array(Fused, self.fused),
            n_sweeps=len(sweeps),
            n_fused=len(self.fused),
            n_elements=len(self.elements),
        )

    def _add(self, operation: Operation) -> None:
        if len(operation.wires) == 1:
            self.pending[operation.wires[0]].append(operation)
            return
        if any(self.pending[wire] for wire in operation.wires):
            self._flush()
        self._start()
        move = self.indices.cnot if operation.gate == "CNOT" else self.indices.swap
        move(*operation.wires)

    def _start(self) -> None:
        """The product state to start from, if nothing else has been: one fused gate per wire."""
        if not self.started:
            for operations in self.pending:
                self._fuse(operations)
            self.pending = [[] for _ in self.pending]
            self.started = True

    def _flush(self) -> None:
        """Turn the waiting one-qubit gates into a layer."""
        if not self.started:
            self._start()
            return
        layer = []
        for wire, operations in enumerate(self.pending):
            if [operation.gate for operation in operations] == ["X"]:
                self.indices.flip(wire)
            elif operations:
                layer.append(Gate(*self.indices.masks(wire), self._fuse(operations)))
        if layer:
            self.layers.append(layer)
        self.pending = [[] for _ in self.pending]

    def _fuse(self, operations: list[Operation]) -> int:
        first = len(self.elements)
        self.elements += [self._element(operation) for operation in operations] or [_fixed(np.eye(2))]
        slots = [o.slot for o in operations if o.slot is not None]
        per_row = any(slot.kind == "feature" or self.per_row_weights for slot in slots)
        self.fused.append(Fused(first, len(self.elements) - first, int(per_row)))
        return len(self.fused) - 1

    def _element(self, operation: Operation) -> Element:
        slot = operation.slot
        if slot is None:
            angle = operation.angle
            assert not isinstance(angle, Slot)  # noqa: S101
            return _fixed(gate(operation.gate).matrix(angle))
        number = slot.index + (self.circuit.n_weights if slot.kind == "feature" else 0)
        return Element(number, AXES[operation.gate], slot.scale, slot.offset)


def _fixed(matrix: np.ndarray) -> Element:
    """A gate without slot as the quaternion w - i (x X + y Y + z Z), up to a phase."""
    (a, b), (c, d) = matrix / np.sqrt(complex(np.linalg.det(matrix)))
    parts = ((a + d) / 2).real, -((b + c) / 2).imag, ((c - b) / 2).real, ((d - a) / 2).imag
    return Element(-1, 0, 0.0, 0.0, parts)


def _packed(sweeps: tuple[BlockSweep, ...]) -> dict[str, tuple[Any, list[Any]]]:
    packed: dict[str, tuple[Any, list[Any]]] = {
        "sweeps": (Sweep, []),
        "passes": (Pass, []),
        "wires": (BlockWire, []),
        "bases": (Integer, []),
    }
    (_, sweep_items), (_, passes), (_, wires), (_, bases) = packed.values()
    for sweep in sweeps:
        sweep_items.append(Sweep(len(passes), len(sweep.passes), sweep.dim, sweep.low, len(bases)))
        bases += sweep.vectors
        for one in sweep.passes:
            passes.append(Pass(len(wires), len(one.lines), len(one.lanes)))
            wires += [BlockWire(g.flip, g.sign, g.outer, g.inverted, g.number) for g in (*one.lines, *one.lanes)]
    return packed


def _array(kind: Any, items: list[Any]) -> Any:
    return (kind * max(len(items), 1))(*items)


@lru_cache(maxsize=256)
def kernel_program(
    circuit: Circuit, from_states: bool, per_row_weights: bool, lane_bits: int, block_bits: int
) -> KernelProgram:
    """Pack `circuit` for the kernel; equal circuits are packed once."""
    return _Builder(circuit, from_states, per_row_weights).build(lane_bits, block_bits)
