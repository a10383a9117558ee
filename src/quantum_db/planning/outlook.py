"""Whether the planned circuit can be trained at all: the size of its gradient, its noise, and a barren plateau."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

from quantum_db.circuits.circuit import Circuit
from quantum_db.errors import QStoreError
from quantum_db.gradients.build import make_gradient_method
from quantum_db.gradients.finite_difference import FiniteDifference
from quantum_db.gradients.variance import GradientForecast, PlateauSlope, gradient_forecast, plateau_slope
from quantum_db.layers.torch_layer import INITIAL_WEIGHT_SPREAD
from quantum_db.planning.choices import Choice
from quantum_db.seeding import numpy_generator
from quantum_db.training.config import QuantumTrainingConfig
from quantum_db.training.model_spec import plan_circuit

LARGEST = 10
"""Circuits of more qubits are not simulated for the forecast; it would take longer than a plan should."""
_DRAWS = 40
_SLOPE_SIZES = (2, 3, 4, 5, 6)


@dataclass(frozen=True, eq=False)
class Outlook:
    """The forecast; None where nothing could be forecast, and `reason` says why.

    `start` is with weights as training draws them, `anywhere` with weights drawn from all angles. Signal to noise is
    the size of one row's gradient over that of its error at the shots of the plan, for `method`.
    """

    method: str
    start: GradientForecast | None = None
    anywhere: GradientForecast | None = None
    slope: PlateauSlope | None = None
    noise_factor: float = 1.0
    reason: str = ""

    @property
    def signal_to_noise(self) -> float | None:
        """At the start of training, with `method`; None where not known, infinite for exact values."""
        return None if self.start is None else self.start.signal_to_noise / self.noise_factor

    @property
    def shots_needed(self) -> int | None:
        """Shots at which the gradient at the start is as large as its error."""
        if self.start is None or self.start.shots is None or (needed := self.start.shots_needed) is None:
            return None
        return max(1, round(needed * self.noise_factor**2))

    @property
    def sentence(self) -> str:
        """The outlook in words."""
        if self.start is None:
            return f"Not forecast: {self.reason}."
        slope = "" if self.slope is None else f" {self.slope.sentence}"
        ratio = self.signal_to_noise
        if self.start.shots is None or ratio is None or not isfinite(ratio) or self.noise_factor == 1.0:
            return f"{self.start.sentence}{slope}"
        return (
            f"{self.method} measures this gradient with {self.noise_factor:.3g} times the error of parameter_shift: "
            f"signal over noise {ratio:.2g} at {self.start.shots:,} shots.{slope}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what is infinite (exact values) is null."""
        ratio = self.signal_to_noise
        return {
            "method": self.method,
            "sentence": self.sentence,
            "gradient_size_at_start": None if self.start is None else self.start.gradient_size,
            "gradient_size_anywhere": None if self.anywhere is None else self.anywhere.gradient_size,
            "signal_to_noise": None if ratio is None or ratio == inf else ratio,
            "shots_needed": self.shots_needed,
            "plateau_slope": None if self.slope is None else self.slope.slope,
            "plateau_slope_error": None if self.slope is None else self.slope.slope_error,
            "plateau_qubits": None if self.slope is None else list(self.slope.qubits),
            "is_plateau": None if self.slope is None else self.slope.is_plateau,
        }


def outlook(choice: Choice, circuit: Circuit, shots: int | None, n_features: int, n_classes: int) -> Outlook:
    """Forecast the gradient of `circuit` by simulating it; nothing is submitted."""
    method = choice.method or "parameter_shift"
    if circuit.n_qubits > LARGEST:
        return Outlook(method, reason=f"a circuit of {circuit.n_qubits} qubits is too large to simulate for a plan")
    if not circuit.n_weights:
        return Outlook(method, reason="the circuit has no weights")
    seed = choice.config.seed
    weights = numpy_generator(seed, "planning", "weights").normal(0, INITIAL_WEIGHT_SPREAD, (_DRAWS, circuit.n_weights))
    return Outlook(
        method,
        start=gradient_forecast(circuit, shots, draws=_DRAWS, seed=seed, weights=weights),
        anywhere=gradient_forecast(circuit, shots, draws=_DRAWS, seed=seed),
        slope=_slope(_maker(choice.config, n_features, n_classes), seed),
        noise_factor=_noise_factor(choice),
    )


def _noise_factor(choice: Choice) -> float:
    """The error of the chosen method's derivatives over that of parameter_shift at the same shots."""
    if choice.method != "finite_diff":
        return 1.0
    method = make_gradient_method("finite_diff", choice.config.gradient_options)
    if not isinstance(method, FiniteDifference):
        return 1.0
    return (1.0 if method.scheme == "central" else 2.0) / method.step


def _maker(config: QuantumTrainingConfig, n_features: int, n_classes: int) -> Callable[[int], Circuit]:
    def make(size: int) -> Circuit:
        smaller = config.replace(n_qubits=size)
        features = min(n_features, size) if config.encoder in ("angle", "iqp", "basis") else n_features
        classes = min(n_classes, size * (size + 1) // 2)
        return plan_circuit(
            smaller, min(features, 2**size) if config.encoder == "amplitude" else features, classes
        ).circuit

    return make


def _slope(make: Callable[[int], Circuit], seed: int) -> PlateauSlope | None:
    """None where the circuit cannot be made in these sizes, or has nothing to train in them."""
    try:
        return plateau_slope(make, _SLOPE_SIZES, draws=_DRAWS, seed=seed)
    except QStoreError:
        return None
