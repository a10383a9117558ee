"""Bad rows of a raw dataset: found, then refused or dropped as asked, and reported."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantum_db.data.preprocessing import check_choice, check_finite
from quantum_db.data.raw_dataset import MISSING_LABEL, RawDataset
from quantum_db.errors import StageInputError

MISSING = ("refuse", "drop")
DUPLICATES = ("keep", "drop")
_ROWS_SHOWN = 20


@dataclass(frozen=True)
class CleaningReport:
    """What cleaning found and did.

    rows_read and rows_kept: counts; missing_rows: numbers (from 1) of the first rows dropped for NaN, infinity or a
    missing label, missing_count how many in all; duplicate_count: rows that repeat an earlier row with its label,
    duplicates_dropped whether they were dropped; contradictory_count: rows whose features also occur with another
    label.
    """

    rows_read: int
    rows_kept: int
    missing_count: int
    missing_rows: tuple[int, ...]
    duplicate_count: int
    duplicates_dropped: bool
    contradictory_count: int

    @property
    def rows_dropped(self) -> int:
        """Number of rows left out."""
        return self.rows_read - self.rows_kept

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able data."""
        return asdict(self) | {"missing_rows": list(self.missing_rows)}


def clean(raw: RawDataset, missing: str = "refuse", duplicates: str = "keep") -> tuple[RawDataset, CleaningReport]:
    """Return the rows that can be used, in their order, and a report.

    missing: "refuse" raises for a row with NaN, infinity or no label, "drop" leaves it out; duplicates: "keep", or
    "drop" to leave out rows that repeat an earlier one with its label. Raises StageInputError for refused rows, and
    when what is left has no rows, one class only, or a class with fewer than two rows.
    """
    check_choice("missing", missing, MISSING)
    check_choice("duplicates", duplicates, DUPLICATES)
    usable = np.isfinite(raw.features).all(axis=1) & (raw.labels != MISSING_LABEL)
    if missing == "refuse":
        _refuse_missing(raw)
    kept = _take(raw, usable)
    repeated, contradictory = _repetitions(kept)
    if duplicates == "drop":
        kept = _take(kept, ~repeated)
    _check_classes(kept, len(raw.labels))
    bad_rows = np.flatnonzero(~usable)
    return kept, CleaningReport(
        rows_read=len(raw.labels),
        rows_kept=len(kept.labels),
        missing_count=len(bad_rows),
        missing_rows=tuple((bad_rows[:_ROWS_SHOWN] + 1).tolist()),
        duplicate_count=int(repeated.sum()),
        duplicates_dropped=duplicates == "drop",
        contradictory_count=contradictory,
    )


def _refuse_missing(raw: RawDataset) -> None:
    try:
        check_finite(raw.features, raw.feature_names, raw.name)
    except StageInputError as error:
        raise StageInputError(f"{error}, or choose missing='drop'") from error
    unlabelled = np.flatnonzero(raw.labels == MISSING_LABEL)
    if len(unlabelled):
        raise StageInputError(
            f"{raw.name}: row {int(unlabelled[0]) + 1} has no label ({len(unlabelled)} such row(s)). Add the label, "
            "remove the row, or choose missing='drop'"
        )


def _take(raw: RawDataset, rows: NDArray[np.bool_]) -> RawDataset:
    if rows.all():
        return raw
    if not rows.any():
        raise StageInputError(
            f"{raw.name}: every one of the {len(rows)} rows has NaN, infinity or no label, so nothing is left; "
            "check the source, and remove columns that are empty"
        )
    return replace(raw, features=raw.features[rows], labels=raw.labels[rows])


def _repetitions(raw: RawDataset) -> tuple[NDArray[np.bool_], int]:
    """Return which rows repeat an earlier one with its label, and how many rows contradict another one's label."""
    digests = (hashlib.blake2b((row + 0.0).tobytes(), digest_size=16) for row in raw.features)  # -0.0 equals 0.0
    keys = np.frombuffer(b"".join(digest.digest() for digest in digests), dtype="V16")
    _, group = np.unique(keys, return_inverse=True)
    pairs, first = np.unique(np.column_stack([group, raw.labels]), axis=0, return_index=True)
    repeated = np.ones(len(raw.labels), dtype=np.bool_)
    repeated[first] = False
    labels_of_group = np.bincount(pairs[:, 0], minlength=int(group.max()) + 1)
    return repeated, int(np.count_nonzero(labels_of_group[group] > 1))


def _check_classes(raw: RawDataset, rows_read: int) -> None:
    counts = np.bincount(raw.labels, minlength=len(raw.class_names))
    rows = f"{len(raw.labels)} usable row(s) of {rows_read}"
    if np.count_nonzero(counts) < 2:
        name = raw.class_names[int(np.argmax(counts))]
        raise StageInputError(
            f"{raw.name}: {rows} have one class only, {name!r}; a classifier needs at least two classes"
        )
    few = [f"{name!r} ({count})" for name, count in zip(raw.class_names, counts.tolist(), strict=True) if count < 2]
    if few:
        shown = ", ".join(few[:5]) + (f", ... ({len(few)} classes)" if len(few) > 5 else "")
        raise StageInputError(
            f"{raw.name}: {rows}, in which these classes have fewer than two rows: {shown}. Training and test split "
            "need one row each; add rows, remove the class, or check the label column"
        )
