"""The single steps of a preprocessing: what each learned from the training rows, and how it is applied.

A step holds plain numbers, so that it survives JSON exactly and is applied with numpy alone: scikit-learn is needed
where a step is fitted (`preprocessing.fit_preprocessing`), never where a trained model is served.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Select:
    """Keeps `columns` of `n_in` columns, in that order."""

    kind: ClassVar[str] = "select"
    columns: tuple[int, ...]
    n_in: int

    @property
    def n_out(self) -> int:
        """Columns after the step."""
        return len(self.columns)

    def apply(self, values: Values) -> Values:
        """float64 (rows, n_in) -> (rows, n_out)."""
        return values[:, list(self.columns)]

    def names(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the names of the columns after the step, given those before."""
        return tuple(names[column] for column in self.columns)


@dataclass(frozen=True)
class StandardScale:
    """(x - mean) / scale per column, scale being the standard deviation of the training rows."""

    kind: ClassVar[str] = "standard"
    mean: tuple[float, ...]
    scale: tuple[float, ...]

    @property
    def n_in(self) -> int:
        """Columns before the step."""
        return len(self.mean)

    @property
    def n_out(self) -> int:
        """Columns after the step."""
        return len(self.scale)

    def apply(self, values: Values) -> Values:
        """float64 (rows, n_in) -> (rows, n_out)."""
        mean, scale = self._arrays
        return (values - mean) / scale

    def names(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the names of the columns after the step: the same."""
        return names

    @cached_property
    def _arrays(self) -> tuple[Values, Values]:
        return np.array(self.mean), np.array(self.scale)


@dataclass(frozen=True)
class MinMaxScale:
    """Maps the range of the training rows to [-1, 1] per column; values outside are clipped to -1 or 1."""

    kind: ClassVar[str] = "minmax"
    minimum: tuple[float, ...]
    maximum: tuple[float, ...]

    @property
    def n_in(self) -> int:
        """Columns before the step."""
        return len(self.minimum)

    @property
    def n_out(self) -> int:
        """Columns after the step."""
        return len(self.maximum)

    def apply(self, values: Values) -> Values:
        """float64 (rows, n_in) -> (rows, n_out) in [-1, 1]."""
        return np.clip(self._unclipped(values), -1.0, 1.0)

    def count_clipped(self, values: Values) -> int:
        """Return how many of the values lie outside the training range (by more than rounding)."""
        return int(np.count_nonzero(np.abs(self._unclipped(values)) > 1.0 + _ROUNDING))

    def names(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the names of the columns after the step: the same."""
        return names

    def _unclipped(self, values: Values) -> Values:
        minimum, span = self._arrays
        return 2.0 * ((values - minimum) / span) - 1.0

    @cached_property
    def _arrays(self) -> tuple[Values, Values]:
        minimum = np.array(self.minimum)
        return minimum, np.array(self.maximum) - minimum


@dataclass(frozen=True)
class PrincipalComponents:
    """Projection on the directions of largest variance of the training rows.

    mean: (n_in,); components: (n_out, n_in), orthonormal rows; explained: (n_out,), each component's share of the
    training variance. The sign of a component is fixed: its largest loading is positive.
    """

    kind: ClassVar[str] = "pca"
    mean: tuple[float, ...]
    components: tuple[tuple[float, ...], ...]
    explained: tuple[float, ...]

    @property
    def n_in(self) -> int:
        """Columns before the step."""
        return len(self.mean)

    @property
    def n_out(self) -> int:
        """Columns after the step."""
        return len(self.components)

    def apply(self, values: Values) -> Values:
        """float64 (rows, n_in) -> (rows, n_out)."""
        mean, directions = self._arrays
        return np.asarray((values - mean) @ directions, dtype=np.float64)

    def names(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the names of the columns after the step: component_1, component_2, ..."""
        return tuple(f"component_{number}" for number in range(1, self.n_out + 1))

    @cached_property
    def _arrays(self) -> tuple[Values, Values]:
        return np.array(self.mean), np.ascontiguousarray(np.array(self.components).T)


Step = Select | StandardScale | MinMaxScale | PrincipalComponents
_KINDS: dict[str, type[Step]] = {kind.kind: kind for kind in (Select, StandardScale, MinMaxScale, PrincipalComponents)}


def step_to_dict(step: Step) -> dict[str, Any]:
    """Return the step as JSON-able data; `step_from_dict` is its exact inverse."""
    return {"kind": step.kind} | {field.name: _lists(getattr(step, field.name)) for field in fields(step)}


def step_from_dict(data: Mapping[str, Any]) -> Step:
    """Build a step from `step_to_dict`'s data; raise KeyError, TypeError or ValueError when it is not such data."""
    kind = _KINDS[data["kind"]]
    if set(data) != {"kind", *(field.name for field in fields(kind))}:
        raise ValueError(f"a {data['kind']!r} step cannot have the fields {sorted(data)}")
    step = kind(**{name: _tuples(value) for name, value in data.items() if name != "kind"})
    _check_numbers(step)
    return step


def _check_numbers(step: Step) -> None:
    if isinstance(step, Select):
        if any(not 0 <= column < step.n_in for column in step.columns):
            raise ValueError(f"selected columns must lie between 0 and {step.n_in - 1}")
        return
    for field in fields(step):
        array = np.array(getattr(step, field.name), dtype=np.float64)
        if not np.isfinite(array).all():
            raise ValueError(f"{field.name} of a {step.kind!r} step holds NaN or infinity")
    if isinstance(step, PrincipalComponents):
        if any(len(row) != step.n_in for row in step.components):
            raise ValueError("every component needs as many loadings as there are columns")
    elif step.n_in != step.n_out:
        raise ValueError(f"the numbers of a {step.kind!r} step differ in length: {step.n_in} and {step.n_out}")


def _lists(value: Any) -> Any:
    return [_lists(item) for item in value] if isinstance(value, tuple) else value


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list | tuple) else value
