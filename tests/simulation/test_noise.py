import numpy as np
import pytest

from quantum_db.circuits import op
from quantum_db.errors import CircuitError, ConfigurationError
from quantum_db.simulation.noise import (
    NOISE_MODELS,
    Channel,
    NoiseModel,
    Readout,
    amplitude_damping,
    dephasing,
    depolarizing,
    noise_model,
)

RATES = (0.0, 1e-4, 0.05, 0.5, 0.97, 1.0)
CHANNELS = [
    make(rate)
    for rate in RATES
    for make in (depolarizing, lambda rate: depolarizing(rate, 2), amplitude_damping, dephasing)
]


def random_state(dimension, seed):
    generator = np.random.default_rng(seed)
    half = generator.normal(size=(dimension, dimension)) + 1j * generator.normal(size=(dimension, dimension))
    rho = half @ half.conj().T
    return rho / np.trace(rho)


def applied(channel, rho):
    return sum(k @ rho @ k.conj().T for k in channel.kraus)


@pytest.mark.parametrize("channel", CHANNELS, ids=str)
def test_channels_keep_the_trace_and_are_completely_positive(channel):
    size = 2**channel.arity
    total = sum(k.conj().T @ k for k in channel.kraus)
    np.testing.assert_allclose(total, np.eye(size), atol=1e-14)
    choi = channel.choi
    assert np.linalg.eigvalsh(choi).min() > -1e-14
    np.testing.assert_allclose(choi, choi.conj().T, atol=1e-15)
    # index (out, in): tracing out the output gives the identity exactly when the trace is kept
    over_output = np.einsum("iaib->ab", choi.reshape((size,) * 4))
    np.testing.assert_allclose(over_output, np.eye(size), atol=1e-14)


@pytest.mark.parametrize("channel", CHANNELS, ids=str)
def test_superoperator_and_mixture_are_the_kraus_operators(channel):
    rho = random_state(2**channel.arity, 3)
    wanted = applied(channel, rho)
    np.testing.assert_allclose((channel.superoperator @ rho.reshape(-1)).reshape(rho.shape), wanted, atol=1e-14)
    if channel.kind == "amplitude_damping" and channel.rate:
        assert channel.mixture is None
    else:
        shares, unitaries = channel.mixture
        assert shares.sum() == pytest.approx(1, abs=1e-14)
        mixed = sum(share * u @ rho @ u.conj().T for share, u in zip(shares, unitaries, strict=True))
        np.testing.assert_allclose(mixed, wanted, atol=1e-14)


@pytest.mark.parametrize("arity", [1, 2])
@pytest.mark.parametrize("rate", [0.0, 0.0133, 0.4, 1.0])
def test_depolarizing_mixes_with_the_fully_mixed_state(arity, rate):
    rho = random_state(2**arity, 8)
    wanted = (1 - rate) * rho + rate * np.eye(2**arity) / 2**arity
    np.testing.assert_allclose(applied(depolarizing(rate, arity), rho), wanted, atol=1e-14)


def test_depolarizing_has_the_operators_that_ionq_gives():
    r = 0.0133
    (first, *others) = depolarizing(r).kraus
    np.testing.assert_allclose(first, np.sqrt(1 - 3 * r / 4) * np.eye(2), atol=1e-15)
    assert [np.linalg.norm(k, 2) for k in others] == pytest.approx([np.sqrt(r / 4)] * 3)
    (first, *others) = depolarizing(r, 2).kraus
    np.testing.assert_allclose(first, np.sqrt(1 - 15 * r / 16) * np.eye(4), atol=1e-15)
    assert [np.linalg.norm(k, 2) for k in others] == pytest.approx([np.sqrt(r / 16)] * 15)


def test_damping_and_dephasing_in_closed_form():
    rho = random_state(2, 5)
    damped = applied(amplitude_damping(0.3), rho)
    assert damped[1, 1] == pytest.approx(0.7 * rho[1, 1])
    assert damped[0, 1] == pytest.approx(np.sqrt(0.7) * rho[0, 1])
    dephased = applied(dephasing(0.2), rho)
    assert dephased[0, 1] == pytest.approx(0.6 * rho[0, 1])
    assert dephased[0, 0] == pytest.approx(rho[0, 0])


@pytest.mark.parametrize(
    ("name", "one", "two"),
    [
        ("ideal", 0.0, 0.0),
        ("aria-1", 0.0005, 0.0133),
        ("aria-2", 0.000657333, 0.01856),
        ("forte-1", 0.000266667, 0.004949333),
    ],
)
def test_presets_hold_the_published_figures(name, one, two):
    model = noise_model(name)
    assert (model.name, model.one_qubit, model.two_qubit) == (name, one, two)
    assert model.readout == Readout(0.0, 0.0)
    assert model.source
    assert model.is_ideal == (name == "ideal")
    if one:
        ((channel, wires),) = model.channels_after(op("H", 3))
        assert (channel, wires) == (depolarizing(one), (3,))
        ((channel, wires),) = model.channels_after(op("CNOT", 4, 1))
        assert (channel, wires) == (depolarizing(two, 2), (4, 1))


@pytest.mark.parametrize("name", ["harmony", "", None, 3, "Aria-1"])
def test_an_unknown_model_lists_the_known_ones(name):
    with pytest.raises(ConfigurationError, match="known: ideal, aria-1, aria-2, forte-1"):
        noise_model(name)
    assert tuple(NOISE_MODELS) == ("ideal", "aria-1", "aria-2", "forte-1")


def test_channels_of_a_gate_take_the_place_of_the_general_ones():
    model = NoiseModel(
        one_qubit=0.1, two_qubit=0.2, after_two_qubit=(dephasing(0.3),), per_gate=(("CZ", (dephasing(0.4),)), ("H", ()))
    )
    assert model.channels_after(op("CZ", 2, 0)) == ((dephasing(0.4), (2,)), (dephasing(0.4), (0,)))
    assert model.channels_after(op("H", 1)) == ()
    assert model.channels_after(op("X", 1)) == ((depolarizing(0.1), (1,)),)
    assert model.channels_after(op("CNOT", 0, 1)) == (
        (depolarizing(0.2, 2), (0, 1)),
        (dephasing(0.3), (0,)),
        (dephasing(0.3), (1,)),
    )
    assert not model.is_ideal
    assert NoiseModel(after_one_qubit=(dephasing(0.0),)).is_ideal
    assert not NoiseModel(readout=Readout(0.1)).is_ideal


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: depolarizing(1.1), "the rate of channel depolarizing must be a number from 0 to 1, got 1.1"),
        (lambda: dephasing(-0.1), "from 0 to 1, got -0.1"),
        (lambda: dephasing(float("nan")), "from 0 to 1, got nan"),
        (lambda: dephasing(True), "from 0 to 1, got True"),
        (lambda: depolarizing(0.1, 3), "not on 3"),
        (lambda: Channel("dephasing", 0.1, 2), "not on 2"),
        (lambda: Channel("bitflip", 0.1), "unknown channel 'bitflip'; known: depolarizing, amplitude_damping"),
        (lambda: Readout(2.0), "the readout error one_from_zero must be a number from 0 to 1, got 2.0"),
        (lambda: NoiseModel(one_qubit=-1), "the one-qubit error must be"),
        (lambda: NoiseModel(two_qubit="much"), "the two-qubit error must be"),
        (lambda: NoiseModel(after_one_qubit=(depolarizing(0.1, 2),)), "two qubits cannot follow a gate on one"),
        (lambda: NoiseModel(per_gate=(("H", (depolarizing(0.1, 2),)),)), "H: a channel on two qubits"),
    ],
)
def test_impossible_noise_is_refused(make, message):
    with pytest.raises(ConfigurationError, match=message):
        make()


def test_noise_of_an_unknown_gate_is_refused():
    with pytest.raises(CircuitError, match="unknown gate 'CNTO'"):
        NoiseModel(per_gate=(("CNTO", ()),))
