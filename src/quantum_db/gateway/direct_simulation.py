"""Simulates one small circuit gate by gate, without preparing it.

The batched simulator compiles a circuit and keeps what it compiled, which pays from a few rows on. Jobs whose circuits
all differ in their gates have one row of each: there compiling would take most of the time.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod

import numpy as np
import numpy.typing as npt

from quantum_db.circuits.gates import ComplexMatrix, gate
from quantum_db.circuits.ionq.decomposition import Multiple
from quantum_db.circuits.ionq.program import FloatArray, Structure

IntArray = npt.NDArray[np.int64]


def direct_probabilities(structure: Structure, angles: FloatArray) -> FloatArray:
    """Probabilities (2^n,) of the basis states, qubit 0 most significant, for the slots `angles` (n_features,)."""
    n_wires = structure.n_wires
    state = np.zeros(2**n_wires, dtype=np.complex128)
    state[0] = 1
    for matrix, (_, wires, _) in zip(_matrices(structure, angles), structure.steps, strict=True):
        if len(wires) == 1:
            state = (matrix @ state.reshape(2 ** wires[0], 2, -1)).reshape(-1)
        else:
            order, back = _orders(wires, n_wires)
            state = (matrix @ state[order].reshape(4, -1)).reshape(-1)[back]
    return np.asarray(state.real**2 + state.imag**2)


def _matrices(structure: Structure, angles: FloatArray) -> list[ComplexMatrix]:
    """The matrix of each step; those of one kind of gate are made together."""
    found: list[ComplexMatrix] = [_NOTHING] * len(structure.steps)
    of_kind: dict[str, list[int]] = {}
    for place, (name, _, angle) in enumerate(structure.steps):
        if isinstance(angle, Multiple):
            of_kind.setdefault(name, []).append(place)
        else:
            found[place] = _fixed(name, angle)
    for name, places in of_kind.items():
        multiples = [structure.steps[place][2] for place in places]
        pairs = [(angle.feature, angle.scale) for angle in multiples if isinstance(angle, Multiple)]
        features, scales = np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs])
        turned = (angles[features] * scales * gate(name).frequency)[:, None, None]
        constant, cosine, sine = gate(name).terms
        for place, matrix in zip(places, constant + np.cos(turned) * cosine + np.sin(turned) * sine, strict=True):
            found[place] = matrix
    return found


_NOTHING: ComplexMatrix = np.eye(2, dtype=np.complex128)


@lru_cache(maxsize=1024)
def _fixed(name: str, angle: float | None) -> ComplexMatrix:
    return gate(name).matrix(angle)


@lru_cache(maxsize=1024)
def _orders(wires: tuple[int, ...], n_wires: int) -> tuple[IntArray, IntArray]:
    """The order of amplitudes with `wires` in front, and the way back."""
    shape = (2,) * n_wires
    front = np.moveaxis(np.arange(prod(shape)).reshape(shape), wires, range(len(wires)))
    order = front.reshape(-1)
    return order, np.argsort(order)
