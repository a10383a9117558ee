"""`QuantumLayer`: a variational circuit as a torch module."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from quantum_db.backends.protocols import Executor
from quantum_db.backends.statevector import StatevectorExecutor
from quantum_db.circuits.ansatz import ANSAETZE
from quantum_db.circuits.encoders import Encoder, encoder_from_spec
from quantum_db.circuits.encoders.amplitude import AmplitudeEncoder
from quantum_db.circuits.light_cone import dead_weights
from quantum_db.circuits.observables import PauliString, as_observables, single_qubit
from quantum_db.circuits.variational import variational_circuit
from quantum_db.errors import CircuitError, ConfigurationError
from quantum_db.gradients.build import make_gradient_method
from quantum_db.gradients.method import Wanted
from quantum_db.gradients.simulated import SimulatedGradient
from quantum_db.layers.quantum_function import QuantumFunction
from quantum_db.seeding import check_seed, torch_generator
from quantum_db.simulation.measurement import check_shots
from quantum_db.simulation.statevector import COMPLEX_OF

INITIAL_WEIGHT_SPREAD = 0.1
"""Standard deviation of the initial angles in radians; small angles keep clear of barren plateaus."""


class QuantumLayer(nn.Module):
    """Expectation values of a variational circuit: (batch, n_features) in, (batch, observables) out.

    On a simulator with exact values the gradient is had by the adjoint method; `gradient_method` "backprop" can be
    differentiated twice, "parameter_shift" runs shifted circuits, which is what hardware can do. `gradient_options` are
    those of the method: "finite_diff" has step and scheme, "spsa" perturbation, draws and seed. `shots` asks for
    sampled values. Only expectation values are returned, never states. Raises ConfigurationError for options that the
    method does not have, StageInputError for features outside the encoder's domain.
    """

    weights: nn.Parameter
    sampled_batches: Tensor
    _live: Tensor

    def __init__(
        self,
        n_qubits: int,
        circuit_depth: int = 1,
        n_features: int | None = None,
        *,
        encoder: str = "angle",
        encoder_options: Mapping[str, Any] | None = None,
        ansatz: str = "hardware_efficient",
        entanglement_pattern: str = "linear",
        measurement_basis: str = "Z",
        observables: Sequence[PauliString | str] | None = None,
        executor: Executor | None = None,
        gradient_method: str = "adjoint",
        gradient_options: Mapping[str, Any] | None = None,
        shots: int | None = None,
        seed: int = 0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        if dtype not in COMPLEX_OF:
            raise ConfigurationError(f"a quantum layer computes in torch.float32 or torch.float64, got {dtype}")
        width = n_qubits if n_features is None else n_features
        self.encoder: Encoder = encoder_from_spec(
            {"name": encoder, "n_qubits": n_qubits, "n_features": width, **(encoder_options or {})}
        )
        self.ansatz = ANSAETZE.load(ansatz)(n_qubits, circuit_depth, entanglement_pattern)
        measured = single_qubit(n_qubits, measurement_basis) if observables is None else as_observables(observables)
        if not measured:
            raise CircuitError("a quantum layer needs at least one observable")
        self.circuit = variational_circuit(self.encoder, self.ansatz, measured)
        self.executor: Executor = StatevectorExecutor() if executor is None else executor
        self.shots = None if shots is None else check_shots(shots)
        self.method = make_gradient_method(gradient_method, gradient_options)
        if isinstance(self.method, SimulatedGradient):
            self.method.check(self.executor, self.shots)
        self.seed = check_seed(seed)
        self.circuit_seconds = 0.0
        self._shapes_only = False
        self._from_states = variational_circuit(self.encoder, self.ansatz, measured, encode=False)
        initial = torch.randn(self.circuit.n_weights, generator=torch_generator(seed, "weights"), dtype=torch.float64)
        self.weights = nn.Parameter((INITIAL_WEIGHT_SPREAD * initial).to(dtype))
        # part of the state_dict, so that a resumed run draws the samples it would have drawn
        self.register_buffer("sampled_batches", torch.zeros((), dtype=torch.int64))
        live = torch.ones(self.circuit.n_weights, dtype=torch.bool)
        live[list(self.dead_weights)] = False
        self.register_buffer("_live", live, persistent=False)

    @property
    def n_qubits(self) -> int:
        """The number of qubits."""
        return self.circuit.n_qubits

    @property
    def n_features(self) -> int:
        """The number of features of a sample."""
        return self.encoder.n_features

    @property
    def parameter_count(self) -> int:
        """The number of trainable angles."""
        return self.circuit.n_weights

    @property
    def dead_weights(self) -> tuple[int, ...]:
        """The angles that no observable depends on; their gradient is zero by construction."""
        return dead_weights(self.circuit)

    def forward(self, features: Tensor) -> Tensor:
        """Expectation values (batch, observables) of `features` (batch, n_features)."""
        self.encoder.checked(features.detach().cpu().to(torch.float64).numpy())
        if self._shapes_only:
            return features.new_zeros(len(features), len(self.circuit.observables))
        started = time.perf_counter()
        if isinstance(self.method, SimulatedGradient):
            values = self._simulated(self.method, features.to(self.weights.dtype))
        else:
            self.sampled_batches += 1
            slots = self._slots(features)
            values = cast(Tensor, _CircuitValues.apply(self, self.weights, slots)).to(features.device)  # type: ignore[no-untyped-call]
        self.circuit_seconds += time.perf_counter() - started
        return values

    @contextmanager
    def shapes_only(self) -> Iterator[None]:
        """Within, `forward` runs no circuit: its result is zero, of the right shape."""
        self._shapes_only = True
        try:
            yield
        finally:
            self._shapes_only = False

    def function(self) -> QuantumFunction:
        """The layer's circuit as a function without framework."""
        return QuantumFunction(self.circuit, self.executor, self.method, self.shots)

    def extra_repr(self) -> str:
        """What the layer is, for `print(model)`."""
        dead = self.dead_weights
        note = f", {len(dead)} of them dead" if dead else ""
        return (
            f"{self.n_features} features -> {self.encoder.name} encoding on {self.n_qubits} qubits, "
            f"{self.ansatz.name} x {self.ansatz.depth} ({self.parameter_count} angles{note}) "
            f"-> {', '.join(map(str, self.circuit.observables))}"
        )

    def _simulated(self, method: SimulatedGradient, features: Tensor) -> Tensor:
        if not len(features):
            return self.weights.sum() * features.new_zeros(0, len(self.circuit.observables))
        limit = getattr(self.executor, "max_concurrent_circuits", None) or len(features)
        if limit >= len(features):
            return self._simulated_chunk(method, features)
        chunks = torch.split(features, max(limit, 1))
        return torch.cat([self._simulated_chunk(method, chunk) for chunk in chunks])

    def _simulated_chunk(self, method: SimulatedGradient, features: Tensor) -> Tensor:
        # a dead weight gets a gradient of exactly zero, not one of rounding errors, which Adam would scale up
        weights = torch.where(self._live, self.weights, self.weights.detach())
        if isinstance(self.encoder, AmplitudeEncoder):
            nothing = features.new_zeros(1, 0)
            return method.values(self._from_states, weights, nothing, self._amplitudes(features))
        return method.values(self.circuit, weights, self._slots(features), None)

    def _slots(self, features: Tensor) -> Tensor:
        if isinstance(self.encoder, AmplitudeEncoder):
            if features.requires_grad:
                raise ConfigurationError(
                    "amplitude encoding on a machine has no gradient in the features: the preparation angles are "
                    "not expectation values; use the angle encoder behind a trainable layer"
                )
            slots = self.encoder.slot_values(features.cpu().numpy())
            return torch.as_tensor(slots, dtype=self.weights.dtype, device=features.device)
        terms = self.encoder.terms()
        if all(term.offset == 0 and term.features == (index,) for index, term in enumerate(terms)):
            return features
        return torch.stack([(features[:, list(t.features)] + t.offset).prod(dim=1) for t in terms], dim=1)

    def _amplitudes(self, features: Tensor) -> Tensor:
        encoder = cast(AmplitudeEncoder, self.encoder)
        half = self.n_features // 2
        amplitudes = torch.complex(features[:, :half], features[:, half:]) if encoder.complex_amplitudes else features
        largest = amplitudes.detach().abs().amax(dim=1, keepdim=True)
        scaled = (amplitudes / largest).to(COMPLEX_OF[features.dtype])
        padded = nn.functional.pad(scaled, (0, 2**self.n_qubits - scaled.shape[1]))
        unit: Tensor = padded / torch.linalg.vector_norm(padded, dim=1, keepdim=True)
        return unit


class _CircuitValues(torch.autograd.Function):
    """Values and gradients by running circuits on the layer's executor."""

    @staticmethod
    def forward(ctx: Any, layer: QuantumLayer, weights: Tensor, slots: Tensor) -> Tensor:
        function = layer.function()
        arrays = (_array(weights), _array(slots))
        seed = _call_seed(layer)
        values = function.forward(*arrays, seed=seed)
        ctx.saved = (layer, function, arrays, seed)
        ctx.devices = (weights.device, slots.device)
        return torch.as_tensor(values, dtype=weights.dtype, device=weights.device)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, cotangent: Tensor) -> tuple[None, Tensor | None, Tensor | None]:
        layer, function, arrays, seed = ctx.saved
        _, wants_weights, wants_slots = ctx.needs_input_grad
        started = time.perf_counter()
        # another stream than the forward pass, so that its noise is not correlated with that of the values
        wanted = Wanted(wants_weights, wants_slots, layer.shots, (seed + 1) % 2**32)
        grads = function.vjp(*arrays, _array(cotangent), wanted)
        layer.circuit_seconds += time.perf_counter() - started
        by_weight, by_slot = (
            torch.as_tensor(grad, dtype=cotangent.dtype, device=device)
            for grad, device in zip(grads, ctx.devices, strict=True)
        )
        return None, by_weight if wants_weights else None, by_slot if wants_slots else None


def _call_seed(layer: QuantumLayer) -> int:
    generator = torch_generator(layer.seed, "shots", int(layer.sampled_batches))
    return 2 * int(torch.randint(2**31, (1,), generator=generator))


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().to(torch.float64).numpy()
