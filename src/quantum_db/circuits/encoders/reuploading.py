"""Data re-uploading: the features come again before every layer of the ansatz."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, pi
from typing import ClassVar

from quantum_db.circuits.circuit import Circuit, feature, op
from quantum_db.circuits.encoders.encoder import Encoder
from quantum_db.errors import ConfigurationError


@dataclass(frozen=True)
class ReuploadingEncoder(Encoder):
    """All features as rotations before each layer: feature k turns qubit k mod n, by RY and RZ in turn.

    More features than qubits share qubits, as several rotations in a row. Perez-Salinas et al., "Data re-uploading
    for a universal quantum classifier", arXiv:1907.02085. Scale as for the angle encoder.
    """

    scale: float = pi / 2

    name: ClassVar[str] = "reuploading"
    reuploads: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.scale < pi:
            raise ConfigurationError(f"the scale of the reuploading encoder must be in (0, pi), got {self.scale}")

    def circuit(self, layer: int = 0) -> Circuit:
        """The uploading block; it is turned by `layer` qubits so that features meet on changing qubits."""
        operations = []
        for row in range(ceil(self.n_features / self.n_qubits)):
            for column in range(min(self.n_qubits, self.n_features - row * self.n_qubits)):
                wire = (column + layer) % self.n_qubits
                index = row * self.n_qubits + column
                operations.append(op("RZ" if row % 2 else "RY", wire, angle=feature(index) * self.scale))
        return Circuit(self.n_qubits, tuple(operations))
