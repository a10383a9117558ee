import pytest

from quantum_db.backends.protocols import CircuitRows
from quantum_db.backends.statevector import StatevectorExecutor
from quantum_db.errors import ConfigurationError
from quantum_db.gradients import GRADIENT_METHODS
from quantum_db.gradients.method import Wanted
from tests.suites.gradient_methods import RX_TWICE, GradientSuite
from tests.suites.recording_executor import RecordingExecutor


class TestBackprop(GradientSuite):
    @pytest.fixture
    def method(self):
        return GRADIENT_METHODS.load("backprop")()


class TestAdjoint(GradientSuite):
    @pytest.fixture
    def method(self):
        return GRADIENT_METHODS.load("adjoint")()


@pytest.mark.parametrize("name", ["adjoint", "backprop"])
def test_a_machine_is_refused(name):
    method = GRADIENT_METHODS.load(name)()
    with pytest.raises(
        ConfigurationError, match="needs a simulator, but the target is 'recording'; use 'parameter_shift'"
    ):
        method.jacobian(RecordingExecutor(), CircuitRows.of(RX_TWICE, [0.1]), Wanted())


def test_shots_are_refused():
    method = GRADIENT_METHODS.load("backprop")()
    with pytest.raises(ConfigurationError, match="needs exact values, but shots_per_circuit is 100"):
        method.jacobian(StatevectorExecutor(), CircuitRows.of(RX_TWICE, [0.1]), Wanted(shots=100))


def test_an_unknown_method_lists_the_known_ones():
    with pytest.raises(
        ConfigurationError, match=r"unknown gradient method 'guess'; known: adjoint, backprop,.* parameter_shift"
    ):
        GRADIENT_METHODS.load("guess")
