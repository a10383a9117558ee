"""What every encoder is: features of a sample in, slot values of a circuit out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from quantum_db.circuits.circuit import Circuit
from quantum_db.errors import CircuitError, ConfigurationError, StageInputError

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Term:
    """How one slot is filled: the product over `features` of (feature + offset)."""

    features: tuple[int, ...]
    offset: float = 0.0


@dataclass(frozen=True)
class Encoder(ABC):
    """Turns `n_features` real features into a circuit on `n_qubits` wires.

    The fields of a subclass are its options; `spec()` and the table in this package's `__init__` store and restore
    them. No encoder drops a feature: more features than it can hold raise.
    """

    n_qubits: int
    n_features: int

    name: ClassVar[str]
    domain: ClassVar[tuple[float, float] | None] = (-1.0, 1.0)
    """Lowest and highest feature value; None where any real number is allowed."""
    reuploads: ClassVar[bool] = False
    """Whether `circuit(layer)` stands before every layer of the ansatz instead of only before the first."""

    def __post_init__(self) -> None:
        if self.n_qubits < 1 or self.n_features < 1:
            raise CircuitError(
                f"the {self.name} encoder needs at least one qubit and one feature, got {self.n_qubits} qubit(s) and "
                f"{self.n_features} feature(s)"
            )

    @abstractmethod
    def circuit(self, layer: int = 0) -> Circuit:
        """The encoding gates before ansatz layer `layer`, with feature slots and without observables."""

    def terms(self) -> tuple[Term, ...]:
        """How each slot of the circuit is filled from the features; by default slot i holds feature i."""
        return tuple(Term((index,)) for index in range(self.n_features))

    def slot_values(self, features: npt.ArrayLike) -> FloatArray:
        """The values of the feature slots, shape (rows, slots), of `features`, shape (rows, n_features).

        Raises StageInputError when the features do not fit or leave the domain.
        """
        array = self.checked(features)
        return np.stack([np.prod(array[:, list(t.features)] + t.offset, axis=1) for t in self.terms()], axis=1)

    def checked(self, features: npt.ArrayLike) -> FloatArray:
        """Return the features as float64 (rows, n_features) or raise StageInputError naming the first bad value."""
        array = np.asarray(features, dtype=np.float64)
        if array.ndim != 2 or array.shape[1] != self.n_features:
            raise StageInputError(
                f"the {self.name} encoder takes features of shape (rows, {self.n_features}), got {array.shape}"
            )
        low, high = self.domain or (-np.inf, np.inf)
        bad = ~(np.isfinite(array) & (array >= low - 1e-9) & (array <= high + 1e-9))
        if bad.any():
            row, column = (int(i) for i in np.argwhere(bad)[0])
            raise StageInputError(
                f"feature {column} of row {row} is {array[row, column]}, outside the domain [{low:g}, {high:g}] of the "
                f"{self.name} encoder ({int(bad.sum())} such value(s)); scale the features, for example with minmax "
                f"scaling fitted on the training split"
            )
        return array

    def spec(self) -> dict[str, Any]:
        """Name and options as JSON, read back by `encoder_from_spec`."""
        return {"name": self.name, **asdict(self)}

    def refuse_surplus(self, capacity: int, hint: str) -> None:
        """Raise ConfigurationError when there are more features than `capacity`."""
        if self.n_features > capacity:
            raise ConfigurationError(
                f"the {self.name} encoder on {self.n_qubits} qubit(s) holds {capacity} feature(s), but the data have "
                f"{self.n_features}; {hint}"
            )
