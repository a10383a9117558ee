"""Gradient methods by name.

`adjoint` and `backprop` differentiate the simulation itself and need exact values; the others run circuits and work on
every target. `docs/gradients.md` says what each costs and how wrong it may be.
"""

from quantum_db.registry import Table

GRADIENT_METHODS = Table(
    "gradient method",
    {
        "adjoint": "quantum_db.gradients.adjoint:Adjoint",
        "backprop": "quantum_db.gradients.backprop:Backprop",
        "finite_diff": "quantum_db.gradients.finite_difference:FiniteDifference",
        "parameter_shift": "quantum_db.gradients.parameter_shift:ParameterShift",
        "spsa": "quantum_db.gradients.spsa:SimultaneousPerturbation",
    },
)

__all__ = ["GRADIENT_METHODS"]
