"""Energies of circuits as objectives, so that optimizers can be tried without a model."""

import numpy as np
import torch
from torch import nn

from quantum_db.backends.protocols import CircuitRows
from quantum_db.backends.statevector import StatevectorExecutor
from quantum_db.circuits import Circuit, op, weight
from quantum_db.circuits.light_cone import dead_weights
from quantum_db.optimizers.objective import Evaluation, QuantumPart
from quantum_db.simulation.statevector import expectation_values, simulate

# <X> + <Z> of one qubit behind RX and RY, from where PennyLane's pages start: the minimum is -sqrt(2).
ONE_QUBIT = Circuit(1, (op("RX", 0, angle=weight(0)), op("RY", 0, angle=weight(1))), ("X0", "Z0"))
ONE_QUBIT_START = [3.97507603, 3.00854038]


class Energy:
    """The sum of a circuit's expectation values as a function of its weights."""

    def __init__(self, circuit, start, executor=None, shots=None):
        self.circuit, self.executor, self.shots = circuit, executor or StatevectorExecutor(), shots
        self.weights = nn.Parameter(torch.tensor(start, dtype=torch.float64))
        self.dead = dead_weights(circuit)
        self.values = 0

    def energy(self):
        return expectation_values(simulate(self.circuit, self.weights), self.circuit.observables).sum()

    def value(self):
        self.values += 1
        with torch.no_grad():
            energy = self.energy()
        return Evaluation(energy.item(), energy.reshape(1, 1))

    def gradient(self):
        self.weights.grad = None
        energy = self.energy()
        energy.backward()
        return Evaluation(energy.item(), energy.detach().reshape(1, 1), self.weights.grad.norm().item())

    def quantum_parts(self):
        live = tuple(index for index in range(self.circuit.n_weights) if index not in self.dead)
        rows = CircuitRows.of(self.circuit, self.weights.detach().numpy())
        return [QuantumPart(self.weights, live, rows, self.executor, self.shots, 7)]

    def dead_weights(self):
        return [(self.weights, self.dead)]


def steps_until(objective, optimizer, level, at_most=2000):
    """How many steps it takes until the energy is at most `level`."""
    for count in range(at_most):
        if objective.value().loss <= level:
            return count
        optimizer.step(objective)
    return at_most


def rastrigin(values):
    """Many local minima on a grid; 0 at the origin."""
    return float(10 * len(values) + np.sum(values**2 - 10 * np.cos(2 * np.pi * values)))
