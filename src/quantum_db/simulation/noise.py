"""Noise of gates and of readout: channels as Kraus operators, noise models, and IonQ's published ones. No torch.

A channel maps rho to the sum of K rho K^dagger. A mixture of unitaries applies one of them with a fixed probability,
whatever the state is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import product
from math import isfinite, sqrt

import numpy as np
import numpy.typing as npt

from quantum_db.circuits.circuit import Operation
from quantum_db.circuits.gates import PAULI, ComplexMatrix, gate, kron
from quantum_db.errors import ConfigurationError

FloatArray = npt.NDArray[np.float64]


def _share(what: str, value: float) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not isfinite(value) or not 0 <= value <= 1:
        raise ConfigurationError(f"{what} must be a number from 0 to 1, got {value!r}")
    return float(value)


def _paulis(arity: int) -> tuple[ComplexMatrix, ...]:
    return tuple(kron(*(PAULI[letter] for letter in word)) for word in product("IXYZ", repeat=arity))


def _depolarizing(rate: float, arity: int) -> tuple[ComplexMatrix, ...]:
    paulis = _paulis(arity)
    other = sqrt(rate / len(paulis))
    return (sqrt(1 - rate * (1 - 1 / len(paulis))) * paulis[0], *(other * matrix for matrix in paulis[1:]))


def _amplitude_damping(rate: float, arity: int) -> tuple[ComplexMatrix, ...]:
    keep = np.diag([1, sqrt(1 - rate)]).astype(np.complex128)
    return keep, np.array([[0, sqrt(rate)], [0, 0]], dtype=np.complex128)


def _dephasing(rate: float, arity: int) -> tuple[ComplexMatrix, ...]:
    return sqrt(1 - rate) * PAULI["I"], sqrt(rate) * PAULI["Z"]


_KINDS: dict[str, tuple[Callable[[float, int], tuple[ComplexMatrix, ...]], tuple[int, ...]]] = {
    "depolarizing": (_depolarizing, (1, 2)),
    "amplitude_damping": (_amplitude_damping, (1,)),
    "dephasing": (_dephasing, (1,)),
}


@dataclass(frozen=True)
class Channel:
    """One kind of noise on `arity` qubits, with its rate from 0 to 1; made by the functions below.

    Raises ConfigurationError for an unknown kind, a rate outside [0, 1] or an arity that the kind has not.
    """

    kind: str
    rate: float
    arity: int = 1

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise ConfigurationError(f"unknown channel {self.kind!r}; known: {', '.join(_KINDS)}")
        object.__setattr__(self, "rate", _share(f"the rate of channel {self.kind}", self.rate))
        arities = _KINDS[self.kind][1]
        if self.arity not in arities:
            raise ConfigurationError(f"channel {self.kind} acts on {arities} qubit(s), not on {self.arity!r}")

    @cached_property
    def kraus(self) -> tuple[ComplexMatrix, ...]:
        """The Kraus operators, each (2^arity, 2^arity); the first is the one without an error."""
        return _KINDS[self.kind][0](self.rate, self.arity)

    @cached_property
    def mixture(self) -> tuple[FloatArray, tuple[ComplexMatrix, ...]] | None:
        """The probabilities and unitaries of a channel that is a mixture of unitaries, else None."""
        shares = [float(np.trace(k.conj().T @ k).real) / len(k) for k in self.kraus]
        found: list[ComplexMatrix] = []
        for share, operator in zip(shares, self.kraus, strict=True):
            unit = operator / sqrt(share) if share > 0 else np.eye(len(operator), dtype=np.complex128)
            if not np.allclose(unit.conj().T @ unit, np.eye(len(unit)), atol=1e-12):
                return None
            found.append(unit)
        return np.asarray(shares), tuple(found)

    @cached_property
    def superoperator(self) -> ComplexMatrix:
        """The matrix on (ket, bra) indices of rho, (4^arity, 4^arity): the sum of K (x) K*."""
        return np.asarray(sum(np.kron(k, k.conj()) for k in self.kraus), dtype=np.complex128)

    @cached_property
    def choi(self) -> ComplexMatrix:
        """The Choi matrix, (4^arity, 4^arity): positive semidefinite as the channel is completely positive."""
        columns = [k.reshape(-1, 1) for k in self.kraus]
        return np.asarray(sum(column @ column.conj().T for column in columns), dtype=np.complex128)


def depolarizing(rate: float, arity: int = 1) -> Channel:
    """With probability `rate` the qubits become fully mixed (IonQ's definition).

    One qubit: K0 = sqrt(1 - 3 r / 4), others sqrt(r / 4) times X, Y, Z. Two qubits: K00 = sqrt(1 - 15 r / 16), others
    sqrt(r / 16) times the 15 Pauli pairs. Source: https://docs.ionq.com/guides/simulation-with-noise-models
    """
    return Channel("depolarizing", rate, arity)


def amplitude_damping(rate: float) -> Channel:
    """|1> decays to |0> with probability `rate`."""
    return Channel("amplitude_damping", rate)


def dephasing(rate: float) -> Channel:
    """Z is applied with probability `rate`; coherences shrink by 1 - 2 rate."""
    return Channel("dephasing", rate)


@dataclass(frozen=True)
class Readout:
    """Independent readout errors of every qubit: the chances to read 1 from |0>, and 0 from |1>."""

    one_from_zero: float = 0.0
    zero_from_one: float = 0.0

    def __post_init__(self) -> None:
        for name in ("one_from_zero", "zero_from_one"):
            object.__setattr__(self, name, _share(f"the readout error {name}", getattr(self, name)))

    @property
    def is_ideal(self) -> bool:
        """Whether bits are read as they are."""
        return self.one_from_zero == 0 and self.zero_from_one == 0

    @property
    def confusion(self) -> FloatArray:
        """P(read i | state j) as matrix [i, j], each column summing to 1."""
        up, down = self.one_from_zero, self.zero_from_one
        return np.array([[1 - up, down], [up, 1 - down]])


@dataclass(frozen=True)
class NoiseModel:
    """What goes wrong, and where.

    After every one-qubit gate: depolarizing of rate `one_qubit`, then the channels `after_one_qubit`. After every
    two-qubit gate: depolarizing of the pair of rate `two_qubit`, then `after_two_qubit`. `per_gate` holds pairs (gate
    name, channels) that take the place of all these after that gate. A one-qubit channel after a two-qubit gate acts
    on both of its qubits. `readout` acts on the measured bits. `source` says where the figures come from.
    """

    name: str = "custom"
    one_qubit: float = 0.0
    two_qubit: float = 0.0
    after_one_qubit: tuple[Channel, ...] = ()
    after_two_qubit: tuple[Channel, ...] = ()
    per_gate: tuple[tuple[str, tuple[Channel, ...]], ...] = ()
    readout: Readout = field(default_factory=Readout)
    source: str = ""

    def __post_init__(self) -> None:
        _share("the one-qubit error", self.one_qubit)
        _share("the two-qubit error", self.two_qubit)
        object.__setattr__(self, "per_gate", tuple((name, tuple(channels)) for name, channels in self.per_gate))
        for place, channels, arity in (
            ("after_one_qubit", self.after_one_qubit, 1),
            ("after_two_qubit", self.after_two_qubit, 2),
            *((name, channels, gate(name).arity) for name, channels in self.per_gate),
        ):
            if any(channel.arity > arity for channel in channels):
                raise ConfigurationError(f"{place}: a channel on two qubits cannot follow a gate on one")

    @property
    def is_ideal(self) -> bool:
        """Whether nothing goes wrong anywhere."""
        channels = (*self.after_one_qubit, *self.after_two_qubit, *(c for _, group in self.per_gate for c in group))
        quiet = self.one_qubit == 0 and self.two_qubit == 0 and all(channel.rate == 0 for channel in channels)
        return quiet and self.readout.is_ideal

    def channels_after(self, operation: Operation) -> tuple[tuple[Channel, tuple[int, ...]], ...]:
        """The channels that follow `operation`, with the wires each acts on, in order; those of rate 0 left out."""
        placed: list[tuple[Channel, tuple[int, ...]]] = []
        for channel in _channels(self, operation.gate):
            if channel.rate == 0:
                continue
            if channel.arity == len(operation.wires):
                placed.append((channel, operation.wires))
            else:
                placed += [(channel, (wire,)) for wire in operation.wires]
        return tuple(placed)


@lru_cache(maxsize=1024)
def _channels(model: NoiseModel, name: str) -> tuple[Channel, ...]:
    own = dict(model.per_gate)
    if name in own:
        return own[name]
    if gate(name).arity == 1:
        return depolarizing(model.one_qubit, 1), *model.after_one_qubit
    return depolarizing(model.two_qubit, 2), *model.after_two_qubit


_IONQ = "IonQ, https://docs.ionq.com/guides/simulation-with-noise-models; no readout error is described there"
IDEAL = NoiseModel("ideal", source="no noise")
NOISE_MODELS: dict[str, NoiseModel] = {
    model.name: model
    for model in (
        IDEAL,
        NoiseModel("aria-1", 0.0005, 0.0133, source=_IONQ),
        NoiseModel("aria-2", 0.000657333, 0.01856, source=_IONQ),
        NoiseModel("forte-1", 0.000266667, 0.004949333, source=_IONQ),
    )
}
"""Noise models by name; those of machines hold the figures that IonQ publishes for its cloud simulator."""


def noise_model(name: str) -> NoiseModel:
    """The noise model called `name`; raise ConfigurationError with the known names if there is none."""
    if not isinstance(name, str) or name not in NOISE_MODELS:
        raise ConfigurationError(
            f"unknown noise model {name!r}; known: {', '.join(NOISE_MODELS)}. The figures of IonQ's other machines "
            f"are not published; make a NoiseModel of your own for them"
        )
    return NOISE_MODELS[name]
