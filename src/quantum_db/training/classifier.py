"""`VariationalQuantumClassifier`: a purely quantum classifier with the scikit-learn interface."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from quantum_db.circuits.circuit import Circuit
from quantum_db.data.preprocessing import Preprocessing, fit_preprocessing
from quantum_db.errors import StageInputError
from quantum_db.layers.torch_layer import QuantumLayer
from quantum_db.models.saved_model import class_probabilities
from quantum_db.training.config import QuantumTrainingConfig
from quantum_db.training.step import quantum_layers
from quantum_db.training.trainer import QuantumTrainer

FloatArray = npt.NDArray[np.float64]


class VariationalQuantumClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Features scaled to [-1, 1] on the training rows, a variational circuit, one observable per class.

    `n_components` above 0 reduces the features to that many principal components first, learned from the training
    rows too; 0 keeps all. Nothing but the circuit's angles is trained, so `parameter_count` is
    3 * n_qubits * n_layers. `encoder` "reuploading" takes any number of features, "angle" at most one per qubit. Works
    with scikit-learn's `clone`, pipelines and cross-validation. Schuld et al., "Circuit-centric quantum classifiers",
    arXiv:1804.00633.
    """

    def __init__(
        self,
        n_qubits: int = 4,
        n_layers: int = 4,
        *,
        n_components: int = 0,
        encoder: str = "reuploading",
        ansatz: str = "hardware_efficient",
        entanglement_pattern: str = "circular",
        readout_scale: float = 5.0,
        learning_rate: float = 0.05,
        batch_size: int = 32,
        epochs: int = 40,
        seed: int = 0,
        progress: bool = False,
    ) -> None:
        self.n_qubits = n_qubits
        self.n_layers = n_layers
        self.n_components = n_components
        self.encoder = encoder
        self.ansatz = ansatz
        self.entanglement_pattern = entanglement_pattern
        self.readout_scale = readout_scale
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.epochs = epochs
        self.seed = seed
        self.progress = progress

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> VariationalQuantumClassifier:
        """Train on `X` (rows, features) and labels `y` (rows,); raise StageInputError for a single class."""
        values, labels = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(labels)
        self.classes_, numbers = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise StageInputError(f"a classifier needs at least two classes, but all labels are {self.classes_[0]}")
        config = self._config()
        names = [f"feature_{number}" for number in range(values.shape[1])]
        self.preprocessing_: Preprocessing = fit_preprocessing(
            values, names, scaling="minmax", n_components=self.n_components
        )
        scaled = self.preprocessing_.transform(values)
        trainer = QuantumTrainer(config, checkpoints=False, progress=self.progress)
        self.model_ = trainer.build_model(scaled.shape[1], len(self.classes_))
        result = trainer.fit(self.model_, scaled, numbers.astype(np.int64))
        self.history_ = result.history
        return self

    def predict_proba(self, X: npt.ArrayLike) -> FloatArray:
        """Class probabilities (rows, classes), columns in the order of `classes_`."""
        check_is_fitted(self)
        values = validate_data(self, X, dtype=np.float64, reset=False)
        return class_probabilities(self.model_, self.preprocessing_.transform(values))

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """The most probable class of each row."""
        probabilities = self.predict_proba(X)
        return np.asarray(self.classes_[probabilities.argmax(axis=1)])

    def build_circuit(self, row: npt.ArrayLike) -> Circuit:
        """The circuit that is run for one row of features, with all angles filled in."""
        check_is_fitted(self)
        layer = self._layer
        scaled = self.preprocessing_.transform(np.atleast_2d(np.asarray(row, dtype=np.float64)))
        slots = layer.encoder.slot_values(scaled)
        return layer.circuit.bind(layer.weights.detach().double().numpy().tolist(), slots[0].tolist())

    @property
    def parameter_count(self) -> int:
        """The number of trained angles."""
        check_is_fitted(self)
        return self._layer.parameter_count

    @property
    def _layer(self) -> QuantumLayer:
        (layer,) = quantum_layers(self.model_)
        return layer

    def _config(self) -> QuantumTrainingConfig:
        return QuantumTrainingConfig(
            model="variational",
            n_qubits=self.n_qubits,
            circuit_depth=self.n_layers,
            encoder=self.encoder,
            ansatz=self.ansatz,
            entanglement_pattern=self.entanglement_pattern,
            readout_scale=self.readout_scale,
            learning_rate=self.learning_rate,
            batch_size=self.batch_size,
            epochs=self.epochs,
            seed=self.seed,
        )
