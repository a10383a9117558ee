"""Angle encoding: one rotation per feature."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import ClassVar

from quantum_db.circuits.circuit import Circuit, feature, op
from quantum_db.circuits.encoders.encoder import Encoder
from quantum_db.errors import ConfigurationError


@dataclass(frozen=True)
class AngleEncoder(Encoder):
    """Feature x in [-1, 1] of qubit i becomes the rotation R_axis(scale * x) on qubit i.

    The default scale pi/2 maps the domain to [-pi/2, pi/2]. A scale of pi or more is refused: then x = -1 and x = 1
    would be the same state. With axis Z a Hadamard comes first, since RZ does nothing to |0>.
    """

    axis: str = "Y"
    scale: float = pi / 2

    name: ClassVar[str] = "angle"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.axis not in ("X", "Y", "Z"):
            raise ConfigurationError(f"the axis of the angle encoder is X, Y or Z, got {self.axis!r}")
        if not 0 < self.scale < pi:
            raise ConfigurationError(
                f"the scale of the angle encoder must be above 0 and below pi, got {self.scale}: features lie in "
                f"[-1, 1], and from pi on different features become the same state"
            )
        self.refuse_surplus(
            self.n_qubits, "reduce them (PCA), use more qubits, or choose the reuploading or amplitude encoder"
        )

    def circuit(self, layer: int = 0) -> Circuit:
        """One rotation per feature."""
        wires = range(self.n_features)
        first = [op("H", wire) for wire in wires] if self.axis == "Z" else []
        rotations = [op(f"R{self.axis}", wire, angle=feature(wire) * self.scale) for wire in wires]
        return Circuit(self.n_qubits, (*first, *rotations))
