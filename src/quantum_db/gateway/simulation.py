"""Runs the circuits of a job on the embedded simulators: exactly, or with the noise of a machine."""

from __future__ import annotations

from collections.abc import Sequence

from quantum_db.circuits.ionq import WireCircuit
from quantum_db.simulation.noise import NoiseModel


def machine_noise(name: str) -> NoiseModel:
    """The noise model that IonQ publishes under `name`, "ideal" included.

    Raises ConfigurationError, which lists the known ones, for names without published figures (harmony,
    forte-enterprise-1) and unknown ones.
    """
    raise NotImplementedError(name)


def largest_qubits() -> int:
    """How many active qubits an exact simulation may have in the memory that is free now; at most 29."""
    raise NotImplementedError


def run_exact(circuits: Sequence[WireCircuit]) -> list[dict[str, float]]:
    """The exact probabilities of each circuit, in order: {IonQ's key: probability}, outcomes above 1e-12 only.

    Raises WireError (code QuantumCircuitComplexityError) for a circuit that does not fit into memory or has more
    outcomes than an answer can hold.
    """
    raise NotImplementedError(len(circuits))


def run_noisy(
    circuits: Sequence[WireCircuit], noise: NoiseModel, shots: int, seed: int, first: int = 0
) -> list[dict[str, int]]:
    """Counts of `shots` shots of each circuit, in order: {IonQ's key: count}, each summing to `shots`.

    `first` is the place of `circuits[0]` in its job: the random numbers of a circuit depend on the seed (0..2^32-1) and
    its place only, so splitting a job never changes its counts. Raises WireError as `run_exact` does.
    """
    raise NotImplementedError(f"{len(circuits)} {noise} {shots} {seed} {first}")
