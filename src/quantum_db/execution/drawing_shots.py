"""Shots drawn here from the exact probabilities of a machine that draws none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from quantum_db.backends.remote import CircuitJob, Collected, Histogram
from quantum_db.seeding import numpy_generator


def shot_histograms(collected: Collected, job: CircuitJob) -> tuple[Histogram, ...]:
    """The histograms of `job`: as they are, or as shares of its shots where it asked for shots and got probabilities.

    The random numbers follow from the job's seed and the circuit itself, so a circuit gets the same shots in whatever
    job it is run; equal circuits of one job get different ones.
    """
    if not collected.exact or job.shots is None:
        return collected.histograms
    met: Counter[str] = Counter()
    drawn = []
    for fingerprint, histogram in zip(job.fingerprints, collected.histograms, strict=True):
        drawn.append(shares(histogram, job.shots, job.seed, fingerprint, met[fingerprint]))
        met[fingerprint] += 1
    return tuple(drawn)


def shares(probabilities: Mapping[int, float], shots: int, seed: int, fingerprint: str, number: int = 0) -> Histogram:
    """Shares of `shots` shots drawn from `probabilities`, with the generator of (seed, circuit, number)."""
    states = sorted(probabilities)
    weights = np.array([probabilities[state] for state in states])
    generator = numpy_generator(seed, "shots of a circuit", fingerprint, number)
    counts = generator.multinomial(shots, weights / weights.sum())
    return {state: count / shots for state, count in zip(states, counts.tolist(), strict=True) if count}
