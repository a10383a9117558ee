"""Random circuits over the whole gate table, and the states that cirq gives for them."""

import cirq
import numpy as np
from hypothesis import strategies as st

from quantum_db.circuits import GATES, Circuit, PauliString, Slot, op
from quantum_db.circuits.cirq_conversion import to_cirq

N_WEIGHTS, N_FEATURES = 3, 2
numbers = st.floats(-7.0, 7.0, allow_nan=False)


@st.composite
def slots(draw):
    kind, count = draw(st.sampled_from([("weight", N_WEIGHTS), ("feature", N_FEATURES)]))
    scale = draw(st.sampled_from([1.0, -1.0, 0.5, 2.0, np.pi / 2, -0.3]))
    return Slot(kind, draw(st.integers(0, count - 1)), scale, draw(st.sampled_from([0.0, 0.0, 0.7, -np.pi])))


@st.composite
def operations(draw, n_qubits):
    name = draw(st.sampled_from([name for name, gate in GATES.items() if gate.arity <= n_qubits]))
    wires = draw(st.permutations(range(n_qubits)))[: GATES[name].arity]
    angle = draw(st.one_of(slots(), slots(), numbers)) if GATES[name].has_angle else None
    return op(name, *wires, angle=angle)


@st.composite
def pauli_strings(draw, n_qubits):
    letters = draw(st.lists(st.sampled_from("IXYZ"), min_size=n_qubits, max_size=n_qubits))
    factors = tuple((wire, letter) for wire, letter in enumerate(letters) if letter != "I")
    return PauliString(factors, draw(st.sampled_from([1.0, 1.0, -0.5, 2.25])))


@st.composite
def circuits(draw, max_qubits=4, max_gates=14):
    n_qubits = draw(st.integers(1, max_qubits))
    gates = draw(st.lists(operations(n_qubits), max_size=max_gates))
    observables = draw(st.lists(pauli_strings(n_qubits), min_size=1, max_size=4))
    return Circuit(n_qubits, tuple(gates), tuple(observables))


def values(circuit, rows, seed):
    """Random weights (n_weights,) and features (rows, n_features) for a circuit."""
    generator = np.random.default_rng(seed)
    return generator.uniform(-3, 3, circuit.n_weights), generator.uniform(-3, 3, (rows, circuit.n_features))


def cirq_state(circuit, weights=(), features=()):
    """The final state by cirq, complex128 (2^n,)."""
    bound = to_cirq(circuit.bind(weights, features))
    order = cirq.LineQubit.range(circuit.n_qubits)
    return cirq.final_state_vector(bound, qubit_order=order, dtype=np.complex128, ignore_terminal_measurements=False)


def cirq_states(circuit, weights, features):
    """One state per row of features, complex128 (rows, 2^n)."""
    return np.stack([cirq_state(circuit, weights, row) for row in features])
