"""The steps from raw features to what a model sees, learned from the training rows only.

Order: drop constant columns, then (with PCA) standardise and project, then scale. A model keeps its preprocessing,
so that a raw row sent to a server goes the same way as the rows it was trained on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from quantum_db.data.steps import (
    MinMaxScale,
    PrincipalComponents,
    Select,
    StandardScale,
    Step,
    Values,
    step_from_dict,
    step_to_dict,
)
from quantum_db.errors import StageInputError, StoreError
from quantum_db.registry import require_package

SCALINGS = ("minmax", "standard", "none")
CONSTANT_FEATURES = ("drop", "refuse")
_LARGEST = 1e150  # squares of larger numbers leave float64
_SMALLEST_SPAN = 1e-150
_NEGLIGIBLE_VARIANCE = 1e-12  # of the largest component's


@dataclass(frozen=True)
class Preprocessing:
    """Fitted steps in the order of their use; no steps means that raw features are used as they are."""

    raw_feature_names: tuple[str, ...]
    steps: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        width = self.n_raw_features
        for number, step in enumerate(self.steps, start=1):
            if step.n_in != width:
                raise StageInputError(
                    f"preprocessing step {number} ({step.kind}) takes {step.n_in} columns but gets {width}; fit it on "
                    "the output of the step before"
                )
            width = step.n_out

    @property
    def n_raw_features(self) -> int:
        """Columns that `transform` takes."""
        return len(self.raw_feature_names)

    @property
    def n_features(self) -> int:
        """Columns that `transform` returns."""
        return self.steps[-1].n_out if self.steps else self.n_raw_features

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns that `transform` returns."""
        names = self.raw_feature_names
        for step in self.steps:
            names = step.names(names)
        return names

    @property
    def dropped_features(self) -> tuple[str, ...]:
        """Names of the raw features that are left out because they were constant over the training rows."""
        kept = next((step.columns for step in self.steps if isinstance(step, Select)), range(self.n_raw_features))
        return tuple(name for column, name in enumerate(self.raw_feature_names) if column not in set(kept))

    def transform(self, raw: ArrayLike) -> Values:
        """Take raw features (rows, n_raw_features) to float64 (rows, n_features).

        Raises StageInputError for a wrong width, text, complex numbers, NaN or infinity (row and column are named).
        """
        values = self._checked(raw)
        for step in self.steps:
            values = step.apply(values)
        return values

    def count_clipped(self, raw: ArrayLike) -> int:
        """Return how many values of `raw` (rows, n_raw_features) the min-max scaling has to clip."""
        values, clipped = self._checked(raw), 0
        for step in self.steps:
            if isinstance(step, MinMaxScale):
                clipped += step.count_clipped(values)
            values = step.apply(values)
        return clipped

    def with_step(self, step: Step) -> Preprocessing:
        """Return this preprocessing followed by `step`; raise StageInputError if the widths do not fit."""
        return replace(self, steps=(*self.steps, step))

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able data; floats survive JSON exactly."""
        return {"raw_feature_names": list(self.raw_feature_names), "steps": [step_to_dict(step) for step in self.steps]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Preprocessing:
        """Build from `to_dict`'s data; raise StoreError when it is not such data."""
        try:
            names = tuple(str(name) for name in data["raw_feature_names"])
            return cls(names, tuple(step_from_dict(step) for step in data["steps"]))
        except (KeyError, TypeError, ValueError, StageInputError) as error:
            raise StoreError(
                f"a stored preprocessing is malformed ({type(error).__name__}: {error}); write it again with the stage "
                "that made it"
            ) from error

    def _checked(self, raw: ArrayLike) -> Values:
        values = _real_array(raw)
        if values.ndim != 2 or values.shape[1] != self.n_raw_features:
            raise StageInputError(
                f"the data has the shape {values.shape}, but (rows, {self.n_raw_features}) is needed: one column for "
                f"each of {_few(self.raw_feature_names)}"
            )
        check_finite(values, self.raw_feature_names)
        return values


def fit_preprocessing(
    features: Values,
    feature_names: Sequence[str],
    *,
    scaling: str = "minmax",
    n_components: int = 0,
    constant_features: str = "drop",
) -> Preprocessing:
    """Learn the steps from training rows.

    features: float64 (rows, raw features), training rows only; scaling: one of SCALINGS; n_components: columns after
    PCA, 0 for no PCA; constant_features: one of CONSTANT_FEATURES. Raises StageInputError for unknown names, NaN,
    constant features where they are refused, and more components than the data has directions.
    """
    check_choice("scaling", scaling, SCALINGS)
    check_choice("constant_features", constant_features, CONSTANT_FEATURES)
    preprocessing = Preprocessing(tuple(feature_names))
    values = preprocessing.transform(features)
    fitted: list[Step] = []
    if (select := fit_select(values, feature_names, constant_features)).n_out < select.n_in:
        fitted.append(select)
        values = select.apply(values)
    if n_components:
        check_n_components(n_components, *values.shape)
        fitted.append(standard := fit_standard(values))
        values = standard.apply(values)
        fitted.append(pca := fit_pca(values, n_components))
        values = pca.apply(values)
    if scaling != "none":
        fitted.append(fit_minmax(values) if scaling == "minmax" else fit_standard(values))
    return replace(preprocessing, steps=tuple(fitted))


def fit_select(values: Values, feature_names: Sequence[str], constant_features: str = "drop") -> Select:
    """Find the columns of `values` (rows, features) that are not constant."""
    constant = constant_columns(values)
    names = [feature_names[column] for column in np.flatnonzero(constant).tolist()]
    if constant.all():
        raise StageInputError(
            f"all {len(constant)} features are constant over the {len(values)} training rows ({_few(names)}), so there "
            "is nothing to learn from; check the source and its label column"
        )
    if names and constant_features == "refuse":
        raise StageInputError(
            f"{len(names)} feature(s) are constant over the training rows: {_few(names)}. They carry no information; "
            "remove them, or choose constant_features='drop'"
        )
    return Select(columns=tuple(np.flatnonzero(~constant).tolist()), n_in=len(constant))


def fit_standard(values: Values) -> StandardScale:
    """Learn mean and standard deviation of the columns of `values` (rows, features)."""
    _check_fittable(values)
    scaler = _sklearn("preprocessing").StandardScaler().fit(values)
    return StandardScale(mean=tuple(scaler.mean_.tolist()), scale=tuple(scaler.scale_.tolist()))


def fit_minmax(values: Values) -> MinMaxScale:
    """Learn the range of the columns of `values` (rows, features)."""
    _check_fittable(values)
    scaler = _sklearn("preprocessing").MinMaxScaler(feature_range=(-1, 1)).fit(values)
    return MinMaxScale(minimum=tuple(scaler.data_min_.tolist()), maximum=tuple(scaler.data_max_.tolist()))


def fit_pca(values: Values, n_components: int) -> PrincipalComponents:
    """Learn the `n_components` directions of largest variance of `values` (rows, features)."""
    rows, columns = values.shape
    check_n_components(n_components, rows, columns)
    _check_fittable(values)
    solver = "covariance_eigh" if columns <= 1000 and rows >= 10 * columns else "full"
    pca = _sklearn("decomposition").PCA(n_components=n_components, svd_solver=solver).fit(values)
    independent = int(np.count_nonzero(pca.explained_variance_ > _NEGLIGIBLE_VARIANCE * pca.explained_variance_[0]))
    if independent < n_components:
        raise StageInputError(
            f"n_components={n_components}, but the training rows vary in {independent} independent direction(s) only: "
            f"the others would be rounding noise; choose at most {independent}"
        )
    components = _with_fixed_signs(pca.components_)
    return PrincipalComponents(
        mean=tuple(pca.mean_.tolist()),
        components=tuple(tuple(row) for row in components.tolist()),
        explained=tuple(pca.explained_variance_ratio_.tolist()),
    )


def constant_columns(values: Values) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return bool (features,): True where a column of `values` (rows, features) varies by no more than rounding."""
    low, high = values.min(axis=0), values.max(axis=0)
    rounding = 8 * np.finfo(np.float64).eps * np.maximum(np.abs(low), np.abs(high))
    return np.asarray(high / 2 - low / 2 <= np.maximum(_SMALLEST_SPAN, rounding) / 2, dtype=np.bool_)


def check_finite(values: Values, names: Sequence[str], source: str = "the data") -> None:
    """Raise StageInputError naming the first row and column of `values` (rows, features) with NaN or infinity."""
    finite = np.isfinite(values)
    if finite.all():
        return
    row, column = (int(index) for index in np.argwhere(~finite)[0])
    raise StageInputError(
        f"{source}: row {row + 1}, column {names[column]!r} is {float(values[row, column])!r} "
        f"({np.count_nonzero(~finite)} such value(s) in {np.count_nonzero(~finite.all(axis=1))} row(s)). Models need "
        "finite numbers: correct these rows or leave them out"
    )


def check_n_components(n_components: int, rows: int, features: int) -> None:
    """Raise StageInputError unless 1 <= n_components <= min(rows, features)."""
    if not 1 <= n_components <= min(rows, features):
        raise StageInputError(
            f"n_components={n_components} is not possible: {rows} training rows with {features} varying features have "
            f"between 1 and {min(rows, features)} principal components; choose one of these, or 0 for no PCA"
        )


def check_choice(field: str, value: str, choices: Sequence[str]) -> str:
    """Return `value` if it is one of `choices`; raise StageInputError that lists them otherwise."""
    if value not in choices:
        raise StageInputError(f"unknown {field} {value!r}; choose one of: {', '.join(choices)}")
    return value


def _check_fittable(values: Values) -> None:
    if (constant := constant_columns(values)).any():
        raise StageInputError(
            f"column {int(np.flatnonzero(constant)[0]) + 1} is constant over the {len(values)} training rows and "
            "cannot be scaled; drop constant columns first"
        )
    if (largest := float(np.abs(values).max())) > _LARGEST:
        raise StageInputError(
            f"the value {largest!r} is too large: its square leaves double precision; give the feature in another unit"
        )


def _with_fixed_signs(components: Values) -> Values:
    magnitude = np.abs(components)
    leading = np.argmax(magnitude >= magnitude.max(axis=1, keepdims=True) * (1 - 1e-9), axis=1)
    signs = np.sign(components[np.arange(len(components)), leading])
    return np.asarray(components * signs[:, None], dtype=np.float64)


def _real_array(raw: ArrayLike) -> Values:
    try:
        array = np.asarray(raw)
        if array.dtype.kind in "biuf":
            return np.asarray(array, dtype=np.float64)
    except ValueError as error:
        raise StageInputError(
            f"the data is not a table of numbers ({error}); every row needs the same width"
        ) from error
    raise StageInputError(
        f"the data holds values of type {array.dtype}, but real numbers are needed; convert text and complex "
        "numbers first"
    )


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:5])
    return shown + (f", ... ({len(names)} in all)" if len(names) > 5 else "")


def _sklearn(module: str) -> Any:
    return require_package(f"sklearn.{module}", "data", "fitting a preprocessing")
