"""Losses by name; each is called with the model's outputs (rows, classes) and the labels (rows,)."""

from quantum_db.registry import Table

LOSSES = Table(
    "loss",
    {
        "cross_entropy": "torch.nn.functional:cross_entropy",
        "mse": "quantum_db.losses.mean_squared_error:one_hot_mean_squared_error",
    },
)

__all__ = ["LOSSES"]
