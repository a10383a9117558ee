"""What `qpu_target` means: a simulator of this process, machines behind IonQ's API, or the journal of an earlier run.

Nothing is asked of anybody here; whether a machine exists is known only once its service was asked (`assemble`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quantum_db.backends import BACKENDS
from quantum_db.backends.ionq.options import ALIASES, RETIRED, SIMULATOR
from quantum_db.errors import ConfigurationError

REPLAY = "replay:"
"""What stands before the folder of a run that is replayed."""
IONQ_SIMULATOR = "ionq.simulator"
"""IonQ's simulator, or a gateway's, as a target; "simulator" alone is the one of this process."""
MACHINES = ("qpu.forte-1", "qpu.forte-enterprise-1")
"""Machines known to run at IonQ; others are asked for by name, and the service says whether it has them."""
SIMULATED_GRADIENTS = ("adjoint", "backprop")


@dataclass(frozen=True)
class EmbeddedTarget:
    """A simulator of this process: a name of `BACKENDS`."""

    name: str


@dataclass(frozen=True)
class IonQTargets:
    """One or several targets of IonQ's API, by the names that the API has for them; of several, each batch takes one.

    `name` is what the user wrote.
    """

    name: str
    wire_names: tuple[str, ...]

    @property
    def draw_shots(self) -> bool:
        """Whether there is a machine among them: those have no exact values."""
        return any(name != SIMULATOR for name in self.wire_names)


@dataclass(frozen=True)
class ReplayTarget:
    """The journal in the folder of an earlier run."""

    name: str
    folder: Path


QpuTarget = EmbeddedTarget | IonQTargets | ReplayTarget


def qpu_target(name: str) -> QpuTarget:
    """What the target `name` is; ConfigurationError, with what to use instead, for one that there cannot be."""
    if name.startswith(REPLAY):
        folder = name.removeprefix(REPLAY).strip()
        if not folder:
            raise ConfigurationError(f"qpu_target {name!r} names no run; write {REPLAY}<folder of a run>")
        return ReplayTarget(name, Path(folder))
    parts = [part.strip() for part in name.split(",")]
    if len(parts) == 1 and not _is_ionq(name):
        known = ", ".join((*BACKENDS.names(), IONQ_SIMULATOR, *MACHINES, f"{REPLAY}<folder of a run>"))
        if name not in BACKENDS.names():
            raise ConfigurationError(f"unknown qpu target {name!r}; known: {known}")
        return EmbeddedTarget(name)
    wire = tuple(_wire_name(part) for part in parts)
    if len(set(wire)) < len(wire):
        raise ConfigurationError(f"qpu_target {name!r} names a target twice; name each once")
    if len(wire) > 1 and SIMULATOR in wire:
        raise ConfigurationError(
            f"qpu_target {name!r} puts a simulator beside a machine, whose results would be mixed over a run; name "
            f"machines only, or {IONQ_SIMULATOR!r} alone"
        )
    return IonQTargets(name, wire)


def check_machine_options(target: IonQTargets | ReplayTarget, options: Mapping[str, Any]) -> None:
    """Raise ConfigurationError for options that only a simulator of this process has; `options` are those set."""
    for option, value in options.items():
        raise ConfigurationError(
            f"{option} is {value!r}, but qpu_target {target.name!r} has no such option and would ignore it; leave "
            f"{option} out"
        )


def check_shots_and_gradient(target: IonQTargets | ReplayTarget, shots: int | None, noisy: bool, gradient: str) -> None:
    """Raise ConfigurationError, with what to use, for what no machine can do; `noisy`: with a noise model."""
    if gradient in SIMULATED_GRADIENTS:
        raise ConfigurationError(
            f"gradient_method is {gradient!r}, which looks into a simulation of this process; on {target.name!r} use "
            f"gradient_method 'parameter_shift'"
        )
    if isinstance(target, IonQTargets) and shots is None and (target.draw_shots or noisy):
        reason = "draws shots" if target.draw_shots else "with a noise model draws shots"
        raise ConfigurationError(
            f"shots_per_circuit is not set, and {target.name!r} {reason}; set it, for example to 200 (from 500 on a "
            f"machine runs jobs with debiasing at a higher price, unless it is sent as false, as it is here)"
        )


def _is_ionq(name: str) -> bool:
    return name == IONQ_SIMULATOR or name.startswith("qpu.")


def _wire_name(part: str) -> str:
    if not _is_ionq(part):
        raise ConfigurationError(
            f"{part!r} stands in a list of targets, and only machines of IonQ can be listed, such as "
            f"{','.join(MACHINES)!r}"
        )
    if part in RETIRED:
        raise ConfigurationError(
            f"{part} is retired; use {RETIRED[part]!r}, or {IONQ_SIMULATOR!r} with its noise model"
        )
    return SIMULATOR if part == IONQ_SIMULATOR else ALIASES.get(part, part)
