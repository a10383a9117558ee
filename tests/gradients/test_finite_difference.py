import numpy as np
import pytest

from quantum_db.backends.protocols import CircuitRows
from quantum_db.backends.statevector import StatevectorExecutor
from quantum_db.circuits import Circuit, op, weight
from quantum_db.errors import ConfigurationError
from quantum_db.gradients import GRADIENT_METHODS
from quantum_db.gradients.finite_difference import FiniteDifference
from quantum_db.gradients.method import Wanted
from quantum_db.gradients.parameter_shift import ParameterShift
from tests.suites.gradient_methods import LAYERED, GradientSuite, degrees, rows_of
from tests.suites.recording_executor import RecordingExecutor

EXACT = StatevectorExecutor()
LARGEST_COEFFICIENT = 1.5  # of the observables of the suite's random circuits


class TestCentral(GradientSuite):
    tolerance = 1e-6

    @pytest.fixture
    def method(self):
        return FiniteDifference(step=1e-4)

    def stated_errors(self, circuit):
        return [1e-8 / 6 * w**3 * LARGEST_COEFFICIENT + 1e-11 for w in degrees(circuit)]


class TestForward(GradientSuite):
    tolerance = 1e-4

    @pytest.fixture
    def method(self):
        return FiniteDifference(step=1e-5, scheme="forward")

    def stated_errors(self, circuit):
        return [1e-5 / 2 * w**2 * LARGEST_COEFFICIENT + 1e-10 for w in degrees(circuit)]


def test_the_table_gives_central_differences_with_a_step_of_a_hundredth():
    assert GRADIENT_METHODS.load("finite_diff")() == FiniteDifference(0.01, "central")


@pytest.mark.parametrize("scheme", ["central", "forward"])
def test_the_error_is_that_of_the_leading_term(scheme):
    circuit = Circuit(1, (op("RY", 0, angle=weight(0)),), ("Z0",))
    step, angle = 0.01, 0.4
    found = FiniteDifference(step, scheme).jacobian(EXACT, CircuitRows.of(circuit, [angle]), Wanted()).weights.item()
    leading = {"central": step**2 / 6 * np.sin(angle), "forward": -step / 2 * np.cos(angle)}[scheme]
    assert found + np.sin(angle) == pytest.approx(leading, rel=0.01)


def test_the_circuits_are_counted_before_they_run():
    rows = rows_of(LAYERED, 3)
    for scheme, per_row in (("central", 2 * 5), ("forward", 5 + 1)):
        executor, method = RecordingExecutor(), FiniteDifference(scheme=scheme)
        wanted = Wanted(features=True)
        method.jacobian(executor, rows, wanted)
        assert method.circuit_count(rows, wanted) == executor.n_circuits == 3 * per_row


@pytest.mark.parametrize(("scheme", "factor"), [("central", 100), ("forward", 200)])
def test_with_shots_the_noise_is_divided_by_the_step(scheme, factor):
    circuit = Circuit(1, (op("RX", 0, angle=weight(0)),), ("Z0",))
    rows = CircuitRows.of(circuit, [np.pi / 2 - 0.3])

    def spread(method, count=150):
        drawn = [method.jacobian(EXACT, rows, Wanted(shots=1000, seed=seed)).weights.item() for seed in range(count)]
        return np.std(drawn)

    # the shifted circuits of the parameter shift rule are measured where their variance is smaller
    at = np.pi / 2 - 0.3
    shifted = np.sqrt((1 - np.sin(at) ** 2) / 1000 / 2)
    nearby = np.sqrt(np.sin(at) ** 2 / 1000 / 2)
    assert spread(ParameterShift()) == pytest.approx(shifted, rel=0.25)
    assert spread(FiniteDifference(scheme=scheme)) == pytest.approx(factor * nearby, rel=0.25)


@pytest.mark.parametrize("step", [0, -0.1, float("nan"), float("inf"), "0.1", True, None])
def test_impossible_steps_are_refused(step):
    with pytest.raises(ConfigurationError, match="the step of differences must be a number above 0, got"):
        FiniteDifference(step=step)


def test_unknown_schemes_are_refused():
    with pytest.raises(ConfigurationError, match="unknown scheme 'backward' of differences; known: central, forward"):
        FiniteDifference(scheme="backward")
