"""The compiled kernel: every build, precision and batch shape against the torch simulation and its gradients."""

import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from quantum_db.circuits import Circuit, feature, op, single_qubit, weight
from quantum_db.circuits.ansatz.hardware_efficient import HardwareEfficientAnsatz
from quantum_db.circuits.encoders.angle import AngleEncoder
from quantum_db.circuits.variational import variational_circuit
from quantum_db.errors import CircuitError, ConfigurationError
from quantum_db.simulation import adjoint
from quantum_db.simulation.adjoint import differentiable_expectations
from quantum_db.simulation.kernel_call import choose, libraries
from quantum_db.simulation.statevector import COMPLEX_OF, expectation_values, simulate
from tests.physics.random_circuits import circuits

TOLERANCE = {torch.float64: 1e-10, torch.float32: 5e-4}


@pytest.fixture(autouse=True)
def kernel_is_built():
    assert libraries(), "the kernel was not built: install a C++ compiler and install the package again"


def inputs(circuit, rows, seed, dtype, per_row=False, from_states=False):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()

    weights = draw(rows, circuit.n_weights) if per_row else draw(circuit.n_weights)
    states = None
    if from_states:
        raw = torch.complex(*torch.randn(2, rows, 2**circuit.n_qubits, generator=generator, dtype=torch.float64))
        unit = raw / torch.linalg.vector_norm(raw, dim=1, keepdim=True)
        states = unit.to(COMPLEX_OF[dtype]).requires_grad_()
    return [weights, draw(rows, circuit.n_features), states]


def gradients(output, cotangent, sources):
    nothing = sum(0 * tensor.real.sum() for tensor in sources)  # a circuit may depend on none of them
    return torch.autograd.grad((output * cotangent).sum() + nothing, sources, materialize_grads=True)


def assert_agrees(circuit, values, tolerance):
    """Values and gradients of the kernel are those of the torch simulation."""
    got = differentiable_expectations(circuit, *values)
    wanted = expectation_values(simulate(circuit, *values), circuit.observables)
    assert torch.allclose(got, wanted, atol=tolerance)
    cotangent = torch.linspace(-1, 2, got.numel(), dtype=got.dtype).reshape(got.shape)
    sources = [tensor for tensor in values if tensor is not None]
    found, true = (gradients(output, cotangent, sources) for output in (got, wanted))
    for mine, theirs in zip(found, true, strict=True):
        assert torch.allclose(mine, theirs, atol=10 * tolerance)


@settings(deadline=None, max_examples=80)
@given(
    circuits(max_gates=14),
    st.sampled_from([1, 2, 7, 8, 9, 17, 33]),
    st.sampled_from([torch.float32, torch.float64]),
    st.booleans(),
    st.booleans(),
    st.integers(0, 10**6),
)
def test_random_circuits_on_any_batch(circuit, rows, dtype, per_row, from_states, seed):
    if not circuit.observables:
        circuit = circuit.measuring(single_qubit(circuit.n_qubits))
    assert_agrees(circuit, inputs(circuit, rows, seed, dtype, per_row, from_states), TOLERANCE[dtype])


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_build_gives_the_same(number, dtype, monkeypatch):
    builds = libraries()
    library = builds[min(number, len(builds) - 1)]
    monkeypatch.setattr(adjoint, "libraries", lambda: (library,))
    circuit = Circuit(
        3,
        (
            op("RY", 0, angle=feature(0) * 0.7),
            op("RX", 2, angle=weight(0)),
            op("CNOT", 0, 2),
            op("X", 1),
            op("RZ", 2, angle=weight(1) + 0.3),
            op("SWAP", 0, 1),
            op("CRY", 1, 2, angle=weight(0) * -1.5),
            op("RXX", 2, 0, angle=feature(1)),
            op("H", 0),
            op("CZ", 0, 1),
            op("RY", 0, angle=weight(1)),
        ),
        ("Z0", "X1 Y2", "Y0", "Z1 Z2", "I"),
    )
    for rows in (1, 3, 5, 12, 16, 40):
        assert_agrees(circuit, inputs(circuit, rows, rows, dtype), TOLERANCE[dtype])


@pytest.mark.parametrize("threads", [1, 2])
def test_large_states_use_threads_and_stay_right(threads, monkeypatch):
    monkeypatch.setattr("quantum_db.simulation.threads.SMALL_WORK", 1)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        circuit = variational_circuit(AngleEncoder(13, 13), HardwareEfficientAnsatz(13, 2), single_qubit(13))
        assert_agrees(circuit, inputs(circuit, 2, 5, torch.float64), 1e-10)
    finally:
        torch.set_num_threads(before)


def test_the_same_call_gives_the_same_bits_and_a_second_backward_too():
    circuit = variational_circuit(AngleEncoder(6, 6), HardwareEfficientAnsatz(6, 3, "full"), single_qubit(6))
    values = inputs(circuit, 40, 3, torch.float32)
    runs = []
    for _ in range(2):
        output = differentiable_expectations(circuit, *values)
        grads = [torch.autograd.grad(output.sum(), values[:2], retain_graph=True) for _ in range(2)]
        runs.append((output, *grads[0], *grads[1]))
    first, second = runs
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert torch.equal(first[1], first[3])
    assert torch.equal(first[2], first[4])


def test_gradcheck_in_complex128():
    circuit = variational_circuit(AngleEncoder(3, 3), HardwareEfficientAnsatz(3, 2, "circular"), single_qubit(3))
    weights, features, _ = inputs(circuit, 3, 1, torch.float64)
    assert torch.autograd.gradcheck(lambda w, f: differentiable_expectations(circuit, w, f), (weights, features))


def test_memory_does_not_grow_with_depth():
    code = """
import resource, torch
from quantum_db.circuits import single_qubit
from quantum_db.circuits.ansatz.hardware_efficient import HardwareEfficientAnsatz
from quantum_db.circuits.encoders.angle import AngleEncoder
from quantum_db.circuits.variational import variational_circuit
from quantum_db.simulation.adjoint import differentiable_expectations
def peak(depth):
    circuit = variational_circuit(AngleEncoder(14, 14), HardwareEfficientAnsatz(14, depth), single_qubit(14))
    weights = torch.zeros(circuit.n_weights, requires_grad=True)
    differentiable_expectations(circuit, weights, torch.zeros(32, 14)).sum().backward()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(peak(1), peak(24))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=250)
    shallow, deep = map(int, result.stdout.split())
    one_state_kib = 32 * 2**14 * 8 // 1024
    assert deep - shallow < one_state_kib  # a simulation that stores states would need 24 or more of them


def test_tiles_fit_the_rows():
    known = libraries()
    for rows in (1, 3, 4, 8, 16, 32, 33, 100):
        layout = choose(rows, torch.float32, known, 10)
        assert layout.tiles * layout.width >= rows
        assert layout.width * layout.tiles < rows + layout.width
    widths = [choose(rows, torch.float32, known, 10).width for rows in range(1, 65)]
    assert widths[0] == min(widths)


def test_bad_input():
    circuit = Circuit(2, (op("RX", 0, angle=weight(0)), op("RY", 1, angle=feature(0))), ("Z0",))
    good = torch.zeros(1), torch.zeros(4, 1)
    with pytest.raises(CircuitError, match="takes 1 weights"):
        differentiable_expectations(circuit, torch.zeros(2), good[1])
    with pytest.raises(CircuitError, match="NaN"):
        differentiable_expectations(circuit, good[0], good[1] * float("nan"))
    with pytest.raises(CircuitError, match="3 rows of weights do not match 4 rows"):
        differentiable_expectations(circuit, torch.zeros(3, 1), good[1])
    with pytest.raises(CircuitError, match="initial states must have shape"):
        differentiable_expectations(circuit, *good, torch.zeros(4, 8, dtype=torch.complex64))
    assert differentiable_expectations(circuit, good[0], torch.zeros(0, 1)).shape == (0, 1)
    wide = Circuit(40, (op("RX", 39, angle=weight(0)),), ("Z39",))
    with pytest.raises(ConfigurationError, match=r"GiB.*qubits fit"):
        differentiable_expectations(wide, torch.zeros(1), torch.zeros(1, 0))
