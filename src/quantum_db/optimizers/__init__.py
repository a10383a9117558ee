"""Optimizers by name; Adam and SGD are torch's own."""

from quantum_db.registry import Table

OPTIMIZERS = Table("optimizer", {"adam": "torch.optim:Adam", "sgd": "torch.optim:SGD"})

__all__ = ["OPTIMIZERS"]
