"""What jobs can be sent to, and who runs it: the embedded simulator, or IonQ upstream.

Machines and their qubits: IonQ's backend list and https://ionq.com (see docs/gateway.md for the dates). Retired
machines stay known because clients still name them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from quantum_db.errors import ConfigurationError

SIMULATOR = "simulator"
SIMULATOR_QUBITS = 29
"""The width of IonQ's simulator."""


@dataclass(frozen=True)
class Machine:
    """A backend that IonQ's API knows. `noise`: the name of its published noise model, None if there is none."""

    name: str
    qubits: int
    native_gates: tuple[str, ...]
    noise: str | None = None
    retired: bool = False
    noise_qubits: int = SIMULATOR_QUBITS


MACHINES: dict[str, Machine] = {
    machine.name: machine
    for machine in (
        Machine(SIMULATOR, SIMULATOR_QUBITS, ("gpi", "gpi2", "ms", "zz"), "ideal"),
        Machine("qpu.forte-1", 36, ("gpi", "gpi2", "zz"), "forte-1"),
        Machine("qpu.forte-enterprise-1", 36, ("gpi", "gpi2", "zz")),
        Machine("qpu.aria-1", 25, ("gpi", "gpi2", "ms"), "aria-1", retired=True, noise_qubits=25),
        Machine("qpu.aria-2", 25, ("gpi", "gpi2", "ms"), "aria-2", retired=True, noise_qubits=25),
        Machine("qpu.harmony", 11, ("gpi", "gpi2", "ms"), retired=True, noise_qubits=11),
    )
}
"""Every backend that a client may look up; GET /backends lists those that are not retired."""

ALIASES = {"qpu": "qpu.forte-1", "qpu.qpu": "qpu.forte-1", "ionq_simulator": SIMULATOR}
"""Names that clients look up for the qubit count of "some machine"; jobs must name a machine."""


@dataclass(frozen=True)
class Target:
    """Something that jobs can be sent to.

    `kind`: "simulated" runs on the embedded simulator, "forwarded" at IonQ. `max_qubits`: how wide a circuit may be
    declared; `max_active`: on how many qubits its gates may act.
    `noise`: the noise model of a simulated machine; "ideal" is exact, None means that the job must name one.
    """

    name: str
    kind: Literal["simulated", "forwarded"]
    max_qubits: int
    max_active: int
    noise: str | None = None

    @property
    def is_qpu(self) -> bool:
        """Whether it is, or stands for, a machine."""
        return self.name != SIMULATOR


@dataclass(frozen=True)
class TargetTable:
    """The targets of one gateway by name, made by `target_table`."""

    rows: dict[str, Target]

    def require(self, name: str) -> Target:
        """The target `name`; ConfigurationError says which there are and why a machine is not among them."""
        found = self.rows.get(name)
        if found is None:
            raise ConfigurationError(_why_not(name, tuple(self.rows)))
        return found

    def names(self) -> tuple[str, ...]:
        """The names of all targets."""
        return tuple(self.rows)


def target_table(simulate_qpus: bool, upstream: bool, largest_qubits: int) -> TargetTable:
    """The targets of a gateway.

    `simulate_qpus`: machines are played by the embedded simulator with their noise. `upstream`: jobs for live machines
    are forwarded to IonQ. `largest_qubits`: what the memory of this machine allows to simulate.
    Raises ConfigurationError when both are asked for: a paid job and a rehearsal must not be mixed up.
    """
    if simulate_qpus and upstream:
        raise ConfigurationError(
            "--simulate-qpus and --upstream-url exclude each other: jobs for a machine are either played here or sent "
            "to IonQ; start two gateways for both"
        )
    rows = {SIMULATOR: Target(SIMULATOR, "simulated", SIMULATOR_QUBITS, largest_qubits, "ideal")}
    for machine in MACHINES.values():
        if machine.name == SIMULATOR:
            continue
        if simulate_qpus:
            active = min(machine.qubits, machine.noise_qubits, largest_qubits)
            rows[machine.name] = Target(machine.name, "simulated", machine.qubits, active, machine.noise)
        elif upstream and not machine.retired:
            rows[machine.name] = Target(machine.name, "forwarded", machine.qubits, machine.qubits)
    return TargetTable(rows)


def _why_not(name: str, known: tuple[str, ...]) -> str:
    listed = ", ".join(known)
    if name in ALIASES and name not in MACHINES:
        return f"the backend {name!r} names no machine, so its price is unknown; name one of: {listed}"
    machine = MACHINES.get(name)
    if machine is not None and machine.retired:
        return (
            f"{name} is retired, and this gateway does not play it; name one of: {listed}, or start the gateway with "
            "--simulate-qpus"
        )
    if machine is not None:
        return (
            f"{name} is not available: this gateway has no upstream IonQ; start it with --upstream-url to forward "
            f"jobs, or with --simulate-qpus to play machines; it has: {listed}"
        )
    return f"unknown backend {name[:100]!r}; known: {listed}"
