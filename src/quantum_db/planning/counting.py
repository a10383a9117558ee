"""How many circuits a batch of rows becomes, of which sizes and in how many jobs: counted with the code that runs them.

The circuits of one row are made once, with random weights and features, as the gradient methods and the executors
make them. Rows differ in nothing that matters here but where their features are zero (rotations by 0 are not sent)
and in being equal to another row (equal circuits run once), so a batch is put together from its rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from quantum_db.backends.protocols import Batch, CircuitRows, RowResults
from quantum_db.backends.remote import TargetLimits
from quantum_db.circuits.circuit import Circuit, op
from quantum_db.circuits.light_cone import dead_weights
from quantum_db.execution.measured import filled, measured_circuits
from quantum_db.execution.splitting import JobLoad, check_fits, split, written_load
from quantum_db.gradients.build import make_gradient_method
from quantum_db.gradients.fidelity import perturbed_metric
from quantum_db.gradients.measured_metric import expand_metric
from quantum_db.gradients.method import CircuitGradient, Wanted
from quantum_db.gradients.spsa import SimultaneousPerturbation
from quantum_db.gradients.weighted_sums import live_columns
from quantum_db.planning.choices import SIMULATED, Choice, Kind
from quantum_db.planning.targets import PlannedTarget, Sent, sent
from quantum_db.pricing import CircuitSize
from quantum_db.seeding import numpy_generator, torch_generator

FloatArray = npt.NDArray[np.float64]
Pattern = tuple[bool, ...]
"""For each feature slot whether its value is other than zero."""

_GATE_BYTES = written_load(Circuit(1, (op("X", 0),))).body_bytes - written_load(Circuit(1)).body_bytes
_AMPLE_FRAME = 8192
"""More bytes than a job's body has beside its circuits."""
_SURELY_DIFFERENT = 24
"""Random directions over more slots than this are taken to be different (2^24 is far more than a run draws)."""


@dataclass(frozen=True)
class Rows:
    """The rows of a batch: the pattern of each, and a number that equal rows share (None: all rows differ)."""

    patterns: tuple[Pattern, ...]
    ids: tuple[int, ...] | None = None

    @property
    def different(self) -> tuple[Pattern, ...]:
        """The patterns of the rows that differ from all before them."""
        if self.ids is None:
            return self.patterns
        return tuple(dict(zip(self.ids, self.patterns, strict=True)).values())  # a dict keeps the first place


@dataclass(frozen=True, eq=False)
class Request:
    """One batch that is run: its different circuits, and which of them each job holds."""

    circuits: tuple[Sent, ...]
    jobs: tuple[tuple[int, ...], ...]

    @property
    def n_circuits(self) -> int:
        """How many circuits run."""
        return len(self.circuits)


@dataclass(frozen=True)
class _OfRow:
    """A circuit of one row: in which part of the batch it stands, and its name if every row asks for the same one."""

    part: int
    sent: Sent
    shared: str | None
    features: tuple[tuple[int, int], ...]
    """Its rotations by features: the slot, and how many wires the gate is on."""


class CircuitCounter:
    """Counts the circuits of batches of `circuit` for one choice on one target.

    `trained_front` says that classical layers before the circuit are trained, so that its features are differentiated
    too.
    """

    def __init__(self, circuit: Circuit, choice: Choice, target: PlannedTarget, trained_front: bool) -> None:
        self.circuit, self.target = circuit, target
        self.config = choice.config
        self.trained_front = trained_front
        self.simulated = self.config.gradient_method in SIMULATED
        self._profiles: dict[tuple[Kind, Pattern], tuple[_OfRow, ...]] = {}
        self._requests: dict[tuple[Kind, tuple[Pattern, ...]], Request] = {}
        generator = numpy_generator(0, "planning")
        self._weights = generator.uniform(0.1, 3.0, circuit.n_weights)
        self._features = generator.uniform(0.1, 0.9, (2, circuit.n_features))

    @cached_property
    def live(self) -> tuple[int, ...]:
        """The weights that can move an observable."""
        dead = set(dead_weights(self.circuit))
        return tuple(index for index in range(self.circuit.n_weights) if index not in dead)

    def request(self, kind: Kind, rows: Rows, call: int = 0) -> Request:
        """The batch of `kind` for `rows`; `call` numbers the forward passes of the run."""
        if self.simulated:
            return self._simulated(kind, len(rows.patterns))
        if kind == "gradient" and isinstance(self._method, SimultaneousPerturbation):
            # every direction gives two circuits of the shape of the forward pass
            key: tuple[Kind, tuple[Pattern, ...]] = ("forward", self._drawn(rows, call))
        else:
            key = (kind, rows.different)
        if key not in self._requests:
            self._requests[key] = self._put_together(*key)
        return self._requests[key]

    def packed(self, circuits: Sequence[Sent]) -> Request:
        """The fewest jobs for these circuits."""
        return Request(tuple(circuits), jobs_of([entry.load for entry in circuits], self.target.limits))

    def row(self, other: bool = False) -> CircuitRows:
        """One row of random features without zeros; `other` makes a second such row."""
        return CircuitRows.of(self.circuit, self._weights, self._features[int(other)])

    @property
    def wanted(self) -> Wanted:
        """What the layer differentiates."""
        return Wanted(True, self.trained_front)

    @cached_property
    def _method(self) -> object:
        return make_gradient_method(self.config.gradient_method, self.config.gradient_options)

    def _simulated(self, kind: Kind, n_rows: int) -> Request:
        if kind != "forward":
            return Request((), ())
        one = Sent(CircuitSize(*self.circuit.count_by_arity()), written_load(self.circuit))
        return self.packed((one,) * n_rows)

    def _put_together(self, kind: Kind, rows: tuple[Pattern, ...]) -> Request:
        found: list[_OfRow] = []
        met: set[str] = set()
        for pattern in rows:
            for entry in self._profile(kind, pattern):
                if entry.shared is None or entry.shared not in met:
                    found.append(entry)
                    met |= set() if entry.shared is None else {entry.shared}
        found.sort(key=lambda entry: entry.part)
        return self.packed([entry.sent for entry in found])

    def _profile(self, kind: Kind, pattern: Pattern) -> tuple[_OfRow, ...]:
        """The circuits of one row; those of a row with zeros are those of an ordinary row without some rotations."""
        key = (kind, pattern)
        if key not in self._profiles:
            if all(pattern):
                self._profiles[key] = self._ordinary(kind)
            else:
                whole = self._profile(kind, (True,) * len(pattern))
                self._profiles[key] = tuple(self._without_zeros(entry, pattern) for entry in whole)
        return self._profiles[key]

    def _ordinary(self, kind: Kind) -> tuple[_OfRow, ...]:
        first, second = (self._batch(kind, self.row(other)) for other in (False, True))
        # only circuits that end before the features enter can be those of another row, too
        names = {circuit.fingerprint for circuit in measured_circuits(second).circuits} if kind == "metric" else set()
        return self._measured(first, frozenset(names))

    def _without_zeros(self, entry: _OfRow, pattern: Pattern) -> _OfRow:
        rotations = [arity for slot, arity in entry.features if not pattern[slot]]
        if not rotations:
            return entry
        size, load = entry.sent.size, entry.sent.load
        ones, twos = rotations.count(1), rotations.count(2)
        lighter = JobLoad(load.gates - len(rotations), load.body_bytes - _GATE_BYTES * len(rotations))
        return replace(entry, sent=Sent(CircuitSize(size.gates_1q - ones, size.gates_2q - twos), lighter))

    def _batch(self, kind: Kind, row: CircuitRows) -> Batch:
        if kind == "forward":
            return Batch((row,))
        if kind == "metric":
            return expand_metric(row, self.live) if self.live else Batch(())
        if kind == "overlaps":
            return self._overlaps(row)
        method = self._method
        if not isinstance(method, CircuitGradient):
            raise TypeError(f"{type(method).__name__} runs no circuits")
        return method.expand(row, self.wanted)

    def _overlaps(self, row: CircuitRows) -> Batch:
        if not self.live:
            return Batch(())
        recorder = _Recorder()
        first, second = np.zeros((2, self.circuit.n_weights))
        first[list(self.live)] = 1.0
        second[list(self.live)] = np.where(np.arange(len(self.live)) % 2, 1.0, -1.0)
        perturbed_metric(recorder, row, (first, second))
        return recorder.batch

    def _measured(self, batch: Batch, elsewhere: frozenset[str]) -> tuple[_OfRow, ...]:
        measured = measured_circuits(batch)
        part_of: dict[int, int] = {}
        for number, part in enumerate(measured.parts):
            for place in part.places.ravel().tolist():
                part_of.setdefault(place, number)
        known: dict[int, Sent] = {}
        rotations: dict[int, tuple[tuple[int, int], ...]] = {}
        found = []
        for place, (structure, angles) in enumerate(zip(measured.of, measured.angles, strict=True)):
            if structure not in known:
                known[structure] = self._checked(filled(measured.structures[structure], angles))
            name = measured.circuits[place].fingerprint if elsewhere else ""
            group = part_of[place]
            if group not in rotations:
                rotations[group] = self._rotations_by_features(batch.parts[group].circuit)
            found.append(_OfRow(group, known[structure], name if name in elsewhere else None, rotations[group]))
        return tuple(found)

    def _rotations_by_features(self, circuit: Circuit) -> tuple[tuple[int, int], ...]:
        # the parameter shift rule moves every gate by itself, so its circuit has slots of its own for the features
        unrolled = circuit.n_features == 0 and circuit.n_weights > self.circuit.n_weights
        slots = [(o.slot, len(o.wires)) for o in (self.circuit if unrolled else circuit).operations]
        return tuple((slot.index, arity) for slot, arity in slots if slot is not None and slot.kind == "feature")

    def _checked(self, circuit: Circuit) -> Sent:
        written = sent(circuit)
        check_fits(circuit, written.load, self.target.limits)
        return written

    def _drawn(self, rows: Rows, call: int) -> tuple[Pattern, ...]:
        """The pattern of each of the different circuits that SPSA makes of `rows`."""
        method, patterns = self._method, rows.patterns
        if not isinstance(method, SimultaneousPerturbation) or not patterns or not self._moved_slots:
            return ()
        if self._moved_slots > _SURELY_DIFFERENT:
            return tuple(pattern for pattern in patterns for _ in range(2 * method.draws))
        # the directions follow from the seed and the number of rows alone, so any rows that differ alike will do
        stand_ins = self._stand_ins(rows)
        batch = method.expand(stand_ins, replace(self.wanted, seed=gradient_seed(self.config.seed, call)))
        if len(set(patterns)) == 1:
            return patterns[:1] * batch.n_circuits
        place = {features.tobytes(): number for number, features in enumerate(stand_ins.features)}
        return tuple(patterns[place[features.tobytes()]] for features in batch.parts[0].features)

    def _stand_ins(self, rows: Rows) -> CircuitRows:
        ids = np.arange(len(rows.patterns)) if rows.ids is None else np.unique(rows.ids, return_inverse=True)[1]
        features = self._features[:1] * (1 + ids[:, None] / (8 * len(ids)))
        return CircuitRows.of(self.circuit, self._weights, features)

    @cached_property
    def _moved_slots(self) -> int:
        return len(live_columns(self.row(), self.wanted))


def jobs_of(loads: Sequence[JobLoad], limits: TargetLimits) -> tuple[tuple[int, ...], ...]:
    """What `split` gives; sooner where everything surely fits into one job, and where all circuits are equal."""
    count = len(loads)
    if not count:
        return ()
    gates, body = sum(load.gates for load in loads), sum(load.body_bytes for load in loads)
    asked = ((count, limits.max_circuits), (gates, limits.max_gates), (body + _AMPLE_FRAME, limits.max_body_bytes))
    if all(most is None or amount <= most for amount, most in asked):
        return (tuple(range(count)),)
    if any(load != loads[0] for load in loads):
        return split(loads, limits)
    # no job holds more than this, so the first job of so many is as full as any
    bounds = ((1, limits.max_circuits), (gates // count, limits.max_gates), (body // count, limits.max_body_bytes))
    most_in_job = min([count, *(most // each for each, most in bounds if most is not None and each)])
    size = len(split(loads[: most_in_job + 1], limits)[0])
    return tuple(tuple(range(first, min(first + size, count))) for first in range(0, count, size))


class _Recorder:
    """Takes one batch and runs nothing."""

    name = "recorder"
    differentiable = False

    def __init__(self) -> None:
        self.batch = Batch(())

    def run(self, batch: Batch) -> tuple[RowResults, ...]:
        self.batch = batch
        return tuple(RowResults(np.zeros((part.n_rows, 1))) for part in batch.parts)


def gradient_seed(seed: int, call: int) -> int:
    """The seed with which a layer asks for the gradient of its forward pass number `call`, counted from 1."""
    import torch

    drawn = torch.randint(2**31, (1,), generator=torch_generator(seed, "shots", call))
    return (2 * int(drawn) + 1) % 2**32
