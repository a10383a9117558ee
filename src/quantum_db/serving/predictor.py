"""One loaded model, made safe to be asked by many requests at once, with its inputs checked."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from quantum_db.errors import QStoreError

GOLDEN_TOLERANCE = 1e-6
_VERSION_LENGTH = 12
_FOLDERS = re.compile(r"(?<![\w./\\~-])(?:file://|~|[A-Za-z]:)?(?:[/\\][^/\\\s\"']+)*[/\\](?=[^/\\\s\"'])")
_SHOWN = ("description", "config", "circuit", "versions", "dataset", "run_id")


class RequestError(QStoreError):
    """A request that cannot be answered, with the HTTP status that says why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class InputColumns(Protocol):
    """The part of a model's preprocessing that a server shows."""

    @property
    def raw_feature_names(self) -> tuple[str, ...]:
        """Names of the columns of a row, in order."""


class ServableModel(Protocol):
    """What the server needs of a model; `quantum_db.models.load_model` returns one."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Classes in the order of the probabilities."""

    @property
    def preprocessing(self) -> InputColumns:
        """Takes raw rows to what the model sees."""

    @property
    def manifest(self) -> Mapping[str, Any]:
        """What is recorded about the model."""

    @property
    def parameter_count(self) -> int:
        """Trained numbers."""

    @property
    def digest(self) -> str:
        """SHA-256 of the model's content."""

    @property
    def golden(self) -> Mapping[str, Sequence[Sequence[float]]]:
        """Rows ("inputs") and the "probabilities" that the model gave for them when it was saved."""

    def predict_proba_raw(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities (rows, classes) of raw rows (rows, raw features)."""


@dataclass(frozen=True)
class Prediction:
    """labels: the most probable class of each row; probabilities: float64 (rows, classes); seconds in the model."""

    labels: list[str]
    probabilities: NDArray[np.float64]
    seconds: float


class Predictor:
    """Checks rows and asks the model, one request at a time (the simulator uses all cores for one batch).

    `fault` is empty when the model reproduced its golden predictions at the start, within GOLDEN_TOLERANCE;
    otherwise it says what is wrong, and `predict` refuses with status 503.
    """

    def __init__(self, model: ServableModel, name: str, version: str, max_rows: int) -> None:
        self.name = name
        self.version = version or model.digest[:_VERSION_LENGTH]
        self.max_rows = max_rows
        self.class_names = tuple(str(class_name) for class_name in model.class_names)
        self.feature_names = tuple(model.preprocessing.raw_feature_names)
        self._model = model
        self._lock = threading.Lock()
        self.fault = self._golden_fault()

    def rows(self, values: Sequence[Sequence[float]]) -> NDArray[np.float64]:
        """Return checked rows as float64 (rows, features).

        Raises RequestError: 413 for too many rows, 400 for none, for a wrong width, and for NaN or infinity.
        """
        expected = len(self.feature_names)
        if not values:
            raise RequestError(400, f"there are no rows; send at least one row of {expected} numbers")
        if len(values) > self.max_rows:
            raise RequestError(
                413, f"{len(values)} rows are more than this server takes at once; send at most {self.max_rows}"
            )
        for index, values_of_row in enumerate(values):
            if len(values_of_row) != expected:
                raise RequestError(
                    400, f"row {index} has {len(values_of_row)} values; expected {expected}: {self._columns()}"
                )
        raw = np.asarray(values, dtype=np.float64)
        bad = np.argwhere(~np.isfinite(raw))
        if bad.size:
            row, column = (int(position) for position in bad[0])
            raise RequestError(
                400, f"row {row}, column {column} ({self.feature_names[column]}) is not a finite number; "
                "leave such rows out or fill them in"
            )  # fmt: skip
        return raw

    def predict(self, raw: NDArray[np.float64]) -> Prediction:
        """Predict checked rows; RequestError 503 while the model is not ready, 400 if it cannot take the rows."""
        if self.fault:
            raise RequestError(503, f"the model is not ready: {self.fault}")
        began = time.perf_counter()
        probabilities = self._probabilities(raw)
        labels = [self.class_names[int(index)] for index in probabilities.argmax(axis=1)]
        return Prediction(labels, probabilities, time.perf_counter() - began)

    def metadata(self) -> dict[str, Any]:
        """What is known about the model, without the folders of the machine it was made on."""
        shown = {key: self._model.manifest[key] for key in _SHOWN if key in self._model.manifest}
        return {
            "name": self.name,
            "version": self.version,
            "digest": self._model.digest,
            "classes": list(self.class_names),
            "features": list(self.feature_names),
            "parameter_count": self._model.parameter_count,
            "max_rows": self.max_rows,
            **without_folders(shown),
        }

    def _probabilities(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        with self._lock:
            probabilities = np.asarray(self._model.predict_proba_raw(raw), dtype=np.float64)
        if probabilities.shape != (len(raw), len(self.class_names)) or not np.isfinite(probabilities).all():
            raise QStoreError(
                f"the model gave an array of shape {probabilities.shape} for {len(raw)} rows and "
                f"{len(self.class_names)} classes, or values that are not numbers; train it again"
            )
        return probabilities

    def _golden_fault(self) -> str:
        golden = self._model.golden
        expected = np.asarray(golden["probabilities"], dtype=np.float64)
        try:
            found = self._probabilities(np.asarray(golden["inputs"], dtype=np.float64))
        except (QStoreError, ValueError, RuntimeError) as error:
            return f"it cannot predict its golden inputs ({error})"
        if found.shape != expected.shape:
            return f"its golden predictions have the shape {expected.shape}, and it now gives {found.shape}"
        difference = float(np.abs(found - expected).max(initial=0.0))
        if not difference <= GOLDEN_TOLERANCE:
            return (
                f"its golden predictions are off by {difference:.3g}, more than {GOLDEN_TOLERANCE:g}; it was saved by "
                "another version of the libraries, or changed since: train it again, or serve it with those versions"
            )
        return ""

    def _columns(self) -> str:
        names = self.feature_names
        return ", ".join(names) if len(names) <= 6 else f"{', '.join(names[:3])}, ..., {names[-1]}"


def without_folders(content: Any) -> Any:
    """JSON data with absolute paths inside texts cut to their last part; addresses like s3://... stay."""
    if isinstance(content, str):
        return _FOLDERS.sub("", content)
    if isinstance(content, Mapping):
        return {str(key): without_folders(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [without_folders(value) for value in content]
    return content
