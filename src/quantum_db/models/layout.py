"""How each kind of model uses its circuit; free of torch, so that circuits can be planned without it."""

from __future__ import annotations

from quantum_db.circuits.observables import PauliString, class_observables, single_qubit


def encoder_width(kind: str, encoder: str, input_dim: int, n_qubits: int) -> int:
    """How many features the encoder of a model of this kind takes.

    A hybrid model's classical layers give one value per qubit. A variational model's encoder takes the features as
    they are. A quantum model reduces them only for encoders with one feature per qubit.
    """
    if kind == "hybrid":
        return n_qubits
    if kind == "quantum" and encoder in ("angle", "iqp") and input_dim > n_qubits:
        return n_qubits
    return input_dim


def has_trained_front(kind: str, encoder: str, input_dim: int, n_qubits: int) -> bool:
    """Whether trained classical layers stand between the features and the encoder."""
    return kind == "hybrid" or encoder_width(kind, encoder, input_dim, n_qubits) != input_dim


def measured_observables(kind: str, n_qubits: int, n_classes: int, basis: str) -> tuple[PauliString, ...]:
    """What the circuit is measured for: one observable per class in a variational model, else one per qubit."""
    return class_observables(n_qubits, n_classes, basis) if kind == "variational" else single_qubit(n_qubits, basis)
