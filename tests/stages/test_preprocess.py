from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from quantum_db.data.dataset import Dataset
from quantum_db.data.sources import load_source
from quantum_db.errors import ConfigurationError, QStoreError, StageInputError, StoreError
from quantum_db.registry import Table
from quantum_db.stages import STAGES
from quantum_db.stages.preprocess import PreprocessReport, PreprocessSpec, run


def spec_of(folder: Path, dataset: str = "builtin:iris", **options: object) -> PreprocessSpec:
    return PreprocessSpec(dataset, folder / "out" / "train", folder / "out" / "test", **options)


def results(spec: PreprocessSpec) -> tuple[PreprocessReport, Dataset, Dataset]:
    return run(spec), Dataset.load(spec.train_data), Dataset.load(spec.test_data)


@pytest.fixture
def frame() -> pd.DataFrame:
    """Wine as a table with named classes."""
    raw = load_source("builtin:wine")
    table = pd.DataFrame(raw.features, columns=list(raw.feature_names))
    return table.assign(label=[raw.class_names[label] for label in raw.labels])


def csv_of(folder: Path, frame: pd.DataFrame) -> str:
    path = folder / "wine.csv"
    frame.to_csv(path, index=False)
    return str(path)


def test_digits_become_two_datasets(tmp_path):
    report, train, test = results(spec_of(tmp_path, "builtin:digits"))
    assert (report.n_samples, report.n_train, report.n_test) == (1797, 1438, 359)
    assert (report.n_features_raw, report.n_features, report.n_classes) == (64, 61, 10)
    assert report.dropped_features == ("pixel_0_0", "pixel_4_0", "pixel_4_7")
    assert (report.dropped_rows, report.cleaning.duplicate_count) == (0, 0)
    assert (train.split, test.split, train.name) == ("train", "test", "builtin:digits")
    assert (report.digest_train, report.digest_test) == (train.digest, test.digest)
    assert train.preprocessing == test.preprocessing
    assert train.features.min() == -1
    assert train.features.max() == 1
    assert report.n_clipped_train == 0
    for label in range(10):
        total = report.train_counts[label] + report.test_counts[label]
        assert abs(report.test_counts[label] - 0.2 * total) <= 1


def test_every_row_is_used_once_and_keeps_its_label(tmp_path):
    raw = load_source("builtin:wine")
    _, train, test = results(spec_of(tmp_path, "builtin:wine", scaling="none"))
    rows = np.vstack([np.column_stack([part.features, part.labels]) for part in (train, test)])
    expected = np.column_stack([raw.features, raw.labels])
    assert np.array_equal(rows[np.lexsort(rows.T)], expected[np.lexsort(expected.T)])


def test_stored_preprocessing_leads_from_raw_rows_to_the_written_ones(tmp_path):
    raw = load_source("builtin:wine")
    _, train, _ = results(spec_of(tmp_path, "builtin:wine", n_components=3))
    transformed = train.preprocessing.transform(raw.features)
    distance = np.abs(train.features[:, None, :] - transformed[None]).max(axis=2)
    assert distance.min(axis=1).max() < 1e-12
    assert np.array_equal(raw.labels[distance.argmin(axis=1)], train.labels)


@pytest.mark.parametrize("options", [{}, {"n_components": 4}, {"scaling": "standard"}])
def test_same_seed_same_bytes_other_seed_other_rows(tmp_path, options):
    first = run(spec_of(tmp_path / "a", seed=7, **options))
    again = run(spec_of(tmp_path / "b", seed=7, **options))
    other = run(spec_of(tmp_path / "c", seed=8, **options))
    assert first == again
    assert first.digest_train != other.digest_train
    for file in ("train/manifest.json", "train/samples.safetensors", "test/samples.safetensors"):
        assert (tmp_path / "a/out" / file).read_bytes() == (tmp_path / "b/out" / file).read_bytes()


@pytest.mark.parametrize(
    "options",
    [{}, {"scaling": "standard"}, {"n_components": 5}, {"n_components": 5, "scaling": "none"}],
)
def test_test_rows_do_not_leak_into_training(tmp_path, frame, options):
    """Changed test rows, a constant column that varies in test rows only included, leave the training output alone."""
    frame = frame.assign(flat=1.0)
    plain = spec_of(tmp_path / "a", csv_of(tmp_path, frame.assign(row=np.arange(len(frame)))), scaling="none")
    _, _, test = results(plain)
    test_rows = test.features[:, -1].astype(int)
    spec = spec_of(tmp_path / "b", csv_of(tmp_path, frame), **options)
    _, train_before, test_before = results(spec)
    numeric = [column for column in frame.columns if column != "label"]
    frame.loc[test_rows, numeric] = frame.loc[test_rows, numeric] * -1000 + 17
    csv_of(tmp_path, frame)
    _, train_after, test_after = results(spec)
    assert train_after.digest == train_before.digest
    assert train_after.preprocessing == train_before.preprocessing
    assert train_after.preprocessing.dropped_features == ("flat",)
    assert (Path(spec.train_data) / "manifest.json").read_text().count("flat") == 1
    assert test_after.digest != test_before.digest


def test_clipped_test_values_are_reported(tmp_path):
    report, _, test = results(spec_of(tmp_path, "builtin:breast_cancer"))
    assert report.n_clipped_test == 11
    assert np.abs(test.features).max() == 1


def test_pca_reports_the_variance_it_keeps(tmp_path):
    report, train, _ = results(spec_of(tmp_path, n_components=2))
    assert report.n_features == 2
    assert 0.9 < report.explained_variance < 1
    assert train.feature_names == ("component_1", "component_2")
    assert run(spec_of(tmp_path)).explained_variance is None


def test_bad_rows_are_dropped_when_asked(tmp_path, frame):
    frame.loc[4, "ash"] = np.nan
    frame.loc[9, "label"] = None
    frame.loc[len(frame)] = frame.loc[0]
    dataset = csv_of(tmp_path, frame)
    report, train, test = results(spec_of(tmp_path, dataset, missing="drop", duplicates="drop"))
    assert (report.cleaning.rows_read, report.dropped_rows, report.cleaning.missing_rows) == (179, 3, (5, 10))
    assert train.n_samples + test.n_samples == report.n_samples == 176


def test_report_is_json(tmp_path):
    report = run(spec_of(tmp_path, n_components=2)).to_dict()
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert report["class_names"] == ["setosa", "versicolor", "virginica"]
    assert report["cleaning"]["rows_read"] == 150


def test_html_report_says_what_was_done(tmp_path, frame):
    frame.loc[4, "ash"] = np.nan
    page = tmp_path / "report.html"
    run(spec_of(tmp_path, csv_of(tmp_path, frame.assign(flat=1)), n_components=3, missing="drop", report_html=page))
    text = page.read_text()
    for words in (
        "177 of 178 rows of wine.csv are used",
        "split by class with seed 0",
        "1 (rows 5)",
        "1 (flat)",
        "constant features are dropped, then features are standardised, then they are projected",
        "component_3",
        "Rows per class in each split",
        "class_2",
    ):
        assert words in text
    assert "<svg" in text
    assert not re.search(r"(src|href)=.https?:", text)


def bad_csv(text: str):
    def write(folder: Path) -> str:
        (folder / "bad.csv").write_text(text)
        return str(folder / "bad.csv")

    return write


def bad_npz(**arrays: np.ndarray):
    def write(folder: Path) -> str:
        np.savez(folder / "bad.npz", **arrays)
        return str(folder / "bad.npz")

    return write


ROWS = "1,2,x\n2,1,y\n3,4,x\n4,3,y\n"
BAD_INPUT = {
    "missing file": (lambda folder: str(folder / "none.csv"), {}, "none.csv does not exist"),
    "unknown source": (lambda folder: "mnist", {}, "unknown data source 'mnist'.*builtin:digits"),
    "empty file": (bad_csv(""), {}, "cannot be read as CSV"),
    "no rows": (bad_csv("a,b,label\n"), {}, "is empty"),
    "nan": (bad_csv("a,b,label\n" + ROWS + "5,,x\n"), {}, "bad.csv: row 5, column 'b' is nan"),
    "infinity": (bad_csv("a,b,label\ninf,1,x\n" + ROWS), {}, "bad.csv: row 1, column 'a' is inf"),
    "one class": (bad_csv("a,label\n1,x\n2,x\n"), {}, "one class only, 'x'"),
    "class of one row": (bad_csv("a,b,label\n" + ROWS + "1,1,z\n"), {}, r"fewer than two rows: 'z' \(1\)"),
    "all constant": (bad_csv("a,label\n1,x\n1,y\n1,x\n1,y\n"), {}, "all 1 features are constant"),
    "constant": (
        bad_csv("a,b,label\n" + "1,2,x\n1,1,y\n1,4,x\n1,3,y\n" * 3),
        {"constant_features": "refuse"},
        r"1 feature\(s\) are constant over the training rows: 'a'",
    ),
    "wrong shape": (bad_npz(x=np.eye(4), y=np.array([0, 1, 0])), {}, "4 rows of features but 3 labels"),
    "text column": (bad_csv("a,b,label\n1,red,x\n" + ROWS), {}, "the column 'b' is not numeric"),
    "label column": (bad_csv("a,b,label\n" + ROWS), {"label_column": "kind"}, "no column 'kind'.*: a, b, label"),
    "many components": (bad_csv("a,b,label\n" + ROWS * 3), {"n_components": 3}, "n_components=3 is not possible"),
    "components of few rows": (
        bad_npz(x=np.arange(40.0).reshape(4, 10) ** 2, y=np.array([0, 1, 0, 1])),
        {"n_components": 5},
        "2 training rows with 10 varying features have between 1 and 2",
    ),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_refused_and_nothing_is_written(tmp_path, case):
    make, options, message = BAD_INPUT[case]
    page = tmp_path / "out" / "report.html"
    with pytest.raises(StageInputError, match=message) as caught:
        run(spec_of(tmp_path, make(tmp_path), report_html=page, test_fraction=0.5, **options))
    assert caught.value.exit_code == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test_fraction": 0.0}, "test fraction must lie between 0 and 1"),
        ({"test_fraction": 1.0}, "test fraction must lie between 0 and 1"),
        ({"test_fraction": float("nan")}, "test fraction must lie between 0 and 1"),
        ({"scaling": "robust"}, "unknown scaling 'robust'; choose one of: minmax, standard, none"),
        ({"missing": "impute"}, "unknown missing 'impute'; choose one of: refuse, drop"),
        ({"duplicates": "count"}, "unknown duplicates 'count'"),
        ({"constant_features": "keep"}, "unknown constant_features 'keep'"),
        ({"n_components": -1}, "n_components=-1 is negative"),
        ({"seed": -1}, "seed must be an integer"),
        ({"seed": 2**32}, "seed must be an integer"),
    ],
)
def test_bad_options_are_refused_before_anything_is_read(tmp_path, options, message):
    with pytest.raises((StageInputError, ConfigurationError), match=message) as caught:
        spec_of(tmp_path, **options)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(("train", "test"), [("a", "a"), ("a", "a/b"), ("a/b", "a"), ("a", "b/../a")])
def test_outputs_must_not_overwrite_each_other(tmp_path, train, test):
    with pytest.raises(StageInputError, match="must be two directories"):
        PreprocessSpec("builtin:iris", tmp_path / train, tmp_path / test)


def test_a_failed_run_keeps_the_previous_output(tmp_path):
    spec = spec_of(tmp_path)
    before = run(spec)
    with pytest.raises(QStoreError):
        run(replace(spec, n_components=99))
    assert Dataset.load(spec.train_data).digest == before.digest_train


def test_outputs_are_whole_or_absent(tmp_path, monkeypatch):
    def disk_full(path: Path, content: object) -> Path:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("quantum_db.data.dataset.write_json", disk_full)
    spec = spec_of(tmp_path)
    with pytest.raises(OSError, match="No space left"):
        run(spec)
    assert list((tmp_path / "out").iterdir()) == []
    with pytest.raises(StoreError, match="does not exist"):
        Dataset.load(spec.train_data)


def test_table_of_stages_names_the_five_and_the_plan():
    assert isinstance(STAGES, Table)
    assert set(STAGES.names()) == {"preprocess", "quantum-encode", "plan", "train", "evaluate", "deploy"}
    assert STAGES.load("preprocess") is run
    with pytest.raises(ConfigurationError, match="unknown stage 'encode'; known: deploy, evaluate"):
        STAGES.load("encode")
