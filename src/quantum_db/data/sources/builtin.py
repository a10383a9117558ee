"""The real data sets that scikit-learn brings along; no download is needed."""

from __future__ import annotations

import numpy as np

from quantum_db.data.raw_dataset import RawDataset
from quantum_db.data.sources.source import Source
from quantum_db.errors import StageInputError
from quantum_db.registry import require_package

_LOADERS = {  # name -> scikit-learn's function, what it is
    "digits": "load_digits",  # 1797 handwritten digits of 8x8 pixels, 10 classes
    "iris": "load_iris",  # 150 flowers, 4 measures, 3 classes
    "wine": "load_wine",  # 178 wines, 13 measures, 3 classes
    "breast_cancer": "load_breast_cancer",  # 569 tumours, 30 measures, 2 classes
}


def _check(address: str) -> None:
    if address not in _LOADERS:
        known = ", ".join(f"builtin:{name}" for name in _LOADERS)
        raise StageInputError(f"unknown data source 'builtin:{address}'; known bundled sets: {known}")


def _load(address: str, label_column: str) -> RawDataset:
    _check(address)
    datasets = require_package("sklearn.datasets", "data", "a bundled data set")
    bunch = getattr(datasets, _LOADERS[address])()
    return RawDataset(
        name=f"builtin:{address}",
        features=np.asarray(bunch.data, dtype=np.float64),
        labels=np.asarray(bunch.target, dtype=np.int64),
        class_names=tuple(str(name) for name in bunch.target_names),
        feature_names=tuple(str(name) for name in bunch.feature_names),
    )


SOURCE = Source(
    addresses=tuple(f"builtin:{name}" for name in _LOADERS),
    check=_check,
    load=_load,
    is_local=False,
)
