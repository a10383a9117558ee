"""Random noisy circuits over the whole gate table, and the density matrices that cirq gives for them."""

import cirq
import numpy as np

from quantum_db.circuits import GATES, Circuit, PauliString, feature, op, weight
from quantum_db.circuits.cirq_conversion import to_cirq
from quantum_db.simulation.noise import NoiseModel, Readout, amplitude_damping, dephasing, depolarizing

NOISY = NoiseModel(
    "everything",
    one_qubit=0.02,
    two_qubit=0.07,
    after_one_qubit=(amplitude_damping(0.03),),
    after_two_qubit=(dephasing(0.04), amplitude_damping(0.05)),
    per_gate=(
        ("H", (dephasing(0.11),)),
        ("CRX", (depolarizing(0.09), depolarizing(0.2, 2))),
        ("CNOT", (depolarizing(0.06, 2), amplitude_damping(0.02))),
        ("T", ()),
    ),
    readout=Readout(0.02, 0.05),
)
MIXTURE = NoiseModel(
    "mixture",
    one_qubit=0.03,
    two_qubit=0.08,
    after_two_qubit=(dephasing(0.05),),
    readout=Readout(0.01, 0.04),
)


def random_circuit(n_qubits, n_gates, seed, names=None):
    """Every gate of the table in turn, in random order on random wires, with slots and numbers as angles."""
    generator = np.random.default_rng(seed)
    table = names or [name for name, gate in GATES.items() if gate.arity <= n_qubits]
    order = [table[i % len(table)] for i in range(n_gates)]
    operations = []
    for name in generator.permutation(order):
        kind = GATES[str(name)]
        wires = [int(wire) for wire in generator.permutation(n_qubits)[: kind.arity]]
        choices = (weight(int(generator.integers(3))) * -0.7 + 0.2, feature(int(generator.integers(2))) * 1.3, 0.9)
        angle = choices[generator.integers(3)] if kind.has_angle else None
        operations.append(op(str(name), *wires, angle=angle))
    letters = ["".join(generator.choice(list("IXYZ"), n_qubits)) for _ in range(3)] + ["Z" * n_qubits]
    observables = [
        PauliString(tuple((w, letter) for w, letter in enumerate(word) if letter != "I"), coefficient)
        for word, coefficient in zip(letters, (1.0, -0.5, 2.25, 1.0), strict=True)
    ]
    return Circuit(n_qubits, tuple(operations), tuple(observables))


def cirq_channel(channel):
    """The channel as cirq makes it, from its own definition and not from our Kraus operators."""
    if channel.kind == "depolarizing":
        return cirq.depolarize(channel.rate * (1 - 4.0**-channel.arity), n_qubits=channel.arity)
    return {"amplitude_damping": cirq.amplitude_damp, "dephasing": cirq.phase_flip}[channel.kind](channel.rate)


def cirq_density(circuit, weights, features, noise):
    """The final density matrix by cirq, complex128 (2^n, 2^n)."""
    wires = cirq.LineQubit.range(circuit.n_qubits)
    noisy = cirq.Circuit(cirq.I.on_each(*wires))
    for operation in circuit.bind(weights, features).operations:
        noisy += to_cirq(Circuit(circuit.n_qubits, (operation,)))
        for channel, places in noise.channels_after(operation):
            noisy += cirq_channel(channel).on(*(wires[place] for place in places))
    simulator = cirq.DensityMatrixSimulator(dtype=np.complex128)
    return simulator.simulate(noisy, qubit_order=wires).final_density_matrix


def read_probabilities(rho, readout):
    """Closed form: the diagonal, multiplied by the confusion matrix of all qubits at once."""
    n_qubits = len(rho).bit_length() - 1
    up, down = readout.one_from_zero, readout.zero_from_one
    total = np.eye(1)
    for _ in range(n_qubits):
        total = np.kron(total, [[1 - up, down], [up, 1 - down]])
    return total @ np.diag(rho).real


def read_expectation(rho, observable, readout):
    """Closed form: every Pauli letter P becomes (1 - up - down) P + (down - up) I."""
    n_qubits = len(rho).bit_length() - 1
    up, down = readout.one_from_zero, readout.zero_from_one
    letters = dict(observable.factors)
    matrices = {"X": [[0, 1], [1, 0]], "Y": [[0, -1j], [1j, 0]], "Z": [[1, 0], [0, -1]]}
    total = np.eye(1)
    for wire in range(n_qubits):
        factor = np.eye(2)
        if wire in letters:
            factor = (1 - up - down) * np.array(matrices[letters[wire]]) + (down - up) * np.eye(2)
        total = np.kron(total, factor)
    return observable.coefficient * np.trace(rho @ total).real
