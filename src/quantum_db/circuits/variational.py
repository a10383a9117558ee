"""Puts an encoder, an ansatz and observables together into one circuit."""

from __future__ import annotations

from collections.abc import Iterable

from quantum_db.circuits.ansatz import Ansatz
from quantum_db.circuits.circuit import Circuit
from quantum_db.circuits.encoders import Encoder
from quantum_db.circuits.observables import PauliString
from quantum_db.errors import CircuitError


def variational_circuit(
    encoder: Encoder, ansatz: Ansatz, observables: Iterable[PauliString | str], encode: bool = True
) -> Circuit:
    """The encoder's gates, the layers of the ansatz (with the encoder before each if it re-uploads), the measurement.

    With `encode` False the encoder's gates are left out, for a simulator that starts from the encoded states.
    """
    if encoder.n_qubits != ansatz.n_qubits:
        raise CircuitError(f"the encoder has {encoder.n_qubits} qubits and the ansatz {ansatz.n_qubits}")
    circuit = Circuit(ansatz.n_qubits)
    for number in range(ansatz.depth):
        if encode and (number == 0 or encoder.reuploads):
            circuit = circuit.then(encoder.circuit(number))
        circuit = circuit.then(ansatz.layer(number))
    return circuit.measuring(observables)
