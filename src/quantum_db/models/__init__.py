"""Models: circuits and classical layers put together, and how they are kept on disk."""

from typing import TYPE_CHECKING

from quantum_db.registry import Table, lazy_names

if TYPE_CHECKING:
    from quantum_db.models.saved_model import SavedModel as SavedModel
    from quantum_db.models.saved_model import load_model as load_model

MODELS = Table(
    "model",
    {
        "hybrid": "quantum_db.models.hybrid:HybridQuantumModel",
        "quantum": "quantum_db.models.quantum_model:QuantumModel",
        "variational": "quantum_db.models.variational:VariationalModel",
    },
)

__all__ = ["MODELS", "SavedModel", "load_model"]

__getattr__ = lazy_names(
    __name__,
    {
        "SavedModel": "quantum_db.models.saved_model:SavedModel",
        "load_model": "quantum_db.models.saved_model:load_model",
    },
)
