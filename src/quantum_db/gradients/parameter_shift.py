"""Exact derivatives from shifted circuits, for every gate of the table.

Each place where a slot stands is shifted on its own and the contributions are added, so a slot that stands in several
gates is right (RX(t) RX(t) shifted as one would give zero). The chain factor of `scale * slot + offset` is `scale`.
Rules: Schuld et al., arXiv:1811.11184; Wierichs et al., arXiv:2107.12390.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from quantum_db.backends.protocols import Batch, CircuitRows, RowResults
from quantum_db.circuits.circuit import Circuit, Operation, Slot, weight
from quantum_db.circuits.gates import gate
from quantum_db.circuits.light_cone import live_slots
from quantum_db.gradients.method import CircuitGradient, FloatArray, Jacobian, Wanted


@dataclass(frozen=True)
class _Shift:
    """One term of one occurrence's rule: add `shift` to angle number `angle`; `factor` = coefficient * scale."""

    angle: int
    slot: Slot
    shift: float
    factor: float


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


class ParameterShift(CircuitGradient):
    """Two circuits per angle, four for controlled rotations; slots that no observable depends on are not shifted."""

    def shifts(self, circuit: Circuit, asked: Wanted) -> tuple[_Shift, ...]:
        """All shifted evaluations that one row of `circuit` needs."""
        live = live_slots(circuit)
        wanted = {"weight": asked.weights, "feature": asked.features}
        found: list[_Shift] = []
        number = -1
        for operation in circuit.operations:
            slot = operation.slot
            if slot is None:
                continue
            number += 1
            if wanted[slot.kind] and (slot.kind, slot.index) in live:
                rule = gate(operation.gate).shift_rule
                found += [_Shift(number, slot, shift, factor * slot.scale) for factor, shift in rule]
        return tuple(found)

    def expand(self, rows: CircuitRows, wanted: Wanted) -> Batch:
        """One part whose rows are, for each row of `rows` in turn, its shifted evaluations."""
        circuit, slots = unrolled(rows.circuit)
        shifts = self.shifts(rows.circuit, wanted)
        if not shifts:
            return Batch(())
        table = np.zeros((len(shifts), len(slots)))
        table[np.arange(len(shifts)), [shift.angle for shift in shifts]] = [shift.shift for shift in shifts]
        shifted = angles(rows, slots)[:, None, :] + table[None]
        return Batch((CircuitRows.of(circuit, shifted.reshape(-1, len(slots)), np.zeros((1, 0))),))

    def combine(self, rows: CircuitRows, wanted: Wanted, results: tuple[RowResults, ...]) -> Jacobian:
        """Add the weighted results of each slot's shifts."""
        circuit = rows.circuit
        shifts = self.shifts(circuit, wanted)
        shape = (rows.n_rows, len(shifts), len(circuit.observables))
        values = results[0].values.reshape(shape) if results else np.zeros(shape)
        jacobian = {
            "weight": np.zeros((rows.n_rows, len(circuit.observables), circuit.n_weights)),
            "feature": np.zeros((rows.n_rows, len(circuit.observables), circuit.n_features)),
        }
        for position, shift in enumerate(shifts):
            jacobian[shift.slot.kind][:, :, shift.slot.index] += shift.factor * values[:, position]
        return Jacobian(jacobian["weight"], jacobian["feature"])
