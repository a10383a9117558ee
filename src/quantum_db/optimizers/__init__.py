"""Optimizers by name; Adam and SGD are torch's own.

`quantum_annealing` is an alias of `simulated_annealing`: it is classical simulated annealing, no quantum machine
anneals anything. `build.make_optimizer` makes one from its name and options.
"""

from quantum_db.registry import Table

OPTIMIZERS = Table(
    "optimizer",
    {
        "adam": "torch.optim:Adam",
        "cobyla": "quantum_db.optimizers.cobyla:Cobyla",
        "qn_spsa": "quantum_db.optimizers.qn_spsa:QuantumNaturalSPSA",
        "quantum_annealing": "quantum_db.optimizers.simulated_annealing:SimulatedAnnealing",
        "quantum_natural_gradient": "quantum_db.optimizers.natural_gradient:NaturalGradient",
        "sgd": "torch.optim:SGD",
        "simulated_annealing": "quantum_db.optimizers.simulated_annealing:SimulatedAnnealing",
        "spsa": "quantum_db.optimizers.spsa:SPSA",
    },
)

__all__ = ["OPTIMIZERS"]
