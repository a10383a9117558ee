"""Basis encoding: bits become a basis state."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from quantum_db.circuits.circuit import Circuit, feature, op
from quantum_db.circuits.encoders.encoder import Encoder, FloatArray
from quantum_db.errors import StageInputError


@dataclass(frozen=True)
class BasisEncoder(Encoder):
    """Feature 0 or 1 of qubit i becomes |0> or |1> of qubit i, by RY(pi * x)."""

    name: ClassVar[str] = "basis"
    domain: ClassVar[tuple[float, float] | None] = (0.0, 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.refuse_surplus(self.n_qubits, "use one qubit per bit")

    def circuit(self, layer: int = 0) -> Circuit:
        """RY(pi x) on each qubit, which takes |0> to |x> without a phase."""
        rotations = (op("RY", wire, angle=feature(wire) * pi) for wire in range(self.n_features))
        return Circuit(self.n_qubits, tuple(rotations))

    def checked(self, features: npt.ArrayLike) -> FloatArray:
        """As for every encoder; anything but 0 and 1 is refused."""
        array = super().checked(features)
        bad = (array != 0) & (array != 1)
        if np.any(bad):
            row, column = (int(i) for i in np.argwhere(bad)[0])
            raise StageInputError(
                f"feature {column} of row {row} is {array[row, column]}; the basis encoder takes only 0 and 1, so "
                f"turn features into bits first or choose the angle encoder"
            )
        return array
