"""Amplitude encoding: the features are the amplitudes of the state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from quantum_db.circuits.circuit import Circuit, Operation, feature, op
from quantum_db.circuits.encoders.encoder import Encoder, FloatArray
from quantum_db.circuits.encoders.state_preparation import multiplexed_rotation, preparation_angles
from quantum_db.errors import StageInputError

ComplexArray = npt.NDArray[np.complex128]


@dataclass(frozen=True)
class AmplitudeEncoder(Encoder):
    """The state sum_i a_i |i>, a = features / norm, padded with zeros to 2^n.

    A simulator starts from `states` directly. On hardware the state is prepared by uniformly controlled rotations
    (Mottonen et al., "Transformation of quantum states using uniformly controlled rotations", quant-ph/0407010):
    2^n - 1 RY gates, as many RZ gates for complex amplitudes, and about as many CNOTs, which is why the gate count
    grows as 2^n. The slots hold the rotation angles. The norm of the features is lost: append it as a feature if it
    matters. With `complex_amplitudes` the features are the real parts followed by the imaginary parts.
    """

    complex_amplitudes: bool = False

    name: ClassVar[str] = "amplitude"
    domain: ClassVar[tuple[float, float] | None] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.complex_amplitudes and self.n_features % 2:
            raise StageInputError(
                f"complex amplitudes come as real parts, then imaginary parts: an even number of features, got "
                f"{self.n_features}"
            )
        self.refuse_surplus(
            2**self.n_qubits * (2 if self.complex_amplitudes else 1),
            "use more qubits (n qubits hold 2^n amplitudes) or reduce them (PCA)",
        )

    def circuit(self, layer: int = 0) -> Circuit:
        """The state preparation on hardware; slots: all RY angles, then all RZ angles."""
        operations: list[Operation] = []
        first = 0
        for name in ("RY", "RZ") if self.complex_amplitudes else ("RY",):
            for wire in range(self.n_qubits):
                slots = tuple(feature(first + k) for k in range(2**wire))
                operations += [
                    op("CNOT", part, wire) if isinstance(part, int) else op(name, wire, angle=part)
                    for part in multiplexed_rotation(slots, wire)
                ]
                first += 2**wire
        return Circuit(self.n_qubits, tuple(operations))

    def checked(self, features: npt.ArrayLike) -> FloatArray:
        """As for every encoder; an all-zero row is refused, since it has no direction."""
        array = super().checked(features)
        zero = np.flatnonzero(~np.any(array, axis=1))
        if zero.size:
            raise StageInputError(
                f"row {int(zero[0])} is all zero ({zero.size} such row(s)); a zero vector is no quantum state, so drop "
                f"these rows or append a constant feature"
            )
        return array

    def states(self, features: npt.ArrayLike) -> ComplexArray:
        """The normalised states, complex128 (rows, 2^n)."""
        array = self.checked(features)
        # dividing the real numbers by the largest one first keeps tiny and huge vectors from under- and overflowing
        array = array / np.max(np.abs(array), axis=1, keepdims=True)
        if self.complex_amplitudes:
            half = self.n_features // 2
            amplitudes = array[:, :half] + 1j * array[:, half:]
        else:
            amplitudes = array.astype(np.complex128)
        padded = np.zeros((len(array), 2**self.n_qubits), dtype=np.complex128)
        padded[:, : amplitudes.shape[1]] = amplitudes
        return np.asarray(padded / np.linalg.norm(padded, axis=1, keepdims=True), dtype=np.complex128)

    def slot_values(self, features: npt.ArrayLike) -> FloatArray:
        """The rotation angles that prepare each row's state, shape (rows, slots), up to a global phase."""
        return preparation_angles(self.states(features), phases=self.complex_amplitudes)
