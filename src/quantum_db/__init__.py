"""Q-Store: train hybrid quantum-classical models on IonQ hardware and simulators, from Kubeflow.

Public names are imported when they are first used, so `import quantum_db` is quick and loads no framework.
"""

from typing import TYPE_CHECKING

from quantum_db.registry import lazy_names

if TYPE_CHECKING:
    from quantum_db.circuits.circuit import Circuit as Circuit
    from quantum_db.circuits.circuit import Operation as Operation
    from quantum_db.circuits.circuit import Slot as Slot
    from quantum_db.circuits.circuit import feature as feature
    from quantum_db.circuits.circuit import op as op
    from quantum_db.circuits.circuit import weight as weight
    from quantum_db.circuits.observables import PauliString as PauliString
    from quantum_db.errors import QStoreError as QStoreError
    from quantum_db.layers.torch_layer import QuantumLayer as QuantumLayer
    from quantum_db.models.hybrid import HybridQuantumModel as HybridQuantumModel
    from quantum_db.models.quantum_model import QuantumModel as QuantumModel
    from quantum_db.models.saved_model import SavedModel as SavedModel
    from quantum_db.models.saved_model import load_model as load_model
    from quantum_db.models.variational import VariationalModel as VariationalModel
    from quantum_db.training.classifier import VariationalQuantumClassifier as VariationalQuantumClassifier
    from quantum_db.training.config import QuantumTrainingConfig as QuantumTrainingConfig
    from quantum_db.training.trainer import QuantumTrainer as QuantumTrainer

_NAMES = {
    "Circuit": "quantum_db.circuits.circuit:Circuit",
    "HybridQuantumModel": "quantum_db.models.hybrid:HybridQuantumModel",
    "Operation": "quantum_db.circuits.circuit:Operation",
    "PauliString": "quantum_db.circuits.observables:PauliString",
    "QStoreError": "quantum_db.errors:QStoreError",
    "QuantumLayer": "quantum_db.layers.torch_layer:QuantumLayer",
    "QuantumModel": "quantum_db.models.quantum_model:QuantumModel",
    "QuantumTrainer": "quantum_db.training.trainer:QuantumTrainer",
    "QuantumTrainingConfig": "quantum_db.training.config:QuantumTrainingConfig",
    "SavedModel": "quantum_db.models.saved_model:SavedModel",
    "Slot": "quantum_db.circuits.circuit:Slot",
    "VariationalModel": "quantum_db.models.variational:VariationalModel",
    "VariationalQuantumClassifier": "quantum_db.training.classifier:VariationalQuantumClassifier",
    "feature": "quantum_db.circuits.circuit:feature",
    "load_model": "quantum_db.models.saved_model:load_model",
    "op": "quantum_db.circuits.circuit:op",
    "weight": "quantum_db.circuits.circuit:weight",
}

__all__ = [
    "Circuit",
    "HybridQuantumModel",
    "Operation",
    "PauliString",
    "QStoreError",
    "QuantumLayer",
    "QuantumModel",
    "QuantumTrainer",
    "QuantumTrainingConfig",
    "SavedModel",
    "Slot",
    "VariationalModel",
    "VariationalQuantumClassifier",
    "feature",
    "load_model",
    "op",
    "weight",
]

__getattr__ = lazy_names(__name__, _NAMES)


def __dir__() -> list[str]:
    return sorted(__all__)
