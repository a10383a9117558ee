"""A circuit in which every gate has a slot of its own, so that each place of a shared slot can be moved alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from quantum_db.backends.protocols import CircuitRows
from quantum_db.circuits.circuit import Circuit, Operation, Slot, weight

FloatArray = npt.NDArray[np.float64]


def unrolled(circuit: Circuit) -> tuple[Circuit, tuple[Slot, ...]]:
    """The circuit with an own weight slot for every angle that had a slot, and the slot each one had."""
    slots: list[Slot] = []
    operations: list[Operation] = []
    for operation in circuit.operations:
        if operation.slot is not None:
            slots.append(operation.slot)
            operation = replace(operation, angle=weight(len(slots) - 1))
        operations.append(operation)
    return Circuit(circuit.n_qubits, tuple(operations), circuit.observables), tuple(slots)


def angles(rows: CircuitRows, slots: tuple[Slot, ...]) -> FloatArray:
    """The angle of every slotted gate in radians, shape (rows, slotted gates)."""
    values = {"weight": rows.weights, "feature": rows.features}
    columns = [slot.scale * values[slot.kind][:, slot.index] + slot.offset for slot in slots]
    return np.stack(columns, axis=1) if columns else np.zeros((rows.n_rows, 0))
