"""Whether mitigation will help: the errors of plain and of mitigated values at the same shots, before paying."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from quantum_db.backends.noisy import NoisySimulator
from quantum_db.backends.protocols import Batch, CircuitRows, Executor, RowResults
from quantum_db.circuits.circuit import Circuit
from quantum_db.errors import ConfigurationError
from quantum_db.execution.measured import bases
from quantum_db.execution.mitigated import MitigatedExecutor, MitigationOptions, NoiseLevels
from quantum_db.seeding import numpy_generator
from quantum_db.simulation.measurement import check_shots
from quantum_db.simulation.noise import IDEAL, NoiseModel

FloatArray = npt.NDArray[np.float64]

LARGEST_SIMULATED = 8
"""The most qubits of circuits whose forecast is simulated; larger ones are modelled."""
ROWS = 16
"""The most rows of each part that a forecast looks at."""
DRAWS = 400
"""Samples drawn where the error of a fit follows from no formula."""
TYPICAL = 0.5
"""What the parity of a circuit too large to simulate is taken to be without noise."""


@dataclass(frozen=True)
class MitigationForecast:
    """What to expect of plain and of mitigated values at equal shots, as root mean squares over all values.

    The bias is what stays however many shots are taken, the noise is the standard error. `gate_shots` is how many
    times the gate-shots (the price, where gates are billed) mitigation takes. `method` is "simulated", or "modelled"
    where the circuits are too large: then every error is taken to reach every observable, and the values themselves
    to be `TYPICAL`.
    """

    shots: int
    plain_bias: float
    plain_noise: float
    mitigated_bias: float
    mitigated_noise: float
    gate_shots: float
    method: str

    @cached_property
    def plain_error(self) -> float:
        """The root mean square error of plain values."""
        return float(np.hypot(self.plain_bias, self.plain_noise))

    @cached_property
    def mitigated_error(self) -> float:
        """The root mean square error of mitigated values."""
        return float(np.hypot(self.mitigated_bias, self.mitigated_noise))

    @property
    def helps(self) -> bool:
        """Whether mitigated values are nearer to the truth."""
        return self.mitigated_error < self.plain_error

    @property
    def shots_to_help(self) -> int | None:
        """From how many shots on mitigation helps; None where it never does, because it is not less biased."""
        bias = self.plain_bias**2 - self.mitigated_bias**2
        noise = (self.mitigated_noise**2 - self.plain_noise**2) * self.shots
        if bias <= 0:
            return None
        return max(1, int(np.ceil(noise / bias)))

    def __str__(self) -> str:
        verdict = "helps" if self.helps else "makes things worse"
        when = "never helps here" if self.shots_to_help is None else f"helps from {self.shots_to_help} shots on"
        return (
            f"At {self.shots} shots mitigation {verdict}: error {self.mitigated_error:.4f} (bias "
            f"{self.mitigated_bias:.4f}, noise {self.mitigated_noise:.4f}) against {self.plain_error:.4f} (bias "
            f"{self.plain_bias:.4f}, noise {self.plain_noise:.4f}); it {when} and takes {self.gate_shots:.2f} times "
            f"the gate-shots ({self.method})."
        )


def mitigation_forecast(
    batch: Batch, noise: NoiseModel, options: MitigationOptions, *, rows: int = ROWS
) -> MitigationForecast:
    """Forecast `options` for `batch` on a machine with `noise`, at the batch's shots; nothing is run on a machine.

    The first `rows` rows of each part are looked at. Raises ConfigurationError for a batch without shots or circuits,
    and for probabilities of circuits too large to simulate.
    """
    if batch.shots is None or not batch.n_circuits:
        raise ConfigurationError("a forecast needs a batch with shots and at least one circuit")
    shots = check_shots(batch.shots)
    looked = replace(batch, parts=tuple(_first(part, rows) for part in batch.parts))
    widest = max(part.circuit.n_qubits for part in looked.parts)
    simulated = widest <= LARGEST_SIMULATED
    if not simulated and any(not part.circuit.observables for part in looked.parts):
        raise ConfigurationError(
            f"probabilities of {widest} qubits are too many for a forecast, which takes up to {LARGEST_SIMULATED}; "
            f"ask for observables"
        )
    machine: Executor = Expected(noise) if simulated else Modelled(noise)
    truth: Executor = Expected(IDEAL) if simulated else Modelled(IDEAL)
    plain = MitigatedExecutor(machine, MitigationOptions())
    mitigated = MitigatedExecutor(machine, options)
    wanted = MitigatedExecutor(truth, MitigationOptions()).levels(replace(looked, shots=None))
    (plain_bias, plain_noise), (bias, spread) = (_errors(e, looked, wanted) for e in (plain, mitigated))
    return MitigationForecast(
        shots=shots,
        plain_bias=plain_bias,
        plain_noise=plain_noise,
        mitigated_bias=bias,
        mitigated_noise=spread,
        gate_shots=_gate_shots(mitigated.expand(looked)) / max(_gate_shots(plain.expand(looked)), 1),
        method="simulated" if simulated else "modelled",
    )


@dataclass(frozen=True)
class Expected:
    """Stands for a machine with `noise`: the exact means of its values, with the standard errors of the shots."""

    noise: NoiseModel
    name: str = "expected values"
    differentiable: bool = False

    def run(self, batch: Batch) -> tuple[RowResults, ...]:
        """The means and standard errors of sampled values."""
        exact = NoisySimulator(noise_model=self.noise).run(replace(batch, shots=None))
        return tuple(
            _with_errors(part, found.values, batch.shots) for part, found in zip(batch.parts, exact, strict=True)
        )


@dataclass(frozen=True)
class Modelled:
    """Stands for a large machine with `noise`: each gate's error shrinks every parity, as if it reached all of them."""

    noise: NoiseModel
    name: str = "modelled values"
    differentiable: bool = False

    def run(self, batch: Batch) -> tuple[RowResults, ...]:
        """The modelled means and standard errors; the circuits' observables must be strings of Z."""
        return tuple(_with_errors(part, self._means(part), batch.shots) for part in batch.parts)

    def _means(self, part: CircuitRows) -> FloatArray:
        shrunk = TYPICAL * _kept(part.circuit, self.noise)
        readout = 1 - self.noise.readout.one_from_zero - self.noise.readout.zero_from_one
        weights = [len(observable.wires) for observable in part.circuit.observables]
        means = [shrunk * readout**weight if weight else 1.0 for weight in weights]
        return np.tile(means, (part.n_rows, 1))


def _kept(circuit: Circuit, noise: NoiseModel) -> float:
    """The factor by which the errors of all gates shrink a Pauli string, each taken at its mean over all strings."""
    factor = 1.0
    for operation in circuit.operations:
        for channel, _ in noise.channels_after(operation):
            trace = float(np.trace(channel.superoperator).real)
            factor *= (trace - 1) / (len(channel.superoperator) - 1)
    return factor


def _with_errors(part: CircuitRows, values: FloatArray, shots: int | None) -> RowResults:
    if shots is None:
        return RowResults(values)
    coefficients = np.array([observable.coefficient for observable in part.circuit.observables])
    variances = coefficients**2 - values**2 if part.circuit.observables else values * (1 - values)
    return RowResults(values, np.sqrt(np.clip(variances, 0.0, None) / shots))


def _first(part: CircuitRows, rows: int) -> CircuitRows:
    return CircuitRows(part.circuit, part.weights[:rows], part.features[:rows])


def _errors(executor: MitigatedExecutor, batch: Batch, truth: tuple[NoiseLevels, ...]) -> tuple[float, float]:
    """Root mean squares of the bias and of the standard error of the values of `executor`."""
    biases, spreads = [], []
    sizes = [part.circuit.n_qubits for part in batch.parts for _ in bases(part.circuit)]
    for number, (levels, wanted, size) in enumerate(zip(executor.levels(batch), truth, sizes, strict=True)):
        mean, spread = _mean_and_spread(executor, levels, size, number)
        biases.append((mean - wanted.values[0]).reshape(-1))
        spreads.append(spread.reshape(-1))
    return _root_mean_square(biases), _root_mean_square(spreads)


def _mean_and_spread(
    executor: MitigatedExecutor, levels: NoiseLevels, n_qubits: int, number: int
) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of the extrapolated values.

    The exponential fit is not linear, and where values are small beside their errors neither bias nor spread follow
    from a first-order formula; so values are drawn and extrapolated `DRAWS` times.
    """
    errors = levels.standard_errors
    if errors is None:
        raise ConfigurationError("a forecast needs a batch with shots and at least one circuit")
    if len(levels.factors) == 1 or executor.options.fit != "exponential":
        value, spread = executor.at_zero_noise(levels, n_qubits)
        return value, np.zeros_like(value) if spread is None else spread
    noise = numpy_generator(0, "mitigation forecast", number).standard_normal((len(errors), DRAWS, *errors.shape[1:]))
    drawn = levels.values[:, None] + errors[:, None] * noise
    values, _ = executor.at_zero_noise(replace(levels, values=drawn, standard_errors=None), n_qubits)
    return values.mean(axis=0), values.std(axis=0, ddof=1)


def _root_mean_square(parts: list[FloatArray]) -> float:
    return float(np.sqrt(np.mean(np.concatenate(parts) ** 2)))


def _gate_shots(batch: Batch) -> float:
    gates = sum(len(part.circuit.operations) * part.n_rows for part in batch.parts)
    return float(gates * (batch.shots or 0))
