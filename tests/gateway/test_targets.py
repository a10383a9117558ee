from __future__ import annotations

import pytest

from quantum_db.errors import ConfigurationError
from quantum_db.gateway.targets import MACHINES, Target, target_table
from quantum_db.simulation.noise import NOISE_MODELS


def test_a_plain_gateway_has_the_simulator_alone() -> None:
    table = target_table(simulate_qpus=False, upstream=False, largest_qubits=24)
    assert table.rows == {"simulator": Target("simulator", "simulated", 29, 24, "ideal")}
    assert not table.require("simulator").is_qpu


def test_with_an_upstream_live_machines_are_forwarded() -> None:
    table = target_table(simulate_qpus=False, upstream=True, largest_qubits=24)
    assert table.names() == ("simulator", "qpu.forte-1", "qpu.forte-enterprise-1")
    assert table.require("qpu.forte-1") == Target("qpu.forte-1", "forwarded", 36, 36)


def test_played_machines_have_their_noise_and_fit_into_memory() -> None:
    table = target_table(simulate_qpus=True, upstream=False, largest_qubits=24)
    assert set(table.names()) == set(MACHINES)
    assert table.require("qpu.forte-1") == Target("qpu.forte-1", "simulated", 36, 24, "forte-1")
    assert table.require("qpu.harmony").max_active == 11
    assert table.require("qpu.forte-enterprise-1").noise is None


def test_every_noise_model_of_a_machine_exists() -> None:
    assert {machine.noise for machine in MACHINES.values()} - {None} <= set(NOISE_MODELS)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("qpu.forte-1", "has no upstream IonQ; start it with --upstream-url"),
        ("qpu.aria-1", "is retired"),
        ("qpu", "names no machine"),
        ("nope", "unknown backend 'nope'; known: simulator"),
        ("x" * 500, "unknown backend 'xxx"),
    ],
)
def test_what_is_not_there_says_why(name: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        target_table(simulate_qpus=False, upstream=False, largest_qubits=24).require(name)
    assert says in str(error.value)
    assert len(str(error.value)) < 300


def test_playing_and_forwarding_exclude_each_other() -> None:
    with pytest.raises(ConfigurationError, match="exclude each other"):
        target_table(simulate_qpus=True, upstream=True, largest_qubits=24)
