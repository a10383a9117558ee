"""The gradient of a loss from evaluations along random directions."""

from __future__ import annotations

import numpy as np

from quantum_db.optimizers.objective import Evaluation, Objective
from quantum_db.optimizers.parameter_vector import FloatArray, ParameterVector


def perturbed_gradient(
    objective: Objective, vector: ParameterVector, spread: float, draws: int, generator: np.random.Generator
) -> tuple[Evaluation, FloatArray]:
    """The mean of all evaluations, and the estimated gradient (size,), from two evaluations per draw.

    The parameters are as before afterwards, also when an evaluation raises. Dead weights get 0.
    """
    start, live = vector.read(), vector.live(objective.dead_weights())
    gradient = np.zeros(vector.size)
    found: list[Evaluation] = []
    try:
        for _ in range(draws):
            direction = live * generator.choice([-1.0, 1.0], size=vector.size)
            for sign in (1.0, -1.0):
                vector.write(start + sign * spread * direction)
                found.append(objective.value())
            gradient += (found[-2].loss - found[-1].loss) / (2 * spread * draws) * direction
    finally:
        vector.write(start)
    outputs = sum((evaluation.outputs for evaluation in found[1:]), found[0].outputs) / len(found)
    loss = float(np.mean([evaluation.loss for evaluation in found]))
    return Evaluation(loss, outputs, float(np.linalg.norm(gradient))), gradient
