"""Tables with a header, one row per sample, one column with the class: CSV and Parquet, read with pandas."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantum_db.data.raw_dataset import RawDataset, encode_labels, missing_labels
from quantum_db.data.sources.source import Source, check_file
from quantum_db.errors import StageInputError
from quantum_db.registry import require_package

_INTEGER = re.compile(r"0|-?[1-9]\d*")
_DECIMAL = re.compile(r"-?(\d+\.\d*|\.?\d+)([eE][-+]?\d+)?|nan|-?inf")


def _load_csv(address: str, label_column: str) -> RawDataset:
    check_file(address)
    pandas = _pandas("a CSV file")
    try:
        header = pandas.read_csv(address, header=None, nrows=1, dtype=str).iloc[0]
        _check_header(["" if pandas.isna(name) else str(name) for name in header.tolist()], address)
        if _fields_of_first_row(address) > len(header):  # pandas would take the first column as row names
            raise StageInputError(f"{address}: rows have more fields than the header has names; name every column")
        frame = pandas.read_csv(
            address, low_memory=False, float_precision="round_trip", converters={label_column: _label_text}
        )
    except (ValueError, pandas.errors.ParserError) as error:
        raise StageInputError(
            f"{address} cannot be read as CSV ({' '.join(str(error).split())}); check that it is comma-separated text"
        ) from error
    if label_column in frame.columns:
        frame[label_column] = pandas.Series(
            _as_numbers([text if isinstance(text, str) else None for text in frame[label_column]]),
            index=frame.index,
            dtype=object,
        )
    return _from_frame(frame, label_column, Path(address).name)


def _fields_of_first_row(address: str) -> int:
    with Path(address).open(encoding="utf-8-sig", newline="") as stream:
        rows = csv.reader(stream)
        next(rows, None)
        return len(next(rows, []))


def _label_text(text: str) -> str | None:
    """A label as it is written: "01" and "1" are two classes, "NA" is one, and only an empty field is missing."""
    return text.strip() or None


def _as_numbers(labels: list[str | None]) -> list[Any]:
    """Labels that are all plain integers, or all decimal numbers, as numbers; anything else as it is written."""
    texts = [text for text in labels if text is not None]
    if all(_INTEGER.fullmatch(text) for text in texts):
        return [None if text is None else int(text) for text in labels]
    if any(not text.isdigit() for text in texts) and all(_DECIMAL.fullmatch(text) for text in texts):
        return [None if text is None else float(text) for text in labels]
    return list(labels)


def _load_parquet(address: str, label_column: str) -> RawDataset:
    check_file(address)
    pandas = _pandas("a Parquet file")
    require_package("pyarrow", "data", "a Parquet file")
    try:
        frame = pandas.read_parquet(address)
    except ValueError as error:  # pyarrow's ArrowInvalid is one
        raise StageInputError(f"{address} cannot be read as Parquet ({error}); write the file again") from error
    _check_header([str(name) for name in frame.columns], address)
    return _from_frame(frame, label_column, Path(address).name)


def _from_frame(frame: Any, label_column: str, name: str) -> RawDataset:
    columns = [str(column) for column in frame.columns]
    if label_column not in columns:
        raise StageInputError(
            f"{name} has no column {label_column!r} for the labels; its columns are: {', '.join(columns)}. Choose one "
            "of these as label column (is the file comma-separated?)"
        )
    if len(frame) == 0 or len(columns) == 1:
        raise StageInputError(
            f"{name} is empty: {len(frame)} rows and {len(columns) - 1} feature columns beside the labels; give rows "
            "and at least one feature column"
        )
    names = [column for column in columns if column != label_column]
    features = np.column_stack([_numbers(frame.iloc[:, columns.index(column)], column, name) for column in names])
    column = frame.iloc[:, columns.index(label_column)]
    values = column.astype(object).where(column.notna(), None).to_numpy(dtype=object)
    labels, classes = encode_labels(values, missing_labels(values), f"{name}, column {label_column!r}")
    return RawDataset(name, features, labels, tuple(classes), tuple(names))


def _numbers(column: Any, column_name: str, name: str) -> NDArray[np.float64]:
    types = _pandas("a table").api.types
    if types.is_numeric_dtype(column.dtype) and not types.is_complex_dtype(column.dtype):
        return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
    if types.is_object_dtype(column.dtype) or types.is_string_dtype(column.dtype):
        converted = _pandas("a table").to_numeric(column, errors="coerce")
        wrong = np.flatnonzero((converted.isna() & column.notna()).to_numpy(dtype=np.bool_))
        if len(wrong) == 0:
            return np.asarray(converted.to_numpy(dtype=np.float64, na_value=np.nan))
        where = f"row {int(wrong[0]) + 1} holds {column.iloc[int(wrong[0])]!r}, {len(wrong)} such value(s)"
    else:
        where = f"its type is {column.dtype}"
    raise StageInputError(
        f"{name}: the column {column_name!r} is not numeric ({where}). Features must be numbers: encode it as numbers, "
        "leave it empty where a value is missing, or remove the column"
    )


def _check_header(names: list[str], address: str) -> None:
    for number, column in enumerate(names, start=1):
        if not column.strip():
            raise StageInputError(
                f"{address}: column {number} has no name in the header; name it, or remove it if it is a row number "
                "(a model would learn from it)"
            )
        if column in names[: number - 1]:
            raise StageInputError(f"{address}: the column name {column!r} occurs twice; give every column its own name")


def _pandas(purpose: str) -> Any:
    return require_package("pandas", "data", purpose)


CSV = Source(addresses=("<path>.csv",), check=check_file, load=_load_csv)
PARQUET = Source(addresses=("<path>.parquet",), check=check_file, load=_load_parquet)
