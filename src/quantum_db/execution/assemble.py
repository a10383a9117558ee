"""Puts the executor of a run together from its configuration."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from quantum_db.backends import BACKENDS
from quantum_db.backends.protocols import Executor
from quantum_db.errors import ConfigurationError
from quantum_db.execution.machine_options import MachineOptions
from quantum_db.execution.targets import EmbeddedTarget, QpuTarget, ReplayTarget, check_machine_options, qpu_target
from quantum_db.seeding import check_seed
from quantum_db.simulation.noise import noise_model

if TYPE_CHECKING:
    from quantum_db.execution.machines import Connection, RunFolder


@dataclass(frozen=True)
class ExecutionConfig:
    """Where circuits run.

    `precision` and `device` are those of the embedded simulator; `max_concurrent_circuits` bounds how many circuits
    it holds in memory at once (None: all of a batch). `noise_model`, `noise_seed` and `trajectories` are for targets
    that simulate noise; a target that has no such option refuses one that was set. `machine` is for targets that cost
    money or have noise.
    """

    qpu_target: str = "simulator"
    max_concurrent_circuits: int | None = None
    precision: str = "complex64"
    device: str = "cpu"
    noise_model: str = "ideal"
    noise_seed: int | None = None
    trajectories: int | None = None
    machine: MachineOptions = field(default_factory=MachineOptions)

    def __post_init__(self) -> None:
        target = self.target
        limit = self.max_concurrent_circuits
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
            raise ConfigurationError(f"max_concurrent_circuits must be a positive integer or None, got {limit!r}")
        if isinstance(target, EmbeddedTarget):
            check_noise_options(target.name, self.noise_model, self.noise_seed, self.trajectories)
        else:
            simulated = {
                "noise_seed": self.noise_seed, "trajectories": self.trajectories, "max_concurrent_circuits": limit,
            }  # fmt: skip
            check_machine_options(target, {name: value for name, value in simulated.items() if value is not None})
        self.machine.check(target, self.noise_model)

    @property
    def target(self) -> QpuTarget:
        """What `qpu_target` is."""
        return qpu_target(self.qpu_target)


def check_noise_options(target: str, model: str, seed: int | None, trajectories: int | None) -> dict[str, Any]:
    """The options of noise that were set, by name; ConfigurationError for an impossible one.

    The exact simulator refuses them here already, without being loaded.
    """
    noise_model(model)
    if seed is not None:
        check_seed(seed)
    if trajectories is not None and (
        isinstance(trajectories, bool) or not isinstance(trajectories, int) or trajectories < 1
    ):
        raise ConfigurationError(f"trajectories must be a positive integer or None, got {trajectories!r}")
    given: dict[str, Any] = {} if model == "ideal" else {"noise_model": model}
    given |= {} if seed is None else {"noise_seed": seed}
    given |= {} if trajectories is None else {"trajectories": trajectories}
    if target == "simulator":
        _refuse(target, given)
    return given


def _refuse(target: str, options: Mapping[str, Any]) -> None:
    for name, value in options.items():
        fitting = "'trajectories'" if name == "trajectories" else "'noisy_simulator' or 'trajectories'"
        raise ConfigurationError(
            f"{name} is {value!r}, but qpu_target {target!r} has no such option and would ignore it; "
            f"use qpu_target {fitting}, or leave {name} out"
        )


def assemble(
    config: ExecutionConfig, connection: Connection | None = None, folder: RunFolder | None = None
) -> Executor:
    """Make the executor that `config` describes.

    Machines need a `connection` and the `folder` of the run, for its journal and its budget; the result is then a
    MachineRun, to be closed at the end. Raises ConfigurationError if a name in it is unknown, or if the target has no
    option that was set, and what `machine_run` and `replayed_run` raise.
    """
    target = config.target
    if isinstance(target, EmbeddedTarget):
        return _embedded(config)
    from quantum_db.execution.machines import machine_run, replayed_run

    if isinstance(target, ReplayTarget):
        return replayed_run(config, target)
    if connection is None or folder is None:
        missing = "a connection (address and key)" if connection is None else "a folder for its journal and budget"
        raise ConfigurationError(f"a run on {target.name!r} needs {missing}; train with checkpoints, by QuantumTrainer")
    return machine_run(config, target, connection, folder)


def _embedded(config: ExecutionConfig) -> Executor:
    make = BACKENDS.load(config.qpu_target)
    noise = check_noise_options(config.qpu_target, config.noise_model, config.noise_seed, config.trajectories)
    taken = inspect.signature(make).parameters
    _refuse(config.qpu_target, {name: value for name, value in noise.items() if name not in taken})
    executor: Executor = make(
        precision=config.precision,
        max_concurrent_circuits=config.max_concurrent_circuits,
        device=config.device,
        **noise,
    )
    mitigation = config.machine.mitigation_options()
    if mitigation is None:
        return executor
    from quantum_db.execution.mitigated import MitigatedExecutor

    return MitigatedExecutor(executor, mitigation)
