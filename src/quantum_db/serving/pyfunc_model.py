"""The trained model as an MLflow pyfunc model "from code": this file is what the registry stores, not a pickle.

MLflow runs the file when it loads the model and takes the object given to `set_model`. Its artifact "model" is the
model directory, as the stage train writes it.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

from quantum_db.models import load_model

# MLflow warns that `model_input` has no type, from which it would make a signature; this model is given its own.
# It sets its own filters when it does, so the warning can only be recorded.
with warnings.catch_warnings(record=True):

    class QStoreModel(PythonModel):
        """Raw rows in, the class and the probability of each class out."""

        def load_context(self, context: Any) -> None:
            """Load the model directory; raises StoreError when it is not whole."""
            self._model = load_model(context.artifacts["model"])

        def predict(self, context: Any, model_input, params: Any = None) -> pd.DataFrame:  # type: ignore[no-untyped-def]
            """Return one row per input row (rows, raw features): "label", then "probability_<class>" per class."""
            probabilities = self._model.predict_proba_raw(np.asarray(model_input, dtype=np.float64))
            names = [str(name) for name in self._model.class_names]
            labels = [names[int(index)] for index in probabilities.argmax(axis=1)]
            columns = {f"probability_{name}": probabilities[:, index] for index, name in enumerate(names)}
            return pd.DataFrame({"label": labels, **columns})


set_model(QStoreModel())
