"""Exact state preparation by uniformly controlled rotations.

Mottonen, Vartiainen, Bergholm, Salomaa: "Transformation of quantum states using uniformly controlled rotations",
quant-ph/0407010. A state is made from |0...0> by rotating qubit k under every setting of the qubits before it; a
rotation under 2^k settings is 2^k plain rotations with a CNOT after each (Gray code).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from quantum_db.circuits.circuit import Slot

FloatArray = npt.NDArray[np.float64]


def gray_code(number: int) -> int:
    """The Gray code of `number`."""
    return number ^ (number >> 1)


def multiplexed_rotation(slots: Sequence[Slot], n_controls: int) -> tuple[Slot | int, ...]:
    """Rotations (slots) and CNOT controls (wire numbers 0..n_controls-1), in order, onto one target.

    Control wire 0 is the most significant bit of the setting.
    """
    if n_controls == 0:
        return (slots[0],)
    steps: list[Slot | int] = []
    for number, slot in enumerate(slots):
        changed = gray_code(number) ^ gray_code((number + 1) % len(slots))
        steps += [slot, n_controls - changed.bit_length()]
    return tuple(steps)


def _multiplexer_angles(angles: FloatArray) -> FloatArray:
    """Turn the wanted angle per setting, (rows, 2^k), into the angles of the plain rotations, (rows, 2^k)."""
    count = angles.shape[1]
    settings = np.arange(count)
    codes = np.array([gray_code(number) for number in range(count)])
    parity = np.bitwise_count(settings[:, None] & codes[None, :]) & 1
    return np.asarray(angles @ (1.0 - 2.0 * parity) / count, dtype=np.float64)


def preparation_angles(states: npt.NDArray[np.complex128], phases: bool) -> FloatArray:
    """The angles (rows, slots) that prepare `states` (rows, 2^n): RY angles by qubit, then RZ angles if `phases`.

    Without `phases` the states must be real; their signs are kept by RY angles beyond pi.
    """
    rows, size = states.shape
    n_qubits = size.bit_length() - 1
    amplitudes = np.abs(states) if phases else states.real
    turns, twists = [], []
    phase = np.angle(states)
    for _ in range(n_qubits):
        pairs = amplitudes.reshape(rows, -1, 2)
        turns.append(_multiplexer_angles(2 * np.arctan2(pairs[:, :, 1], pairs[:, :, 0])))
        amplitudes = np.hypot(pairs[:, :, 0], pairs[:, :, 1])
        angles = phase.reshape(rows, -1, 2)
        twists.append(_multiplexer_angles(angles[:, :, 1] - angles[:, :, 0]))
        phase = angles.mean(axis=2)
    # the last qubit was solved first; the circuit starts with the first qubit
    columns = turns[::-1] + (twists[::-1] if phases else [])
    return np.concatenate(columns, axis=1)
