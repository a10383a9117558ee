"""What every gradient method promises, as tests; a test file subclasses `GradientSuite` and gives its method."""

import cirq
import numpy as np
import pytest

from quantum_db.backends.protocols import CircuitRows
from quantum_db.backends.statevector import StatevectorExecutor
from quantum_db.circuits import GATES, Circuit, PauliString, feature, op, weight
from quantum_db.circuits.cirq_conversion import to_cirq
from quantum_db.errors import CircuitError, ConfigurationError
from quantum_db.gradients import GRADIENT_METHODS
from quantum_db.gradients.method import Wanted

RX_TWICE = Circuit(1, (op("RX", 0, angle=weight(0)), op("RX", 0, angle=weight(0))), ("Z0",))
LAYERED = Circuit(
    3,
    (
        op("RY", 0, angle=feature(0) * 1.5 + 0.1),
        op("RX", 1, angle=feature(1)),
        op("H", 2),
        op("RZ", 2, angle=feature(0)),
        op("RY", 1, angle=weight(0)),
        op("RX", 2, angle=weight(1) * -0.5),
        op("CNOT", 0, 1),
        op("CRX", 1, 2, angle=weight(0) * 2.0 + 0.3),
        op("RZZ", 2, 0, angle=weight(2)),
        op("RY", 0, angle=weight(1)),
    ),
    ("Z0", "X1 Z2", "Y2"),
)


def cirq_values(circuit, weights, features):
    """Expectation values (observables,) by cirq alone."""
    bound = to_cirq(circuit.bind(weights, features))
    wires = cirq.LineQubit.range(circuit.n_qubits)
    state = cirq.final_state_vector(bound, qubit_order=wires, dtype=np.complex128, ignore_terminal_measurements=False)
    return np.array([(state.conj() @ o.matrix(circuit.n_qubits) @ state).real for o in circuit.observables])


def numerical(circuit, weights, features, step=1e-5):
    """Central differences of cirq's values: in weights (observables, n_weights), in features likewise."""

    def column(kind, index):
        shifted = []
        for sign in (1, -1):
            pair = {"weight": np.array(weights, float), "feature": np.array(features, float)}
            pair[kind][index] += sign * step
            shifted.append(cirq_values(circuit, pair["weight"], pair["feature"]))
        return (shifted[0] - shifted[1]) / (2 * step)

    n_outputs = len(circuit.observables)
    return tuple(
        np.stack([column(kind, index) for index in range(count)], axis=1) if count else np.zeros((n_outputs, 0))
        for kind, count in (("weight", circuit.n_weights), ("feature", circuit.n_features))
    )


def rows_of(circuit, count, seed=3):
    generator = np.random.default_rng(seed)
    return CircuitRows(
        circuit,
        generator.uniform(-2, 2, (count, circuit.n_weights)),
        generator.uniform(-2, 2, (count, circuit.n_features)),
    )


def random_circuit(seed):
    """Shared and affine slots, controlled rotations, weights and features on every gate of the table."""
    generator = np.random.default_rng(seed)
    n_qubits = int(generator.integers(2, 4))
    names = [*(name for name, gate in GATES.items() if gate.has_angle), "CNOT", "H", "SWAP"]
    operations = [op("RY", wire, angle=feature(wire % 2)) for wire in range(n_qubits)]
    for name in generator.choice(names, size=10):
        wires = generator.permutation(n_qubits)[: GATES[name].arity]
        slot = (weight, feature)[int(generator.random() < 0.3)](int(generator.integers(2)))
        angle = slot * generator.choice([1.0, -0.5, 2.0]) + generator.choice([0.0, 0.7])
        operations.append(op(str(name), *wires, angle=angle if GATES[name].has_angle else None))
    operations += [op("CRX", 0, 1, angle=weight(0) * 1.5 + 0.1), op("RX", 1, angle=weight(1))]
    observables = [PauliString.of("Z0"), PauliString.of("X0 Z1", -1.5), PauliString.of("Y1")]
    return Circuit(n_qubits, tuple(operations), tuple(observables))


def exactly(rows):
    """The derivatives by backpropagation in complex128."""
    method = GRADIENT_METHODS.load("backprop")()
    return method.jacobian(StatevectorExecutor("complex128"), rows, Wanted(features=True))


def degrees(circuit):
    """For every slot the sum of |scale| over its places, for the weights and for the features."""
    total = {"weight": np.zeros(circuit.n_weights), "feature": np.zeros(circuit.n_features)}
    for slot in (operation.slot for operation in circuit.operations if operation.slot is not None):
        total[slot.kind][slot.index] += abs(slot.scale)
    return total["weight"], total["feature"]


class GradientSuite:
    """Subclass it as `Test...` with a fixture `method`; `tolerance` is the stated error of an exact method."""

    tolerance = 1e-10

    def stated_errors(self, circuit):
        """The largest error of the derivatives in weights, in features; anything that broadcasts."""
        return self.tolerance, self.tolerance

    @pytest.mark.parametrize("seed", range(16))
    def test_against_backpropagation_on_random_circuits(self, method, seed):
        circuit = random_circuit(seed)
        rows = rows_of(circuit, 3, seed)
        found, wanted = self.jacobian(method, rows), exactly(rows)
        assert np.abs(wanted.weights).max() > 1e-3
        by_weight, by_feature = self.stated_errors(circuit)
        assert np.all(np.abs(found.weights - wanted.weights) <= by_weight)
        assert np.all(np.abs(found.features - wanted.features) <= by_feature)

    def test_derivatives_that_are_exact_have_no_standard_errors(self, method):
        rows = rows_of(LAYERED, 1)
        assert self.jacobian(method, rows).standard_errors is None
        assert self.jacobian(method, rows, standard_errors=True).standard_errors is None

    def test_slots_without_numbers_are_refused(self):
        with pytest.raises(CircuitError, match=r"weights\[0, 1\] is nan; every slot needs a finite number"):
            CircuitRows.of(LAYERED, [0.1, np.nan, 0.2], [[0.1, 0.2]])

    @pytest.mark.parametrize("shots", [0, -1, 2.5, True, "100"])
    def test_impossible_shots_are_refused(self, shots):
        with pytest.raises(ConfigurationError, match="shots must be a positive integer, got"):
            Wanted(shots=shots)

    executor = StatevectorExecutor()

    def jacobian(self, method, rows, **wanted):
        return method.jacobian(self.executor, rows, Wanted(**{"features": True, **wanted}))

    def test_weights_and_features_of_every_row(self, method):
        rows = rows_of(LAYERED, 3)
        jacobian = self.jacobian(method, rows)
        assert jacobian.weights.shape == (3, 3, 3)
        assert jacobian.features.shape == (3, 3, 2)
        for number in range(3):
            by_weight, by_feature = numerical(LAYERED, rows.weights[number], rows.features[number])
            np.testing.assert_allclose(jacobian.weights[number], by_weight, atol=self.tolerance + 1e-8)
            np.testing.assert_allclose(jacobian.features[number], by_feature, atol=self.tolerance + 1e-8)

    @pytest.mark.parametrize("name", [name for name, gate in GATES.items() if gate.has_angle])
    def test_every_gate_with_an_angle(self, method, name):
        wires = (1, 0)[: GATES[name].arity]
        around = [op("RY", 0, angle=0.7), op("RX", 1, angle=-0.4), op("RZ", 1, angle=1.1)]
        after = [op("RX", 0, angle=0.5), op("CNOT", 0, 1), op("RY", 1, angle=0.8)]
        circuit = Circuit(2, (*around, op(name, *wires, angle=weight(0) * -1.7 + 0.2), *after), ("Z0", "X0 Y1", "Z1"))
        rows = rows_of(circuit, 2)
        jacobian = self.jacobian(method, rows)
        for number in range(2):
            wanted, _ = numerical(circuit, rows.weights[number], [])
            assert np.abs(wanted).max() > 1e-3
            np.testing.assert_allclose(jacobian.weights[number], wanted, atol=self.tolerance + 1e-8)

    def test_a_shared_slot_sums_over_its_uses(self, method):
        jacobian = self.jacobian(method, CircuitRows.of(RX_TWICE, [0.3]))
        assert jacobian.weights.item() == pytest.approx(-2 * np.sin(0.6), abs=self.tolerance)
        assert jacobian.weights.item() == pytest.approx(-1.129, abs=5e-4)

    @pytest.mark.parametrize(("weights", "features"), [(True, False), (False, True), (False, False)])
    def test_slots_that_are_not_wanted_are_zero(self, method, weights, features):
        rows = rows_of(LAYERED, 2)
        everything = self.jacobian(method, rows)
        jacobian = self.jacobian(method, rows, weights=weights, features=features)
        np.testing.assert_allclose(jacobian.weights, everything.weights * weights, atol=self.tolerance)
        np.testing.assert_allclose(jacobian.features, everything.features * features, atol=self.tolerance)

    def test_a_batch_is_the_loop_over_its_rows(self, method):
        rows = rows_of(LAYERED, 4)
        together = self.jacobian(method, rows)
        for number in range(4):
            single = CircuitRows(LAYERED, rows.weights[[number]], rows.features[[number]])
            alone = self.jacobian(method, single)
            np.testing.assert_allclose(together.weights[[number]], alone.weights, atol=self.tolerance)
            np.testing.assert_allclose(together.features[[number]], alone.features, atol=self.tolerance)

    def test_coefficients_and_the_identity(self, method):
        circuit = Circuit(1, (op("RY", 0, angle=weight(0)),), ("Z0", "I"))
        scaled = circuit.measuring([*(type(o)(o.factors, -2.5) for o in circuit.observables)])
        jacobian = self.jacobian(method, CircuitRows.of(scaled, [0.4]))
        np.testing.assert_allclose(jacobian.weights[0, :, 0], [2.5 * np.sin(0.4), 0], atol=self.tolerance)

    def test_circuits_without_slots_observables_or_rows(self, method):
        fixed = self.jacobian(method, CircuitRows.of(Circuit(1, (op("H", 0),), ("Z0",))))
        assert (fixed.weights.shape, fixed.features.shape) == ((1, 1, 0), (1, 1, 0))
        unmeasured = self.jacobian(method, CircuitRows.of(LAYERED.measuring(()), [0.1, 0.2, 0.3], [[0.1, 0.2]]))
        assert (unmeasured.weights.shape, unmeasured.features.shape) == ((1, 0, 3), (1, 0, 2))
        empty = self.jacobian(method, rows_of(LAYERED, 0))
        assert (empty.weights.shape, empty.features.shape) == ((0, 3, 3), (0, 3, 2))
