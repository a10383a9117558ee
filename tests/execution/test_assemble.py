import pytest

from quantum_db.backends.statevector import StatevectorExecutor
from quantum_db.errors import ConfigurationError
from quantum_db.execution import ExecutionConfig, assemble


def test_every_setting_reaches_the_executor():
    config = ExecutionConfig(max_concurrent_circuits=7, precision="complex128", device="cpu")
    assert assemble(config) == StatevectorExecutor("complex128", 7, "cpu")
    assert assemble(ExecutionConfig()) == StatevectorExecutor("complex64")


def test_an_unknown_target_lists_the_known_ones():
    with pytest.raises(ConfigurationError, match=r"unknown qpu target 'qpu\.none'; known: .*simulator"):
        ExecutionConfig(qpu_target="qpu.none")


@pytest.mark.parametrize("limit", [0, -3, 1.5, "4", True])
def test_impossible_limits_are_refused(limit):
    with pytest.raises(ConfigurationError, match="max_concurrent_circuits must be a positive integer or None"):
        ExecutionConfig(max_concurrent_circuits=limit)


@pytest.mark.parametrize(
    ("options", "message"), [({"precision": "half"}, "unknown precision 'half'"), ({"device": "abacus"}, "device")]
)
def test_what_the_simulator_cannot_do_is_refused(options, message):
    with pytest.raises(ConfigurationError, match=message):
        assemble(ExecutionConfig(**options))
