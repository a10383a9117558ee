"""Runs the circuits of a job on the embedded simulators: exactly, or with the noise of a machine.

Circuits of one structure are simulated as one batch. Only active qubits take part; the others stay 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TypeVar

import numpy as np
import torch

from quantum_db.backends.protocols import Batch, CircuitRows
from quantum_db.backends.trajectories import TrajectoryExecutor
from quantum_db.circuits.ionq import Structure, WireCircuit, WireError
from quantum_db.circuits.ionq.histogram import SMALLEST, histograms
from quantum_db.circuits.ionq.program import FloatArray
from quantum_db.errors import ConfigurationError
from quantum_db.gateway.direct_simulation import direct_probabilities
from quantum_db.seeding import MAX_SEED, numpy_generator
from quantum_db.simulation.density_matrix import density_bytes, density_probabilities, simulate_density
from quantum_db.simulation.measurement import check_shots
from quantum_db.simulation.memory import available_bytes, needed_bytes
from quantum_db.simulation.noise import IDEAL, NoiseModel, noise_model
from quantum_db.simulation.readout import as_distribution
from quantum_db.simulation.statevector import probabilities, simulate
from quantum_db.simulation.threads import threads_for
from quantum_db.simulation.trajectories import simulate_trajectories

LARGEST_QUBITS = 29
"""The width of IonQ's own simulator."""
MAX_OUTCOMES = 2**20
"""Outcomes of one circuit that an answer may hold (some 40 MB of JSON)."""
_AMPLITUDE_BYTES = 16
_WORKING_SET = 2**25
"""Bytes of states simulated at once: more does not run faster."""
_PREPARED_QUBITS = 12
"""Up to this width the prepared form of a circuit, which the simulator keeps, is small."""
_DIRECT_QUBITS, _DIRECT_ROWS = 10, 4
"""Up to this width, and for this few rows, preparing a circuit costs more than it saves (measured)."""
_ALWAYS_DENSITY, _LARGEST_DENSITY, _ENTRIES_PER_SHOT = 7, 11, 150
"""Density matrices are faster than trajectories up to 7 qubits, and up to 11 with enough shots (measured)."""

Number = TypeVar("Number", float, int)


def machine_noise(name: str) -> NoiseModel:
    """The noise model that IonQ publishes under `name`, "ideal" included.

    Raises ConfigurationError, which lists the known ones, for machines without published figures (harmony,
    forte-enterprise-1) and for unknown names.
    """
    return noise_model(name)


def largest_qubits() -> int:
    """How many active qubits an exact simulation may have in the memory that is free now; at most 29."""
    free = available_bytes(torch.device("cpu"))
    fits = LARGEST_QUBITS
    while fits > 1 and needed_bytes(fits, 1, _AMPLITUDE_BYTES, 0) > free:
        fits -= 1
    return fits


def run_exact(circuits: Sequence[WireCircuit]) -> list[dict[str, float]]:
    """The exact probabilities of each circuit, in order: {IonQ's key: probability}, outcomes above 1e-12 only.

    Raises WireError (code QuantumCircuitComplexityError) for a circuit that does not fit into memory or has more
    outcomes than an answer can hold.
    """
    return _in_order(circuits, _exact_histograms)


def run_noisy(
    circuits: Sequence[WireCircuit], noise: NoiseModel, shots: int, seed: int, first: int = 0
) -> list[dict[str, int]]:
    """Counts of `shots` shots of each circuit, in order: {IonQ's key: count}, each summing to `shots`.

    After every gate the qubits it acts on are depolarised, as in IonQ's simulator; gates written as several (more than
    one control, Pauli strings) have the noise of each. RZ of native circuits has none. `first` is the place of
    `circuits[0]` in its job: the random numbers of a circuit depend on the seed (0..2^32-1) and its place only, so
    splitting a job never changes its counts. Raises WireError as `run_exact` does, ConfigurationError for a noise model
    with readout errors: idle qubits are not simulated.
    """
    check_shots(shots)
    if not noise.readout.is_ideal:
        raise ConfigurationError(
            f"noise model {noise.name!r} has readout errors, which would show on qubits without gates too; the gateway "
            f"simulates active qubits only, use a model without readout errors"
        )

    def run(members: Sequence[WireCircuit], places: Sequence[int]) -> Iterator[dict[str, int]]:
        model = _noise_of(noise, members[0].structure.virtual_rz)
        numbers = [first + place for place in places]
        if _by_density(members[0].structure.n_wires, shots):
            yield from _density_counts(members, model, shots, seed, numbers)
        else:
            yield from _trajectory_counts(members, model, shots, seed, numbers)

    return _in_order(circuits, run)


def _in_order(
    circuits: Sequence[WireCircuit],
    run: Callable[[Sequence[WireCircuit], Sequence[int]], Iterator[dict[str, Number]]],
) -> list[dict[str, Number]]:
    """Give `run` the circuits that can be one batch, with their places; put what it finds back in order."""
    groups: dict[tuple[Structure, tuple[int, ...]], list[int]] = {}
    for place, circuit in enumerate(circuits):
        groups.setdefault((circuit.structure, circuit.active), []).append(place)
    found: dict[int, dict[str, Number]] = {}
    for places in groups.values():
        members = [circuits[place] for place in places]
        found.update(zip(places, run(members, places), strict=True))
    return [found[place] for place in range(len(circuits))]


def _exact_histograms(members: Sequence[WireCircuit], places: Sequence[int]) -> Iterator[dict[str, float]]:
    structure, active = members[0].structure, members[0].active
    for rows in _chunks(members, needed_bytes(structure.n_wires, 1, _AMPLITUDE_BYTES, 0)):
        table = _probabilities(structure, rows)
        outcomes = int(np.count_nonzero(table > SMALLEST, axis=1).max())
        if outcomes > MAX_OUTCOMES:
            raise WireError(
                f"a circuit of {structure.n_wires} active qubits has {outcomes:,} outcomes, the limit is "
                f"{MAX_OUTCOMES:,}; let fewer qubits end in a superposition",
                "QuantumCircuitComplexityError",
            )
        found = histograms(table, active)
        yield from found * (len(rows) // len(found))  # without numbers all circuits are one


def _probabilities(structure: Structure, rows: Sequence[WireCircuit]) -> FloatArray:
    """Probabilities (rows or 1, 2^n) of circuits of one structure; one row if they have no numbers."""
    width, angles = structure.n_wires, _angles(rows)
    if not width:
        return np.ones((1, 1))
    if width <= _DIRECT_QUBITS and len(angles) <= _DIRECT_ROWS:
        return np.stack([direct_probabilities(structure, row) for row in angles])
    features = torch.from_numpy(angles)
    weights = features.new_zeros(0)
    try:
        with torch.no_grad(), threads_for(width, len(rows)):
            if width <= _PREPARED_QUBITS:
                states = simulate(structure.circuit, weights, features)
            else:  # a wide circuit is hardly ever run twice: preparing it costs more time and memory than it saves
                states = simulate_trajectories(
                    structure.circuit, weights, features, IDEAL, np.empty((len(features), 0))
                )
            return probabilities(states).numpy()
    except ConfigurationError as error:
        raise WireError(str(error), "QuantumCircuitComplexityError") from error


def _angles(rows: Sequence[WireCircuit]) -> FloatArray:
    """The slots (rows, n_features); one row if there are none."""
    angles = np.stack([circuit.angles for circuit in rows])
    return angles if angles.shape[1] else angles[:1]


def _chunks(members: Sequence[WireCircuit], bytes_each: int) -> Iterator[Sequence[WireCircuit]]:
    step = max(1, _WORKING_SET // bytes_each)
    for first in range(0, len(members), step):
        yield members[first : first + step]


def _by_density(width: int, shots: int) -> bool:
    return width <= _ALWAYS_DENSITY or (width <= _LARGEST_DENSITY and 4**width <= _ENTRIES_PER_SHOT * shots)


@lru_cache(maxsize=64)
def _noise_of(noise: NoiseModel, virtual_rz: bool) -> NoiseModel:
    return replace(noise, per_gate=(*noise.per_gate, ("RZ", ()))) if virtual_rz else noise


def _density_counts(
    members: Sequence[WireCircuit], noise: NoiseModel, shots: int, seed: int, numbers: Sequence[int]
) -> Iterator[dict[str, int]]:
    structure, active = members[0].structure, members[0].active
    generators = iter([numpy_generator(seed, "gateway", number) for number in numbers])
    for rows in _chunks(members, density_bytes(structure.n_wires, 1, _AMPLITUDE_BYTES)):
        shares = _noisy_shares(structure, rows, noise)
        shares = np.broadcast_to(shares, (len(rows), shares.shape[1]))
        counts = [next(generators).multinomial(shots, row) for row in shares]
        yield from histograms(np.stack(counts), active, smallest=0)


def _noisy_shares(structure: Structure, rows: Sequence[WireCircuit], noise: NoiseModel) -> FloatArray:
    if not structure.n_wires:
        return np.ones((1, 1))
    features = torch.from_numpy(_angles(rows))
    try:
        with torch.no_grad(), threads_for(2 * structure.n_wires, len(rows)):
            rho = simulate_density(structure.circuit, features.new_zeros(0), features, noise)
            return as_distribution(density_probabilities(rho))
    except ConfigurationError as error:
        raise WireError(str(error), "QuantumCircuitComplexityError") from error


def _trajectory_counts(
    members: Sequence[WireCircuit], noise: NoiseModel, shots: int, seed: int, numbers: Sequence[int]
) -> Iterator[dict[str, int]]:
    """One trajectory for each shot, measured once."""
    executor = TrajectoryExecutor(noise_model=noise)
    for circuit, number in zip(members, numbers, strict=True):
        own_seed = int(numpy_generator(seed, "gateway", number).integers(MAX_SEED, endpoint=True))
        part = CircuitRows.of(circuit.structure.circuit, features=circuit.angles)
        try:
            with threads_for(circuit.structure.n_wires, 1):
                (result,) = executor.run(Batch((part,), shots, own_seed))
        except ConfigurationError as error:
            raise WireError(str(error), "QuantumCircuitComplexityError") from error
        counts = np.rint(result.values * shots).astype(np.int64)  # the executor gives shares of the shots
        yield histograms(counts, circuit.active, smallest=0)[0]
