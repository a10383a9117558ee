"""`QuantumTrainingConfig`: everything that decides how a model is built and trained. No secrets, no paths to them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import InitVar, asdict, dataclass, field, fields
from typing import Any, ClassVar

from quantum_db.circuits.ansatz import ANSAETZE
from quantum_db.circuits.encoders import ENCODERS
from quantum_db.circuits.entanglement import edges
from quantum_db.errors import ConfigurationError
from quantum_db.execution import ExecutionConfig
from quantum_db.execution.machine_options import MachineOptions, budget
from quantum_db.execution.targets import EmbeddedTarget, check_shots_and_gradient
from quantum_db.gradients import GRADIENT_METHODS
from quantum_db.gradients.build import check_gradient_options
from quantum_db.losses import LOSSES
from quantum_db.models import MODELS
from quantum_db.optimizers import OPTIMIZERS
from quantum_db.seeding import check_seed
from quantum_db.training.schedules import LEARNING_RATE_SCHEDULES, SHOTS_SCHEDULES

SCHEMA_VERSION = 1
MAX_QUBITS = 64
MAX_DEPTH = 1000
PRECISIONS = {"complex64": "float32", "complex128": "float64"}
"""Precision of the simulated states, and the dtype of weights and features that goes with it."""

_BASES = ("X", "Y", "Z")
_ELSEWHERE = {
    "pinecone_api_key": "set PINECONE_API_KEY, or PINECONE_API_KEY_FILE to a mounted file",
    "pinecone_environment": "Pinecone has no environments any more; the region belongs to the vector database's index",
    "ionq_api_key": "set IONQ_API_KEY, or IONQ_API_KEY_FILE to a mounted file",
}


@dataclass(frozen=True, kw_only=True)
class QuantumTrainingConfig:
    """The settings of one training run; immutable, `replace` makes a changed copy.

    Raises ConfigurationError when a value is out of range or a name is unknown.
    """

    learning_rate: float = 0.01
    batch_size: int = 32
    epochs: int = 30
    learning_rate_schedule: str = "constant"
    """"constant", "cosine" (down to `learning_rate_final` over all epochs) or "step"."""
    learning_rate_final: float = 0.0
    """What a cosine schedule ends with."""
    learning_rate_step_epochs: int = 10
    """Epochs after which a step schedule multiplies the learning rate by `learning_rate_step_factor`, each time."""
    learning_rate_step_factor: float = 0.5
    optimizer: str = "adam"
    optimizer_options: Mapping[str, Any] = field(default_factory=dict)
    """Further options of the optimizer, see docs/gradients.md."""
    loss: str = "cross_entropy"
    gradient_method: str = "adjoint"
    gradient_options: Mapping[str, Any] = field(default_factory=dict)
    """Options of the gradient method: step and scheme of "finite_diff"; perturbation, draws and seed of "spsa"."""
    validation_fraction: float = 0.0
    """Share of the training rows kept aside to watch; early stopping needs it."""
    early_stopping_patience: int | None = None
    """Epochs without a lower validation loss before stopping; the best weights are restored."""
    seed: int = 0

    model: str = "hybrid"
    n_qubits: int = 8
    circuit_depth: int = 4
    entanglement_pattern: str = "linear"
    encoder: str = "angle"
    encoder_options: Mapping[str, Any] = field(default_factory=dict)
    ansatz: str = "hardware_efficient"
    measurement_basis: str = "Z"
    hidden_in: int = 256
    """Width of the classical layer before the qubits (hybrid model)."""
    hidden_out: int = 128
    """Width of the classical layer behind the qubits (hybrid model)."""
    readout_scale: float = 5.0
    """Factor from expectation values to logits (variational model)."""

    qpu_target: str = "simulator"
    shots_per_circuit: int | None = None
    """Shots for each expectation value; None computes exact values, which only a simulator can."""
    shots_schedule: str = "constant"
    """"constant", or "linear": from `shots_per_circuit` in the first epoch to `shots_final` in the last."""
    shots_final: int | None = None
    max_concurrent_circuits: int | None = None
    """How many circuits are simulated at once, which bounds the memory; None means a whole batch."""
    precision: str = "complex64"
    device: str = "cpu"
    noise_model: str = "ideal"
    """What goes wrong on the simulators with noise: "aria-1", ..., see docs/noise.md."""
    noise_seed: int | None = None
    """Other random errors with the same `seed`; None derives them from `seed` alone."""
    trajectories: int | None = None
    """Trajectories of each circuit on target "trajectories" without shots; None means 1000."""

    budget_usd: str = ""
    """US dollars that the run may cost, such as "99.50"; "" sets no limit. See docs/training-on-ionq.md."""
    price_table: str = ""
    """A file with prices of your contract; "" takes the published ones."""
    debiasing: bool = False
    """IonQ's own error mitigation, which raises the minimum price of a job."""
    native: bool = False
    """Compile here to the machine's own gates, instead of at IonQ."""
    session_id: str = ""
    """A session at the service whose cost limit all processes of the run share, instead of `budget_usd`."""
    mitigation: Mapping[str, Any] = field(default_factory=dict)
    """Error mitigation here: factors, folding, fit, degree, gate_weights, readout; see docs/mitigation.md."""
    balance: Mapping[str, Any] = field(default_factory=dict)
    """For several targets: queue_hour_usd and error_usd (dollars as text), down_s, mix_targets."""

    checkpoint_interval: int = 1
    """Epochs between checkpoints."""
    checkpoint_batches: int | None = None
    """Batches between further checkpoints inside an epoch; None means none."""
    checkpoint_directory: str = "./checkpoints"

    pinecone_api_key: InitVar[None] = None
    pinecone_environment: InitVar[None] = None
    ionq_api_key: InitVar[None] = None

    OF_THE_RUN: ClassVar[frozenset[str]] = frozenset(
        {
            "epochs", "checkpoint_interval", "checkpoint_batches", "checkpoint_directory", "max_concurrent_circuits",
            "budget_usd", "price_table", "session_id",
        }
    )  # fmt: skip
    """Fields that may change between a checkpoint and the run that goes on from it."""

    def __post_init__(
        self, pinecone_api_key: str | None, pinecone_environment: str | None, ionq_api_key: str | None
    ) -> None:
        _refuse_secrets(pinecone_api_key, pinecone_environment, ionq_api_key)
        for item in fields(self):
            if item.type == "str":
                _require_text(item.name, getattr(self, item.name))
        object.__setattr__(self, "encoder_options", _checked_options(self.encoder_options))
        object.__setattr__(self, "optimizer_options", _options("optimizer_options", self.optimizer_options))
        for name in ("gradient_options", "mitigation", "balance"):
            object.__setattr__(self, name, _options(name, getattr(self, name)))
        for name, table in (
            ("optimizer", OPTIMIZERS),
            ("loss", LOSSES),
            ("gradient_method", GRADIENT_METHODS),
            ("model", MODELS),
            ("encoder", ENCODERS),
            ("ansatz", ANSAETZE),
        ):
            table.require(getattr(self, name))
        for name in ("batch_size", "epochs", "n_qubits", "circuit_depth", "hidden_in", "hidden_out"):
            _require_count(name, getattr(self, name))
        _require_count("checkpoint_interval", self.checkpoint_interval)
        for name in (
            "shots_per_circuit", "shots_final", "max_concurrent_circuits", "checkpoint_batches",
            "early_stopping_patience",
        ):  # fmt: skip
            if getattr(self, name) is not None:
                _require_count(name, getattr(self, name))
        _require_positive("learning_rate", self.learning_rate, highest=100.0)
        _require_positive("readout_scale", self.readout_scale, highest=1e6)
        check_gradient_options(self.gradient_method, self.gradient_options)
        target = self.execution.target
        if not isinstance(target, EmbeddedTarget):
            noisy = self.noise_model != "ideal"
            check_shots_and_gradient(target, self.shots_per_circuit, noisy, self.gradient_method)
        edges(self.entanglement_pattern, 1)
        check_seed(self.seed)
        self._check_combinations()
        self._check_schedules()

    def _check_combinations(self) -> None:
        if self.n_qubits > MAX_QUBITS:
            raise ConfigurationError(f"n_qubits is {self.n_qubits}; no target here has more than {MAX_QUBITS} qubits")
        if self.circuit_depth > MAX_DEPTH:
            raise ConfigurationError(
                f"circuit_depth is {self.circuit_depth}; circuits here have at most {MAX_DEPTH} layers"
            )
        for name, value, known in (
            ("measurement_basis", self.measurement_basis, _BASES),
            ("precision", self.precision, tuple(PRECISIONS)),
            ("learning_rate_schedule", self.learning_rate_schedule, LEARNING_RATE_SCHEDULES),
            ("shots_schedule", self.shots_schedule, SHOTS_SCHEDULES),
        ):
            if value not in known:
                raise ConfigurationError(f"unknown {name} {value!r}; known: {', '.join(known)}")
        fraction = self.validation_fraction
        if isinstance(fraction, bool) or not isinstance(fraction, (int, float)) or not 0 <= fraction < 1:
            raise ConfigurationError(f"validation_fraction must be in [0, 1), got {fraction!r}")
        if self.early_stopping_patience is not None and self.validation_fraction == 0:
            raise ConfigurationError(
                "early stopping watches the validation loss: set validation_fraction, for example to 0.1"
            )
        if self.shots_per_circuit is not None and self.gradient_method in ("adjoint", "backprop"):
            raise ConfigurationError(
                f"gradient method {self.gradient_method!r} needs exact values, but shots_per_circuit is "
                f"{self.shots_per_circuit}; "
                f"use gradient_method 'parameter_shift', or leave shots_per_circuit out"
            )

        if self.shots_per_circuit is not None and self.trajectories is not None:
            raise ConfigurationError(
                f"trajectories is {self.trajectories} and shots_per_circuit {self.shots_per_circuit}, but with shots "
                f"each shot is a trajectory of its own; leave one of them out"
            )

    def _check_schedules(self) -> None:
        _require_count("learning_rate_step_epochs", self.learning_rate_step_epochs)
        _require_positive("learning_rate_step_factor", self.learning_rate_step_factor, highest=1.0)
        final = self.learning_rate_final
        if isinstance(final, bool) or not isinstance(final, (int, float)) or not 0 <= final <= self.learning_rate:
            raise ConfigurationError(
                f"learning_rate_final must be a number from 0 to the learning rate {self.learning_rate:g}, got "
                f"{final!r}"
            )
        grows = self.shots_schedule == "linear"
        if grows and (self.shots_per_circuit is None or self.shots_final is None):
            raise ConfigurationError(
                f"a linear shots_schedule needs shots_per_circuit and shots_final, got {self.shots_per_circuit} and "
                f"{self.shots_final}"
            )
        if self.shots_final is not None and not grows:
            raise ConfigurationError(
                f"shots_final is {self.shots_final}, but the shots_schedule is constant and would ignore it; set "
                f"shots_schedule to 'linear'"
            )

    @property
    def dtype(self) -> str:
        """The dtype of weights and features: "float32" or "float64"."""
        return PRECISIONS[self.precision]

    @property
    def execution(self) -> ExecutionConfig:
        """Where and how circuits run."""
        return ExecutionConfig(
            qpu_target=self.qpu_target,
            max_concurrent_circuits=self.max_concurrent_circuits,
            precision=self.precision,
            device=self.device,
            noise_model=self.noise_model,
            noise_seed=self.noise_seed,
            trajectories=self.trajectories,
            machine=MachineOptions(
                budget_usd=budget(self.budget_usd),
                price_table=self.price_table,
                debiasing=self.debiasing,
                native=self.native,
                session_id=self.session_id,
                mitigation=self.mitigation,
                balance=self.balance,
            ),
        )

    def replace(self, **changes: Any) -> QuantumTrainingConfig:
        """A copy with other values, validated anew."""
        return self.from_dict({**self.to_dict(), **changes})

    def to_dict(self) -> dict[str, Any]:
        """All settings and the schema version, as JSON."""
        return {"schema_version": SCHEMA_VERSION, **asdict(self)}

    def to_json(self) -> str:
        """`to_dict` as text."""
        return json.dumps(self.to_dict(), sort_keys=True)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> QuantumTrainingConfig:
        """Read settings; those left out keep their defaults. Raises ConfigurationError for an unknown one."""
        given = dict(values)
        version = given.pop("schema_version", SCHEMA_VERSION)
        if version != SCHEMA_VERSION:
            raise ConfigurationError(
                f"the configuration has schema version {version!r}, this release reads {SCHEMA_VERSION}"
            )
        known = {item.name for item in fields(cls)}
        for name in given:
            if name in _ELSEWHERE:
                raise ConfigurationError(f"{name} is no training setting; {_ELSEWHERE[name]}")
            if name not in known:
                raise ConfigurationError(f"unknown setting {name!r}; known: {', '.join(sorted(known))}")
        return cls(**given)

    @classmethod
    def from_json(cls, text: str, **decided: Any) -> QuantumTrainingConfig:
        """Read a JSON object of settings; raise ConfigurationError when it is no such thing.

        `decided` are settings that the caller has decided on; a text that says otherwise is refused.
        """
        try:
            values = json.loads(text)
        except ValueError as error:
            raise ConfigurationError(f"the model configuration is not JSON: {error}") from error
        if not isinstance(values, dict):
            raise ConfigurationError(f"the model configuration must be a JSON object, got {type(values).__name__}")
        for name, value in decided.items():
            if values.get(name, value) != value:
                raise ConfigurationError(
                    f"the model configuration sets {name} to {values[name]!r}, but this run's own {name} is {value!r}; "
                    f"leave it out of the model configuration"
                )
        return cls.from_dict({**values, **decided})


def _refuse_secrets(*given: str | None) -> None:
    for name, value in zip(_ELSEWHERE, given, strict=True):
        if value is not None:
            raise ConfigurationError(f"{name} is no training setting; {_ELSEWHERE[name]}")


def _require_count(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"{name} must be a positive integer, got {value!r}")


def _require_positive(name: str, value: Any, highest: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= highest:
        raise ConfigurationError(f"{name} must be a number above 0 and at most {highest:g}, got {value!r}")


def _require_text(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} must be a string, got {value!r}")


def _options(name: str, options: Any) -> dict[str, Any]:
    if not isinstance(options, Mapping):
        raise ConfigurationError(f"{name} must be an object of options by name, got {options!r}")
    return dict(options)


def _checked_options(options: Any) -> dict[str, Any]:
    """A copy of the encoder's options, without those that other settings decide."""
    given = _options("encoder_options", options)
    for name, setting in (("name", "encoder"), ("n_qubits", "n_qubits"), ("n_features", "the data")):
        if name in given:
            raise ConfigurationError(f"encoder_options may not hold {name!r}: that is decided by {setting}")
    return given


def changed_settings(first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[str, ...]:
    """The settings in which two `to_dict` results differ, apart from those that may change within a run.

    The number of epochs may not change where a schedule depends on it.
    """
    names = (set(first) | set(second)) - QuantumTrainingConfig.OF_THE_RUN
    if second.get("learning_rate_schedule") == "cosine" or second.get("shots_schedule") == "linear":
        names.add("epochs")
    return tuple(sorted(name for name in names if first.get(name) != second.get(name)))
