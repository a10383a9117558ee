"""Results in every form that IonQ's API has for them.

Keys of the older formats are decimal numbers whose least significant bit is qubit 0. The newer ones nest by register;
their bitstrings and bit lists begin with qubit 0. A job of ours has one register, `output_all`, with all qubits.

Counts are only ever of shots that were drawn: by the noisy simulator with the job's own seed, or, for an exact result,
here and on request, from the exact probabilities with a seed that belongs to the job. Such an answer carries the
header `X-QStore-Sampled: true`, the others `false`; asked again, it is the same.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from quantum_db.gateway.api.errors import ApiError
from quantum_db.gateway.ledger.records import ResultKind
from quantum_db.seeding import numpy_generator

_REGISTER = "output_all"
_NAMESPACE = uuid.UUID("0f6e2c1b-64a9-4a7f-8c6f-0f2f6dd5c0a7")
_WHOLE = 1e-6


@dataclass(frozen=True)
class Outcome:
    """The result of one circuit: what the ledger holds, its shots, its width and the seed for drawing from it."""

    kind: ResultKind
    values: Mapping[str, float]
    shots: int
    qubits: int
    seed: int
    machine: bool

    @property
    def probabilities(self) -> dict[str, float]:
        """{key: probability}; of counts, their shares."""
        if self.kind is ResultKind.COUNTS:
            total = sum(self.values.values())
            return {key: count / total for key, count in self.values.items()}
        return dict(self.values)

    @property
    def sampled_here(self) -> bool:
        """Whether `counts` are drawn from exact probabilities on request."""
        return self.kind is ResultKind.PROBABILITIES and not self.machine

    @property
    def counts(self) -> dict[str, int]:
        """{key: count}, summing to the shots; ApiError 404 when a machine reported no whole counts."""
        if self.kind is ResultKind.COUNTS:
            return {key: int(count) for key, count in self.values.items()}
        if self.machine:
            return self._reported_counts()
        keys = sorted(self.values, key=int)
        shares = np.array([self.values[key] for key in keys], dtype=np.float64)
        drawn = numpy_generator(self.seed, "gateway histogram").multinomial(self.shots, shares / shares.sum())
        return {key: int(count) for key, count in zip(keys, drawn, strict=True) if count}

    @property
    def shot_list(self) -> list[int]:
        """The outcome of every shot, in an order drawn with the seed."""
        counts = self.counts
        outcomes = [int(key) for key, count in counts.items() for _ in range(count)]
        order = numpy_generator(self.seed, "gateway shots").permutation(len(outcomes))
        return [outcomes[i] for i in order]

    def bits(self, outcome: int) -> list[int]:
        """The bits of an outcome, qubit 0 first."""
        return [outcome >> qubit & 1 for qubit in range(self.qubits)]

    def _reported_counts(self) -> dict[str, int]:
        scaled = {key: share * self.shots for key, share in self.values.items()}
        counts = {key: round(value) for key, value in scaled.items()}
        off = max(abs(value - counts[key]) for key, value in scaled.items())
        if off > _WHOLE * self.shots or sum(counts.values()) != self.shots:
            raise ApiError(
                404,
                "the machine reported probabilities that are no counts of its shots (error mitigation combines several "
                "runs); read /results/probabilities",
            )
        return {key: count for key, count in counts.items() if count}


def outcome_seed(job_id: str, index: int, given: int | None) -> int:
    """The seed for drawing from circuit `index` of a job: from its noise.seed if it has one, else from its id."""
    text = f"{job_id if given is None else given}/{index}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def _bitstrings(outcome: Outcome, values: Mapping[str, Any]) -> dict[str, Any]:
    return {"".join(map(str, outcome.bits(int(key)))): value for key, value in values.items()}


def _shots_v2(outcome: Outcome) -> dict[str, Any]:
    return {"shots": [{"registers": {_REGISTER: outcome.bits(shot)}} for shot in outcome.shot_list]}


@dataclass(frozen=True)
class ResultFormat:
    """One form of results. `multi`: of all circuits of a job together; `of_probabilities`: no counts are needed."""

    name: str
    write: Callable[[Outcome], Any]
    multi: bool = False
    of_probabilities: bool = False


PROBABILITIES = "ionq.result.probabilities.json.v1"
HISTOGRAM = "ionq.result.histogram.json.v1"
SHOTS = "ionq.result.shots.json.v1"
AGGREGATE = "ionq.result.probabilities-aggregate.json.v1"

RESULT_FORMATS: dict[str, ResultFormat] = {
    row.name: row
    for row in (
        ResultFormat(PROBABILITIES, lambda outcome: outcome.probabilities, of_probabilities=True),
        ResultFormat(
            "ionq.result.probabilities.json.v2",
            lambda outcome: {"probabilities": {"registers": {_REGISTER: _bitstrings(outcome, outcome.probabilities)}}},
            of_probabilities=True,
        ),
        ResultFormat(HISTOGRAM, lambda outcome: outcome.counts),
        ResultFormat(
            "ionq.result.histogram.json.v2",
            lambda outcome: {"histogram": {"registers": {_REGISTER: _bitstrings(outcome, outcome.counts)}}},
        ),
        ResultFormat(SHOTS, lambda outcome: [str(shot) for shot in outcome.shot_list]),
        ResultFormat("ionq.result.shots.json.v2", _shots_v2),
        ResultFormat(AGGREGATE, lambda outcome: outcome.probabilities, multi=True, of_probabilities=True),
    )
}
"""The forms by IonQ's name for them."""


def artifact_id(job_id: str, format_name: str) -> str:
    """The id of the artifact that holds a job's results in one form."""
    return str(uuid.uuid5(_NAMESPACE, f"{job_id} {format_name}"))


def format_of_artifact(job_id: str, wanted: str, formats: Sequence[ResultFormat]) -> ResultFormat:
    """The form that the artifact `wanted` of a job has; ApiError 404 when it has no such artifact."""
    for found in formats:
        if artifact_id(job_id, found.name) == wanted.lower():
            return found
    raise ApiError(404, f"job {job_id} has no artifact {wanted[:60]!r}; its results list the ones there are")
