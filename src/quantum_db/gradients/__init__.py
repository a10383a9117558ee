"""Gradient methods by name.

`backprop` differentiates through the simulation and needs a simulator with exact values; the others run circuits and
work on every target.
"""

from quantum_db.registry import Table

GRADIENT_METHODS = Table(
    "gradient method",
    {
        "backprop": "quantum_db.gradients.backprop:Backprop",
        "parameter_shift": "quantum_db.gradients.parameter_shift:ParameterShift",
    },
)

__all__ = ["GRADIENT_METHODS"]
