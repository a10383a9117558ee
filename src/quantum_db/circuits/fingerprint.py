"""The fingerprint of a circuit: one number for equal circuits, in every process.

Python's own `hash` of strings is salted per process, so it cannot name a cache entry or a journal record.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from quantum_db.circuits.observables import PauliString

if TYPE_CHECKING:
    from quantum_db.circuits.circuit import Angle, Circuit

_VERSION = 1


def fingerprint(circuit: Circuit) -> str:
    """Return the SHA-256 (hex) of the canonical form of `circuit`."""
    form = [
        _VERSION,
        circuit.n_qubits,
        [[o.gate, list(o.wires), _angle(o.angle)] for o in circuit.canonical_operations],
        [_observable(observable) for observable in circuit.observables],
    ]
    return hashlib.sha256(json.dumps(form, separators=(",", ":")).encode()).hexdigest()


def _number(value: float) -> str:
    # hexadecimal is exact; adding zero makes -0.0 and 0.0 one number
    return (float(value) + 0.0).hex()


def _angle(angle: Angle | None) -> object:
    if angle is None:
        return None
    if isinstance(angle, (int, float)):
        return _number(angle)
    return [angle.kind, angle.index, _number(angle.scale), _number(angle.offset)]


def _observable(observable: PauliString) -> object:
    return [_number(observable.coefficient), [[wire, letter] for wire, letter in observable.factors]]
