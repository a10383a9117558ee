from importlib import import_module

import pytest

from quantum_db.backends.noisy import NoisySimulator
from quantum_db.backends.statevector import StatevectorExecutor
from quantum_db.backends.trajectories import TrajectoryExecutor
from quantum_db.errors import ConfigurationError
from quantum_db.execution import ExecutionConfig, assemble
from quantum_db.registry import Table

assemble_module = import_module("quantum_db.execution.assemble")


def test_every_setting_reaches_the_executor():
    config = ExecutionConfig(max_concurrent_circuits=7, precision="complex128", device="cpu")
    assert assemble(config) == StatevectorExecutor("complex128", 7, "cpu")
    assert assemble(ExecutionConfig()) == StatevectorExecutor("complex64")


def test_an_unknown_target_lists_the_known_ones():
    with pytest.raises(ConfigurationError, match=r"unknown qpu target 'abacus'; known: .*simulator.*qpu.forte-1"):
        ExecutionConfig(qpu_target="abacus")


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


def test_noise_reaches_the_targets_that_simulate_it():
    noisy = ExecutionConfig(qpu_target="noisy_simulator", noise_model="aria-1", noise_seed=3)
    assert assemble(noisy) == NoisySimulator("complex64", noise_model="aria-1", noise_seed=3)
    many = ExecutionConfig(qpu_target="trajectories", noise_model="forte-1", trajectories=70, precision="complex128")
    assert assemble(many) == TrajectoryExecutor(noise_model="forte-1", trajectories=70)
    assert assemble(ExecutionConfig(qpu_target="trajectories")) == TrajectoryExecutor("complex64")


@pytest.mark.parametrize("options", [{"noise_model": "aria-1"}, {"noise_seed": 0}, {"trajectories": 10}])
def test_a_target_without_noise_refuses_it(options):
    ((name, value),) = options.items()
    with pytest.raises(ConfigurationError, match=f"{name} is {value!r}, but qpu_target 'simulator' has no such option"):
        ExecutionConfig(**options)


def test_any_target_refuses_an_option_it_has_not(monkeypatch):
    config = ExecutionConfig(qpu_target="noisy_simulator", trajectories=10)
    with pytest.raises(ConfigurationError, match="'noisy_simulator' has no such option and would ignore it"):
        assemble(config)
    plain = {"noisy_simulator": "quantum_db.backends.statevector:StatevectorExecutor"}
    monkeypatch.setattr(assemble_module, "BACKENDS", Table("qpu target", plain))
    with pytest.raises(ConfigurationError, match="noise_model is 'aria-1'"):
        assemble(ExecutionConfig(qpu_target="noisy_simulator", noise_model="aria-1"))


def test_an_unknown_noise_model_lists_the_known_ones():
    with pytest.raises(ConfigurationError, match="unknown noise model 'noisy'; known: ideal, aria-1, aria-2, forte-1"):
        ExecutionConfig(qpu_target="noisy_simulator", noise_model="noisy")


@pytest.mark.parametrize("count", [0, -3, 1.5, "4", True])
def test_impossible_numbers_of_trajectories_are_refused(count):
    with pytest.raises(ConfigurationError, match="trajectories must be a positive integer or None"):
        ExecutionConfig(qpu_target="trajectories", trajectories=count)
