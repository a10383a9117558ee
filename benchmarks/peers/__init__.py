"""Who takes part in `benchmarks.simulator`; one module each, imported only in the process that measures it.

A module has `prepare(case, numbers) -> Prepared`. A peer is written in the form that measured fastest of those tried;
its module says which.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from importlib.util import find_spec

from benchmarks.measuring.work import Case, Numbers, Prepared


@dataclass(frozen=True)
class Contender:
    """A simulator: its module here, and what it needs installed; `compiled` says that its first step compiles."""

    name: str
    title: str
    compiled: bool
    packages: tuple[str, ...]

    def load(self) -> None:
        """Import everything that it uses."""
        importlib.import_module(f"benchmarks.peers.{self.name}")

    def prepare(self, case: Case, numbers: Numbers) -> Prepared:
        """Build its circuit for a case."""
        prepared: Prepared = importlib.import_module(f"benchmarks.peers.{self.name}").prepare(case, numbers)
        return prepared

    @property
    def missing(self) -> tuple[str, ...]:
        """The packages it needs that are not installed."""
        return tuple(package for package in self.packages if find_spec(package) is None)


OURS = Contender("q_store", "Q-Store", False, ("torch",))
PEERS = {
    peer.name: peer
    for peer in (
        Contender("lightning_qubit", "lightning.qubit, adjoint", False, ("pennylane", "pennylane_lightning", "torch")),
        Contender("default_qubit_torch", "default.qubit, torch", False, ("pennylane", "torch")),
        Contender("default_qubit_jax", "default.qubit, JAX jit", True, ("pennylane", "jax")),
        Contender("tensorcircuit_jax", "TensorCircuit-NG, JAX jit", True, ("tensorcircuit", "jax")),
        Contender("tensorcircuit_scan", "TensorCircuit-NG, JAX jit, scan", True, ("tensorcircuit", "jax")),
    )
}
CONTENDERS = {OURS.name: OURS, **PEERS}
