"""The data set of a planned run: its rows where they are known, otherwise only how many there are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantum_db.errors import ConfigurationError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PlannedData:
    """The rows that training is given, those that it holds out for validation included.

    `values` (rows, features) are what the model gets, after preprocessing. None means that only their number is known:
    rows are then taken to differ from each other and to hold no zeros, which is the dearest they can be, and classes
    to be of one size.
    """

    name: str
    labels: IntArray
    n_features: int
    n_classes: int
    values: FloatArray | None = None

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        return len(self.labels)

    @classmethod
    def of_numbers(cls, rows: int, features: int, classes: int) -> PlannedData:
        """Data of which only the size is known; ConfigurationError for sizes that cannot be trained on."""
        for name, value, least in (("rows", rows, 1), ("features", features, 1), ("classes", classes, 2)):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ConfigurationError(f"{name} must be a whole number of at least {least}, got {value!r}")
        if rows < classes:
            raise ConfigurationError(f"{rows} rows cannot hold {classes} classes; give at least one row of each")
        return cls(f"{rows} rows", np.arange(rows, dtype=np.int64) % classes, features, classes)

    @classmethod
    def of_rows(cls, name: str, values: FloatArray, labels: IntArray, n_classes: int) -> PlannedData:
        """Data whose rows are known, as `QuantumTrainer.fit` gets them."""
        return cls(name, labels, values.shape[1], n_classes, values)


@dataclass(frozen=True)
class DataOptions:
    """How a source becomes training rows: the options of the pipeline that decide it."""

    label_column: str = "label"
    test_fraction: float = 0.2
    missing: str = "refuse"
    duplicates: str = "keep"
    constant_features: str = "drop"
    scaling: str = "minmax"
    n_components: int = 0


def read_data(dataset: str, options: DataOptions, seed: int) -> PlannedData:
    """The training rows that the pipeline makes of the source `dataset` with this seed.

    Raises what the stage preprocess raises: StageInputError or ConfigurationError.
    """
    from quantum_db.data.cleaning import clean
    from quantum_db.data.preprocessing import fit_preprocessing
    from quantum_db.data.sources import load_source
    from quantum_db.data.splitting import stratified_split

    raw = load_source(dataset, options.label_column)
    cleaned, _ = clean(raw, options.missing, options.duplicates)
    rows, _ = stratified_split(cleaned.labels, options.test_fraction, seed)
    preprocessing = fit_preprocessing(
        cleaned.features[rows],
        cleaned.feature_names,
        scaling=options.scaling,
        n_components=options.n_components,
        constant_features=options.constant_features,
    )
    values = preprocessing.transform(cleaned.features[rows])
    return PlannedData.of_rows(raw.name, values, cleaned.labels[rows], len(raw.class_names))
