import numpy as np
import pytest
import torch

from quantum_db.circuits import Circuit, PauliString, feature, op, weight
from quantum_db.errors import CircuitError, ConfigurationError
from quantum_db.simulation.program import (
    Layer,
    Permutation,
    TwoQubit,
    compile_program,
    index_arrays,
    permutation_source,
)
from quantum_db.simulation.statevector import expectation_values, probabilities, simulate

CIRCUIT = Circuit(2, (op("RX", 0, angle=weight(0)), op("RY", 1, angle=feature(0)), op("CNOT", 0, 1)), ("Z0", "Z1"))


def test_shapes_and_dtypes():
    for real, complex_ in ((torch.float32, torch.complex64), (torch.float64, torch.complex128)):
        states = simulate(CIRCUIT, torch.zeros(1, dtype=real), torch.zeros(5, 1, dtype=real))
        assert (states.shape, states.dtype) == ((5, 4), complex_)
        assert expectation_values(states, CIRCUIT.observables).dtype == real
    assert simulate(Circuit(3), torch.zeros(0)).shape == (1, 8)


def test_probabilities_sum_to_one():
    states = simulate(CIRCUIT, torch.tensor([0.4], dtype=torch.float64), torch.randn(4, 1, dtype=torch.float64))
    np.testing.assert_allclose(probabilities(states).sum(dim=1), 1, atol=1e-14)


def test_a_row_does_not_depend_on_the_others():
    features = torch.tensor([[0.3], [1.4], [-2.0]], dtype=torch.float64)
    weights = torch.tensor([0.9], dtype=torch.float64)
    batch = simulate(CIRCUIT, weights, features)
    for row in range(3):
        torch.testing.assert_close(
            simulate(CIRCUIT, weights, features[row : row + 1])[0], batch[row], atol=1e-15, rtol=0
        )


def test_the_same_input_gives_the_same_bits():
    features = torch.linspace(-1, 1, 7)[:, None]
    first, second = (simulate(CIRCUIT, torch.tensor([0.9]), features) for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize(
    ("weights", "features", "initial", "message"),
    [
        (torch.zeros(1, dtype=torch.float16), torch.zeros(2, 1), None, "float32 or float64, got torch.float16"),
        (torch.zeros(0), torch.zeros(2, 1), None, r"takes 1 weights, got values of shape \(0,\)"),
        (torch.zeros(1), torch.zeros(2, 3), None, r"takes 1 features, got values of shape \(2, 3\)"),
        (torch.zeros(2), torch.zeros(2, 1), None, r"takes 1 weights, got values of shape \(2,\)"),
        (torch.zeros(1), None, None, r"takes 1 features, got values of shape \(1, 0\)"),
        (torch.zeros(2, 1), torch.zeros(3, 1), None, "2 rows of weights do not match 3 rows of features"),
        (torch.tensor([float("nan")]), torch.zeros(2, 1), None, "weights hold NaN or infinite"),
        (torch.zeros(1), torch.tensor([[float("inf")]]), None, "features hold NaN or infinite"),
        (torch.zeros(1), torch.zeros(2, 1), torch.ones(2, 8), r"\(rows, 4\) with 1 or 2 row\(s\), got \(2, 8\)"),
        (torch.zeros(1), torch.zeros(2, 1), torch.ones(4), r"got \(4,\)"),
        (torch.zeros(1), torch.zeros(2, 1), torch.ones(3, 4), r"got \(3, 4\)"),
    ],
)
def test_malformed_input(weights, features, initial, message):
    with pytest.raises(CircuitError, match=message):
        simulate(CIRCUIT, weights, features, initial)


def test_one_initial_state_for_all_rows():
    initial = torch.tensor([[0, 0, 0, 1]], dtype=torch.complex128)
    states = simulate(CIRCUIT, torch.zeros(1, dtype=torch.float64), torch.zeros(3, 1, dtype=torch.float64), initial)
    np.testing.assert_array_equal(states, [[0, 0, 1, 0]] * 3)  # CNOT turns |11> into |10>


def test_expectation_of_states_that_are_given():
    plus_i = torch.tensor([[1, 1j]], dtype=torch.complex128) / 2**0.5
    observables = tuple(map(PauliString.of, ("X0", "Y0", "Z0")))
    np.testing.assert_allclose(expectation_values(plus_i, observables), [[0, 1, 0]], atol=1e-15)


@pytest.mark.parametrize("gates", [(), ("CNOT",)])
def test_forty_qubits_are_refused_with_the_memory_they_need(gates):
    circuit = Circuit(40, (*(op(name, 0, 39) for name in gates), op("RX", 3, angle=0.1)))
    with pytest.raises(
        ConfigurationError, match=r"simulating 40 qubits .* needs [\d,]+\.\d GiB.*; \d+ qubits fit"
    ) as caught:
        simulate(circuit, torch.zeros(0))
    fits = int(str(caught.value).split(" qubits fit")[0].split()[-1])
    assert 16 < fits < 40


def test_a_program_joins_what_can_be_joined():
    circuit = Circuit(
        3,
        (
            *(op("RX", wire, angle=weight(wire)) for wire in range(3)),
            op("RZ", 1, angle=feature(0)),
            *(op("CNOT", 0, 1), op("SWAP", 1, 2)),
            op("CZ", 0, 2),
            op("CNOT", 2, 0),
        ),
    )
    steps = compile_program(circuit).steps
    assert [type(step) for step in steps] == [Layer, Permutation, TwoQubit, Permutation]
    assert index_arrays(circuit) == 2 + 5
    assert index_arrays(Circuit(2, (op("X", 0), op("CZ", 0, 1)))) == 0


def test_permutation_source():
    np.testing.assert_array_equal(permutation_source((0, 1, 3, 2), (0, 1), 2), [0, 1, 3, 2])
    np.testing.assert_array_equal(permutation_source((0, 1, 3, 2), (1, 0), 2), [0, 3, 2, 1])
    np.testing.assert_array_equal(permutation_source((0, 2, 1, 3), (0, 2), 3), [0, 4, 2, 6, 1, 5, 3, 7])
