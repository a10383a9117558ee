"""The work that every contender does: a training step of a layered circuit over a batch.

n qubits start in |0>; RY(pi/2 x) encodes one feature per qubit; L layers follow, each RX RY RZ on every qubit and then
CNOTs along the line. The loss is the mean squared error of the n expectation values of Z against fixed targets. A step
gives the loss and its gradient in all weights and all features, in complex64 and float32.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np

from quantum_db.seeding import numpy_generator

SCALE = pi / 2
"""A feature x turns its qubit by RY(SCALE * x), which is the default of Q-Store's angle encoder."""

DEFAULT_BATCH = {16: 8, 20: 4}
"""Samples per step from that many qubits on, and 32 below, so that a step takes seconds at most."""


@dataclass(frozen=True)
class Case:
    """One size of the work."""

    n: int
    layers: int
    batch: int

    @property
    def title(self) -> str:
        """The case in short."""
        return f"n={self.n} L={self.layers} B={self.batch}"

    @property
    def gates(self) -> int:
        """Gates of the circuit as written down, before anything is fused."""
        return self.n + self.layers * (3 * self.n + self.n - 1)


def case_from(text: str, layers: int) -> Case:
    """Read "12" or, with another batch than the default one, "12:8"."""
    qubits, _, batch = text.partition(":")
    n = int(qubits)
    default = next((DEFAULT_BATCH[least] for least in sorted(DEFAULT_BATCH, reverse=True) if n >= least), 32)
    case = Case(n, layers, int(batch) if batch else default)
    if min(case.n, case.layers, case.batch) < 1:
        raise ValueError(f"{text!r} has fewer than one qubit, layer or sample")
    return case


@dataclass(frozen=True)
class Numbers:
    """The float32 numbers of a case: weights (L, n, 3), features (B, n) in [-1, 1], targets (B, n)."""

    weights: np.ndarray
    features: np.ndarray
    targets: np.ndarray


def numbers_of(case: Case) -> Numbers:
    """The same numbers for every contender and on every machine."""
    generator = numpy_generator(0, "simulator benchmark", case.n, case.layers, case.batch)

    def uniform(limit: float, *shape: int) -> np.ndarray:
        return generator.uniform(-limit, limit, shape).astype(np.float32)

    return Numbers(
        uniform(pi, case.layers, case.n, 3), uniform(1.0, case.batch, case.n), uniform(1.0, case.batch, case.n)
    )


@dataclass(frozen=True)
class Prepared:
    """A contender ready to run: `step` gives (loss, gradient in the weights, gradient in the features), finished.

    `around` is entered once around several steps.
    """

    step: Callable[[], tuple[Any, Any, Any]]
    around: Callable[[], AbstractContextManager[Any]] = nullcontext
