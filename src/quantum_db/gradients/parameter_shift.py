"""Exact derivatives from shifted circuits, for every gate of the table.

Each place where a slot stands is shifted on its own and the contributions are added, so a slot that stands in several
gates is right (RX(t) RX(t) shifted as one would give zero). The chain factor of `scale * slot + offset` is `scale`.
Rules: Schuld et al., arXiv:1811.11184; Wierichs et al., arXiv:2107.12390.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from quantum_db.backends.protocols import CircuitRows
from quantum_db.circuits.circuit import Circuit, Slot
from quantum_db.circuits.gates import gate
from quantum_db.circuits.light_cone import live_slots
from quantum_db.gradients.method import Wanted
from quantum_db.gradients.unrolling import angles, unrolled
from quantum_db.gradients.weighted_sums import Terms, WeightedSumGradient


@dataclass(frozen=True)
class _Shift:
    """One term of one place's rule: add `shift` to angle number `angle`; `factor` = coefficient * scale."""

    angle: int
    slot: Slot
    shift: float
    factor: float


class ParameterShift(WeightedSumGradient):
    """Two circuits per angle, four for controlled rotations, and exact.

    A place of a slot that no observable depends on is not shifted, even where the slot stands in a live place too.
    """

    def terms(self, rows: CircuitRows, wanted: Wanted) -> Terms:
        """For each row of `rows` in turn, its shifted evaluations."""
        circuit, slots, shifts = _plan(_Written(rows.circuit), wanted.weights, wanted.features)
        table = np.zeros((len(shifts), len(slots)))
        table[np.arange(len(shifts)), [shift.angle for shift in shifts]] = [shift.shift for shift in shifts]
        first_feature = rows.circuit.n_weights
        columns = [shift.slot.index + first_feature * (shift.slot.kind == "feature") for shift in shifts]
        count = rows.n_rows * len(shifts)
        shifted = (angles(rows, slots)[:, None, :] + table[None]).reshape(count, len(slots))
        return Terms(
            circuits=CircuitRows(circuit, shifted, np.zeros((count, 0))),
            points=np.arange(count),
            rows=np.repeat(np.arange(rows.n_rows), len(shifts)),
            slots=np.tile(np.array(columns, dtype=np.int64), rows.n_rows),
            factors=np.tile(np.array([shift.factor for shift in shifts]), rows.n_rows),
        )


class _Written:
    """A circuit as it is written down: equal circuits may number their angles differently."""

    def __init__(self, circuit: Circuit) -> None:
        self.circuit = circuit

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Written) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def _key(self) -> tuple[object, ...]:
        return (self.circuit.n_qubits, self.circuit.operations, self.circuit.observables)


@lru_cache(maxsize=64)
def _plan(written: _Written, weights: bool, features: bool) -> tuple[Circuit, tuple[Slot, ...], tuple[_Shift, ...]]:
    """The unrolled circuit, the slots it had, and all shifted evaluations that one row needs."""
    own, slots = unrolled(written.circuit)
    live = live_slots(own)
    rotations = [operation.gate for operation in written.circuit.operations if operation.slot is not None]
    asked = {"weight": weights, "feature": features}
    shifts = tuple(
        _Shift(number, slot, shift, factor * slot.scale)
        for number, (name, slot) in enumerate(zip(rotations, slots, strict=True))
        if asked[slot.kind] and slot.scale != 0 and ("weight", number) in live
        for factor, shift in gate(name).shift_rule
    )
    return own, slots, shifts
