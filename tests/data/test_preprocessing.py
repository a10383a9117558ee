from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from quantum_db.data.preprocessing import (
    Preprocessing,
    constant_columns,
    fit_minmax,
    fit_pca,
    fit_preprocessing,
    fit_standard,
)
from quantum_db.data.sources import load_source
from quantum_db.data.steps import MinMaxScale, PrincipalComponents, Select
from quantum_db.errors import StageInputError, StoreError

SETS = ("builtin:digits", "builtin:iris", "builtin:wine", "builtin:breast_cancer")


def halves(name):
    """Every other row, and the rest: (training, test, names)."""
    raw = load_source(name)
    return raw.features[::2], raw.features[1::2], raw.feature_names


def reference(train, scaling, n_components):
    steps = [StandardScaler(), PCA(n_components=n_components, svd_solver="full")] if n_components else []
    steps += [MinMaxScaler((-1, 1), clip=True)] if scaling == "minmax" else []
    steps += [StandardScaler()] if scaling == "standard" else []
    return make_pipeline(*steps).fit(train)


@pytest.mark.parametrize("scaling", ["minmax", "standard"])
@pytest.mark.parametrize("name", SETS)
def test_scaling_equals_sklearn(name, scaling):
    train, test, names = halves(name)
    ours = fit_preprocessing(train, names, scaling=scaling)
    varying = train.std(axis=0) > 0
    theirs = reference(train[:, varying], scaling, 0)
    for rows in (train, test):
        np.testing.assert_allclose(ours.transform(rows), theirs.transform(rows[:, varying]), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", SETS)
def test_pca_equals_sklearn_up_to_its_sign(name):
    train, test, names = halves(name)
    ours = fit_preprocessing(train, names, scaling="none", n_components=4)
    varying = train.std(axis=0) > 0
    theirs = reference(train[:, varying], "none", 4)
    components = ours.steps[-1].components
    signs = np.sign(np.sum(np.array(components) * theirs[-1].components_, axis=1))
    expected = theirs.transform(test[:, varying]) * signs
    np.testing.assert_allclose(ours.transform(test), expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    np.testing.assert_allclose(ours.steps[-1].explained, theirs[-1].explained_variance_ratio_, rtol=1e-10)


def test_pca_sign_is_fixed_by_the_largest_loading():
    train, _, _ = halves("builtin:wine")
    for sign in (1, -1):
        components = np.array(fit_pca(sign * train, 5).components)
        assert (components[np.arange(5), np.abs(components).argmax(axis=1)] > 0).all()
    np.testing.assert_allclose(components, fit_pca(train, 5).components, atol=1e-12)  # -x has the same directions


def test_steps_come_in_the_documented_order():
    train, _, names = halves("builtin:digits")
    fitted = fit_preprocessing(train, names, n_components=8)
    assert [step.kind for step in fitted.steps] == ["select", "standard", "pca", "minmax"]
    assert fitted.dropped_features == ("pixel_0_0", "pixel_4_0", "pixel_4_7")
    assert fitted.feature_names == tuple(f"component_{number}" for number in range(1, 9))
    assert (fitted.n_raw_features, fitted.n_features) == (64, 8)


def test_minmax_clips_and_counts():
    fitted = fit_preprocessing(np.array([[0.0, 5.0], [10.0, 7.0]]), ("a", "b"))
    rows = np.array([[-5.0, 6.0], [10.0, 99.0], [2.5, 5.0]])
    assert fitted.transform(rows).tolist() == [[-1.0, 0.0], [1.0, 1.0], [-0.5, -1.0]]
    assert fitted.count_clipped(rows) == 2


def test_no_steps_leave_rows_as_they_are():
    fitted = fit_preprocessing(np.array([[0.0, 5.0], [10.0, 7.0]]), ("a", "b"), scaling="none")
    assert fitted == Preprocessing(("a", "b"))
    assert fitted.transform([[1, 2]]).tolist() == [[1.0, 2.0]]
    assert fitted.count_clipped([[1, 2]]) == 0


FINITE = st.floats(-1e6, 1e6, allow_subnormal=True)


@settings(deadline=None, max_examples=60)
@given(data=st.data(), scaling=st.sampled_from(["minmax", "standard", "none"]))
def test_json_round_trip_is_exact(data, scaling):
    columns = data.draw(st.integers(1, 4))
    values = data.draw(arrays(np.float64, (data.draw(st.integers(2, 8)), columns), elements=FINITE))
    names = tuple(f"f{column}" for column in range(columns))
    if constant_columns(values).all():
        with pytest.raises(StageInputError, match="constant"):
            fit_preprocessing(values, names, scaling=scaling)
        return
    fitted = fit_preprocessing(values, names, scaling=scaling)
    again = Preprocessing.from_dict(json.loads(json.dumps(fitted.to_dict(), allow_nan=False)))
    assert again == fitted
    output = fitted.transform(values)
    assert np.isfinite(output).all()
    assert np.array_equal(again.transform(values), output)
    if scaling == "minmax":
        assert np.abs(output).max() <= 1


def test_json_round_trip_with_pca_is_exact():
    train, test, names = halves("builtin:digits")
    fitted = fit_preprocessing(train, names, n_components=8)
    again = Preprocessing.from_dict(json.loads(json.dumps(fitted.to_dict())))
    assert again == fitted
    assert np.array_equal(again.transform(test), fitted.transform(test))


def test_transform_needs_no_sklearn():
    train, test, names = halves("builtin:wine")
    fitted = fit_preprocessing(train, names, n_components=3)
    program = (
        "import json, sys\n"
        "from quantum_db.data.preprocessing import Preprocessing\n"
        "stored, rows = json.load(sys.stdin)\n"
        "out = Preprocessing.from_dict(stored).transform(rows).tolist()\n"
        "assert not {'sklearn', 'pandas', 'scipy'} & set(sys.modules), 'heavy import'\n"
        "json.dump(out, sys.stdout)\n"
    )
    given_rows = json.dumps([fitted.to_dict(), test.tolist()])
    done = subprocess.run([sys.executable, "-c", program], input=given_rows, capture_output=True, text=True, check=True)
    assert np.array_equal(json.loads(done.stdout), fitted.transform(test))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[1.0]], r"shape (1, 1), but (rows, 2) is needed: one column for each of 'a', 'b'"),
        ([1.0, 2.0], r"shape (2,)"),
        ([[1.0, 2.0], [np.nan, 1.0]], r"row 2, column 'a' is nan"),
        ([[1.0, -np.inf]], r"row 1, column 'b' is -inf"),
        ([["x", "y"]], r"real numbers are needed"),
        ([[1j, 2.0]], r"real numbers are needed"),
        ([[1.0, 2.0], [1.0]], r"not a table of numbers"),
    ],
)
def test_bad_rows_are_refused(rows, message):
    fitted = fit_preprocessing(np.array([[0.0, 5.0], [10.0, 7.0]]), ("a", "b"))
    with pytest.raises(StageInputError, match=re.escape(message)):
        fitted.transform(rows)


def test_constant_features_are_refused_when_asked():
    values = np.array([[1.0, 2.0, 3.0], [1.0, 3.0, 3.0]])
    with pytest.raises(StageInputError, match=r"2 feature.* constant over the training rows: 'a', 'c'"):
        fit_preprocessing(values, ("a", "b", "c"), constant_features="refuse")
    assert fit_preprocessing(values, ("a", "b", "c")).dropped_features == ("a", "c")


def test_all_features_constant_is_refused():
    with pytest.raises(StageInputError, match="all 2 features are constant"):
        fit_preprocessing(np.ones((4, 2)), ("a", "b"))


def test_rounding_noise_counts_as_constant():
    noisy = np.array([[0.1 + 0.2, 1.0], [0.3, 2.0]])
    assert constant_columns(noisy).tolist() == [True, False]


@pytest.mark.parametrize("n_components", [-1, 5, 100])
def test_impossible_number_of_components_is_refused(n_components):
    train, _, names = halves("builtin:iris")
    with pytest.raises(StageInputError, match=f"n_components={n_components} is not possible.*between 1 and 4"):
        fit_preprocessing(train, names, n_components=n_components)


def test_more_components_than_rows_are_refused():
    with pytest.raises(StageInputError, match=r"3 training rows with 4 varying features.* between 1 and 3"):
        fit_preprocessing(np.eye(4)[:3] + np.arange(3)[:, None], tuple("abcd"), n_components=4)


def test_components_beyond_the_independent_directions_are_refused():
    column = np.arange(20.0)[:, None]
    values = np.hstack([column, 2 * column, column**2])
    with pytest.raises(StageInputError, match="vary in 2 independent direction"):
        fit_preprocessing(values, tuple("abc"), n_components=3)


@pytest.mark.parametrize("field", ["scaling", "constant_features"])
def test_unknown_names_are_refused_with_the_known_ones(field):
    with pytest.raises(StageInputError, match=f"unknown {field} 'robust'; choose one of: "):
        fit_preprocessing(np.eye(3), tuple("abc"), **{field: "robust"})


def test_too_large_values_are_refused():
    with pytest.raises(StageInputError, match="too large"):
        fit_standard(np.array([[1e200], [-1e200]]))


def test_constant_columns_cannot_be_scaled():
    with pytest.raises(StageInputError, match="column 2 is constant"):
        fit_minmax(np.array([[1.0, 3.0], [2.0, 3.0]]))


def test_steps_must_fit_together():
    with pytest.raises(StageInputError, match=r"step 1 \(minmax\) takes 1 columns but gets 2"):
        Preprocessing(("a", "b")).with_step(MinMaxScale((0.0,), (1.0,)))


STORED = {"raw_feature_names": ["a", "b"], "steps": [{"kind": "minmax", "minimum": [0.0, 0.0], "maximum": [1.0, 1.0]}]}


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"raw_feature_names": ["a", "b"]},
        STORED | {"raw_feature_names": ["a"]},
        STORED | {"steps": [{"kind": "robust"}]},
        STORED | {"steps": [{"kind": "minmax", "minimum": [0.0, 0.0]}]},
        STORED | {"steps": [{"kind": "minmax", "minimum": [0.0, 0.0], "maximum": [1.0]}]},
        STORED | {"steps": [{"kind": "minmax", "minimum": [0.0, "x"], "maximum": [1.0, 1.0]}]},
        STORED | {"steps": [{"kind": "minmax", "minimum": [0.0, float("nan")], "maximum": [1.0, 1.0]}]},
        STORED | {"steps": [{"kind": "select", "columns": [0, 2], "n_in": 2}]},
        STORED | {"steps": [{"kind": "pca", "mean": [0.0, 0.0], "components": [[1.0]], "explained": [1.0]}]},
    ],
)
def test_malformed_stored_preprocessing_is_refused(broken):
    assert Preprocessing.from_dict(STORED).n_features == 2
    with pytest.raises(StoreError, match="stored preprocessing is malformed"):
        Preprocessing.from_dict(broken)


def test_steps_are_compared_by_value():
    assert Select((0,), 2) == Select((0,), 2) != Select((1,), 2)
    assert PrincipalComponents((0.0,), ((1.0,),), (1.0,)) == PrincipalComponents((0.0,), ((1.0,),), (1.0,))
