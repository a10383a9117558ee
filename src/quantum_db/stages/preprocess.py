"""Stage preprocess: a source of real data becomes a training and a test dataset.

Order: read, clean, split by class and seed, learn the preprocessing from the training rows alone, apply it to both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantum_db.data.cleaning import DUPLICATES, MISSING, CleaningReport, clean
from quantum_db.data.dataset import MANIFEST_FILE, Dataset
from quantum_db.data.preprocessing import (
    CONSTANT_FEATURES,
    SCALINGS,
    Preprocessing,
    check_choice,
    fit_preprocessing,
)
from quantum_db.data.raw_dataset import RawDataset
from quantum_db.data.sources import load_source
from quantum_db.data.splitting import check_test_fraction, stratified_split
from quantum_db.data.steps import PrincipalComponents
from quantum_db.errors import StageInputError
from quantum_db.files import check_output_directory, write_text
from quantum_db.seeding import check_seed

_NAMES_SHOWN = 20

RAW_EXAMPLES = 8
"""Raw rows kept with each split, for the smoke test of a served model."""


@dataclass(frozen=True)
class PreprocessSpec:
    """What to read, how to prepare it, where to write. Raises StageInputError or ConfigurationError for bad values."""

    dataset: str = field(
        metadata={"help": "source: builtin:digits, a .csv, .parquet or .npz file, IDX, images, s3://..."}
    )
    train_data: Path = field(metadata={"help": "directory to write the training dataset to"})
    test_data: Path = field(metadata={"help": "directory to write the test dataset to"})
    seed: int = field(default=0, metadata={"help": "seed that decides which rows are for testing"})
    test_fraction: float = field(default=0.2, metadata={"help": "share of the rows for testing, between 0 and 1"})
    scaling: str = field(default="minmax", metadata={"help": f"scaling of the features: {', '.join(SCALINGS)}"})
    n_components: int = field(default=0, metadata={"help": "principal components to keep; 0 means no PCA"})
    label_column: str = field(default="label", metadata={"help": "column with the classes (CSV and Parquet)"})
    missing: str = field(default="refuse", metadata={"help": f"rows with missing values: {', '.join(MISSING)}"})
    constant_features: str = field(
        default="drop", metadata={"help": f"features that never change: {', '.join(CONSTANT_FEATURES)}"}
    )
    duplicates: str = field(default="keep", metadata={"help": f"rows that occur twice: {', '.join(DUPLICATES)}"})
    report_html: Path | None = field(default=None, metadata={"help": "file to write a report for people to"})

    def __post_init__(self) -> None:
        check_seed(self.seed)
        check_test_fraction(self.test_fraction)
        check_choice("scaling", self.scaling, SCALINGS)
        check_choice("missing", self.missing, MISSING)
        check_choice("constant_features", self.constant_features, CONSTANT_FEATURES)
        check_choice("duplicates", self.duplicates, DUPLICATES)
        if self.n_components < 0:
            raise StageInputError(f"n_components={self.n_components} is negative; give 0 for no PCA, or at least 1")
        train, test = Path(self.train_data).resolve(), Path(self.test_data).resolve()
        if train == test or train in test.parents or test in train.parents:
            raise StageInputError(
                f"train_data ({self.train_data}) and test_data ({self.test_data}) must be two directories, neither "
                "inside the other; each is replaced as a whole"
            )


@dataclass(frozen=True)
class PreprocessReport:
    """What came out.

    n_samples: rows used, n_train + n_test; train_counts and test_counts: rows per class, in the order of
    class_names; dropped_features: constant ones, by name; dropped_rows: rows left out by cleaning; n_clipped_test:
    test values outside the range of the training rows; explained_variance: share kept by PCA, or None without PCA.
    """

    dataset: str
    seed: int
    n_samples: int
    n_train: int
    n_test: int
    n_features_raw: int
    n_features: int
    n_classes: int
    class_names: tuple[str, ...]
    train_counts: tuple[int, ...]
    test_counts: tuple[int, ...]
    dropped_features: tuple[str, ...]
    dropped_rows: int
    cleaning: CleaningReport
    scaling: str
    n_components: int
    explained_variance: float | None
    n_clipped_train: int
    n_clipped_test: int
    digest_train: str
    digest_test: str

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able data."""
        values = asdict(self) | {"cleaning": self.cleaning.to_dict()}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def run(spec: PreprocessSpec) -> PreprocessReport:
    """Write the training and test dataset of `spec`, and its report if asked for.

    Raises StageInputError for a source, a table or an option that cannot be used; nothing is written then.
    """
    for path in (spec.train_data, spec.test_data):
        check_output_directory(path, MANIFEST_FILE)
    raw = load_source(spec.dataset, spec.label_column)
    cleaned, cleaning = clean(raw, spec.missing, spec.duplicates)
    train_rows, test_rows = stratified_split(cleaned.labels, spec.test_fraction, spec.seed)
    preprocessing = fit_preprocessing(
        cleaned.features[train_rows],
        cleaned.feature_names,
        scaling=spec.scaling,
        n_components=spec.n_components,
        constant_features=spec.constant_features,
    )
    train = _dataset(cleaned, train_rows, preprocessing, "train")
    test = _dataset(cleaned, test_rows, preprocessing, "test")
    split_id = hashlib.sha256(f"{train.digest}/{test.digest}".encode()).hexdigest()
    train, test = (replace(split, split_id=split_id) for split in (train, test))
    clipped = [preprocessing.count_clipped(cleaned.features[rows]) for rows in (train_rows, test_rows)]
    report = _report(spec, train, test, cleaning, clipped)
    html = _html(report, preprocessing) if spec.report_html is not None else ""
    train.save(spec.train_data)
    test.save(spec.test_data)
    if spec.report_html is not None:
        write_text(spec.report_html, html)
    return report


def _dataset(raw: RawDataset, rows: NDArray[np.int64], preprocessing: Preprocessing, split: str) -> Dataset:
    return Dataset(
        features=preprocessing.transform(raw.features[rows]),
        labels=raw.labels[rows],
        class_names=raw.class_names,
        feature_names=preprocessing.feature_names,
        name=raw.name,
        split=split,
        preprocessing=preprocessing,
        raw_examples=raw.features[rows[:RAW_EXAMPLES]],
    )


def _report(
    spec: PreprocessSpec, train: Dataset, test: Dataset, cleaning: CleaningReport, clipped: list[int]
) -> PreprocessReport:
    preprocessing = train.preprocessing
    return PreprocessReport(
        dataset=train.name,
        seed=spec.seed,
        n_samples=train.n_samples + test.n_samples,
        n_train=train.n_samples,
        n_test=test.n_samples,
        n_features_raw=preprocessing.n_raw_features,
        n_features=train.n_features,
        n_classes=train.n_classes,
        class_names=train.class_names,
        train_counts=train.class_counts,
        test_counts=test.class_counts,
        dropped_features=preprocessing.dropped_features,
        dropped_rows=cleaning.rows_dropped,
        cleaning=cleaning,
        scaling=spec.scaling,
        n_components=spec.n_components,
        explained_variance=sum(shares) if (shares := _explained(preprocessing)) else None,
        n_clipped_train=clipped[0],
        n_clipped_test=clipped[1],
        digest_train=train.digest,
        digest_test=test.digest,
    )


def _explained(preprocessing: Preprocessing) -> tuple[float, ...]:
    """Return each principal component's share of the training variance; nothing without PCA."""
    return next((step.explained for step in preprocessing.steps if isinstance(step, PrincipalComponents)), ())


def _html(report: PreprocessReport, preprocessing: Preprocessing) -> str:
    from quantum_db.reporting.charts import class_balance
    from quantum_db.reporting.page import Section, facts, figure, page, paragraph, table, tiles

    figures = {
        "training rows": report.n_train,
        "test rows": report.n_test,
        "classes": report.n_classes,
        "features": report.n_features,
    }
    counts = {"training": report.train_counts, "test": report.test_counts}
    sections = [
        Section("", tiles(figures) + paragraph(_sentence(report))),
        Section("Classes", figure(class_balance(report.class_names, counts), "Rows per class in each split")),
        Section("Cleaning", facts(_cleaning_facts(report))),
        Section("Preprocessing", paragraph(_order(preprocessing)) + facts(_preprocessing_facts(report))),
    ]
    if shares := _explained(preprocessing):
        rows = [(f"component_{number}", f"{share:.2%}") for number, share in enumerate(shares, start=1)]
        sections.append(Section("Principal components", table(("component", "share of the training variance"), rows)))
    sections.append(Section("Identity", facts({"training": report.digest_train, "test": report.digest_test})))
    return page(f"Data: {report.dataset}", sections)


def _sentence(report: PreprocessReport) -> str:
    return (
        f"{report.n_samples} of {report.cleaning.rows_read} rows of {report.dataset} are used, split by class with "
        f"seed {report.seed}. Everything learned from the data (constant features, scaling, components) was learned "
        "from the training rows only."
    )


def _cleaning_facts(report: PreprocessReport) -> Mapping[str, str | int]:
    found = report.cleaning
    rows = ", ".join(map(str, found.missing_rows)) + (", ..." if found.missing_count > len(found.missing_rows) else "")
    fate = ", dropped" if found.duplicates_dropped else ", kept"
    return {
        "rows read": found.rows_read,
        "rows with missing values, dropped": f"{found.missing_count}" + (f" (rows {rows})" if rows else ""),
        "repeated rows": f"{found.duplicate_count}{fate if found.duplicate_count else ''}",
        "rows whose features occur with another label too": found.contradictory_count,
        "rows used": found.rows_kept,
    }


def _preprocessing_facts(report: PreprocessReport) -> Mapping[str, str | int]:
    names = report.dropped_features
    shown = ", ".join(names[:_NAMES_SHOWN]) + (", ..." if len(names) > _NAMES_SHOWN else "")
    return {
        "raw features": report.n_features_raw,
        "constant features, dropped": f"{len(names)} ({shown})" if names else 0,
        "scaling": report.scaling,
        "features": report.n_features,
        "test values outside the training range, clipped": report.n_clipped_test,
        "variance kept by PCA": "no PCA" if report.explained_variance is None else f"{report.explained_variance:.2%}",
    }


def _order(preprocessing: Preprocessing) -> str:
    words = {
        "select": "constant features are dropped",
        "standard": "features are standardised",
        "pca": "they are projected on the principal components",
        "minmax": "the training range is mapped to [-1, 1] and values outside are clipped",
    }
    steps = [words[step.kind] for step in preprocessing.steps]
    return f"In this order: {', then '.join(steps)}." if steps else "Raw features are used as they are."
