"""A forecast, before any circuit is paid for, of whether a circuit's gradient can be seen at all.

For random weights the derivatives are computed exactly on the simulator. Their spread is the signal. The noise is what
a parameter-shift derivative measured with so many shots scatters by. McClean et al., "Barren plateaus in quantum neural
network training landscapes", arXiv:1803.11173; Cerezo et al., arXiv:2001.00550, for local and global observables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, exp, inf, isfinite, sqrt

import numpy as np
import numpy.typing as npt

from quantum_db.backends.protocols import Batch, CircuitRows
from quantum_db.backends.statevector import StatevectorExecutor
from quantum_db.circuits.circuit import Circuit
from quantum_db.circuits.gates import gate
from quantum_db.circuits.light_cone import dead_weights
from quantum_db.errors import CircuitError, ConfigurationError
from quantum_db.gradients.backprop import Backprop
from quantum_db.gradients.method import Wanted
from quantum_db.seeding import numpy_generator

FloatArray = npt.NDArray[np.float64]

_AMPLITUDES = 2**18
"""Amplitudes differentiated at once."""
_PLATEAU = -0.2
"""A logarithmic slope per qubit below this, beyond two standard errors, is called a plateau."""


@dataclass(frozen=True, eq=False)
class GradientForecast:
    """How large the derivatives of a circuit are, and how well `shots` would show them.

    `variance` (observables, n_weights) is that of each derivative over the draws, `signal` its root mean square.
    `noise`, of the same shape, is the standard error of that derivative by parameter shift with `shots`, and None for
    exact values. `dead` are the weights that no observable depends on.
    """

    draws: int
    shots: int | None
    variance: FloatArray
    signal: FloatArray
    noise: FloatArray | None
    dead: tuple[int, ...]

    @property
    def gradient_size(self) -> float:
        """Root mean square of the gradient's norm, for the observable where it is largest."""
        return float(np.sqrt((self.signal**2).sum(axis=1)).max(initial=0.0))

    @property
    def signal_to_noise(self) -> float:
        """Size of the gradient over that of its error, for the observable with the best ratio; infinite if exact."""
        if self.noise is None:
            return inf
        signals, noises = (np.sqrt((part**2).sum(axis=1)) for part in (self.signal, self.noise))
        ratios = [s / n if n > 0 else inf for s, n in zip(signals, noises, strict=True) if s > 0]
        return float(max(ratios, default=0.0))

    @property
    def shots_needed(self) -> int | None:
        """Shots of each circuit at which the gradient is as large as its error; None if nothing can be learned."""
        if not self.can_move:
            return None
        ratio = self.signal_to_noise
        return 1 if self.shots is None or not isfinite(ratio) else max(1, ceil(self.shots / ratio**2))

    @property
    def can_move(self) -> bool:
        """Whether any weight moves any observable."""
        return self.gradient_size > 1e-12

    @property
    def can_learn(self) -> bool:
        """Whether the gradient is at least as large as its error."""
        return self.can_move and self.signal_to_noise >= 1

    @property
    def sentence(self) -> str:
        """The forecast in words."""
        dead = f" {len(self.dead)} of {self.variance.shape[1]} weights are dead." if self.dead else ""
        if not self.can_move:
            return f"This run cannot learn: no weight moves any observable.{dead}"
        size = f"the gradient's typical size is {self.gradient_size:.2g}"
        if self.shots is None:
            return f"Values are exact, so noise does not limit this run; {size}.{dead}"
        ratio = f"{self.signal_to_noise:.2g} times its error at {self.shots:,} shots"
        if self.can_learn:
            return f"This run can learn at these shots: {size}, {ratio}.{dead}"
        return (
            f"This run cannot learn at these shots: {size}, {ratio}; about {self.shots_needed:,} shots of each circuit "
            f"would make them equal.{dead}"
        )


@dataclass(frozen=True, eq=False)
class PlateauSlope:
    """How the variance of a derivative changes with the number of qubits.

    `variances` are means over live weights and observables; `slope` is that of ln(variance) per qubit, fitted, and
    `slope_error` its standard error.
    """

    qubits: tuple[int, ...]
    variances: FloatArray
    slope: float
    slope_error: float

    @property
    def is_plateau(self) -> bool:
        """Whether the variance falls exponentially, beyond two standard errors of the slope."""
        return self.slope + 2 * self.slope_error < _PLATEAU

    @property
    def sentence(self) -> str:
        """The slope in words."""
        if self.is_plateau:
            factor = f"{exp(-self.slope):.2f}"
            return f"The gradient's variance falls by a factor of {factor} with each qubit: a barren plateau."
        return f"No barren plateau seen: ln(variance) changes by {self.slope:+.2f} with each qubit."


def gradient_forecast(
    circuit: Circuit,
    shots: int | None = None,
    *,
    draws: int = 200,
    seed: int = 0,
    weights: npt.ArrayLike | None = None,
    features: npt.ArrayLike | None = None,
) -> GradientForecast:
    """Forecast the gradient of `circuit` in its weights.

    Weights are drawn uniformly from 0 to 2 pi, or from the rows of `weights` (any, n_weights); features uniformly from
    -1 to 1, or from the rows of `features` (any, n_features). The noise takes the values at the draws to scatter like
    those at the shifted points, which holds exactly for uniform weights. Raises CircuitError for a circuit without
    observables or rows that do not fit, ConfigurationError for fewer than 2 draws or impossible shots.
    """
    if not circuit.observables:
        raise CircuitError("a forecast needs a circuit with observables: without any there is no gradient")
    _check_draws(draws)
    rows = _drawn_rows(circuit, draws, seed, weights, features)
    Wanted(shots=shots)  # refuses impossible shots
    derivatives, values = _derivatives(rows)
    signal = np.sqrt((derivatives**2).mean(axis=0))
    dead = dead_weights(circuit)
    noise = None
    if shots is not None:
        coefficients = np.array([observable.coefficient for observable in circuit.observables])
        single = np.clip(coefficients**2 - values**2, 0.0, None).mean(axis=0)
        single[[not observable.factors for observable in circuit.observables]] = 0.0
        noise = np.sqrt(single[:, None] * _rule_weights(circuit, dead)[None] / shots)
    return GradientForecast(draws, shots, derivatives.var(axis=0, ddof=1), signal, noise, dead)


def plateau_slope(
    make: Callable[[int], Circuit], qubits: Sequence[int], *, draws: int = 200, seed: int = 0
) -> PlateauSlope:
    """Fit how the gradient's variance of the circuits `make(n)` falls with n, over at least three sizes.

    Raises ConfigurationError for fewer sizes, CircuitError when no weight of a circuit moves any observable.
    """
    sizes = tuple(qubits)
    if len(set(sizes)) < 3:
        raise ConfigurationError(f"a slope with its error needs at least three numbers of qubits, got {sizes}")
    variances = np.array([_mean_variance(make(size), draws, seed) for size in sizes])
    n, logs = np.array(sizes, dtype=np.float64), np.log(variances)
    centred = n - n.mean()
    slope = float(centred @ logs / (centred @ centred))
    residuals = logs - logs.mean() - slope * centred
    error = sqrt(float(residuals @ residuals) / (len(sizes) - 2) / float(centred @ centred))
    return PlateauSlope(sizes, variances, slope, error)


def _mean_variance(circuit: Circuit, draws: int, seed: int) -> float:
    forecast = gradient_forecast(circuit, draws=draws, seed=seed)
    live = np.setdiff1d(np.arange(circuit.n_weights), forecast.dead)
    if not len(live) or not forecast.can_move:
        raise CircuitError(
            f"no weight of the circuit on {circuit.n_qubits} qubits moves any observable, so its gradient has no "
            f"variance; measure other observables"
        )
    return float(forecast.variance[:, live].mean())


def _check_draws(draws: int) -> None:
    if isinstance(draws, bool) or not isinstance(draws, int) or draws < 2:
        raise ConfigurationError(
            f"draws must be an integer of at least 2, since a variance is asked for, got {draws!r}"
        )


def _drawn_rows(
    circuit: Circuit, draws: int, seed: int, weights: npt.ArrayLike | None, features: npt.ArrayLike | None
) -> CircuitRows:
    def drawn(name: str, given: npt.ArrayLike | None, width: int, low: float, high: float) -> FloatArray:
        generator = numpy_generator(seed, "gradient forecast", name)
        if given is None:
            return generator.uniform(low, high, (draws, width))
        table = np.atleast_2d(np.asarray(given, dtype=np.float64))
        if table.ndim != 2 or table.shape[1] != width or not len(table):
            raise CircuitError(f"{name} to draw from must have shape (rows, {width}), got {table.shape}")
        return np.asarray(table[generator.integers(len(table), size=draws)])

    return CircuitRows(
        circuit,
        drawn("weights", weights, circuit.n_weights, 0.0, 2 * np.pi),
        drawn("features", features, circuit.n_features, -1.0, 1.0),
    )


def _derivatives(rows: CircuitRows) -> tuple[FloatArray, FloatArray]:
    """Exact derivatives (rows, observables, n_weights) and values (rows, observables)."""
    executor, method = StatevectorExecutor(), Backprop()
    step = max(1, _AMPLITUDES >> rows.circuit.n_qubits)
    derivatives, values = [], []
    for first in range(0, rows.n_rows, step):
        part = CircuitRows(rows.circuit, rows.weights[first : first + step], rows.features[first : first + step])
        derivatives.append(method.jacobian(executor, part, Wanted()).weights)
        values.append(executor.run(Batch((part,)))[0].values)
    return np.concatenate(derivatives), np.concatenate(values)


def _rule_weights(circuit: Circuit, dead: tuple[int, ...]) -> FloatArray:
    """For each weight the sum of the squared factors of its shift rule, over all its gates, (n_weights,)."""
    total = np.zeros(circuit.n_weights)
    for operation in circuit.operations:
        slot = operation.slot
        if slot is not None and slot.kind == "weight" and slot.index not in dead:
            total[slot.index] += sum((factor * slot.scale) ** 2 for factor, _ in gate(operation.gate).shift_rule)
    return total
