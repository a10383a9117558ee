import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.datasets import load_iris, load_wine
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from quantum_db.backends.protocols import Batch, CircuitRows
from quantum_db.backends.statevector import StatevectorExecutor
from quantum_db.errors import ConfigurationError, StageInputError
from quantum_db.training.classifier import VariationalQuantumClassifier

IRIS = load_iris()
X, Y = np.asarray(IRIS.data), np.asarray(IRIS.target)
NAMES = np.asarray(IRIS.target_names)[Y]


def quick(**options):
    return VariationalQuantumClassifier(**{"n_qubits": 3, "n_layers": 2, "epochs": 6, "learning_rate": 0.1, **options})


@pytest.fixture(scope="module")
def fitted():
    return quick().fit(X, NAMES)


def test_cross_validated_on_iris():
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    scores = cross_val_score(quick(n_qubits=4, epochs=12), X, Y, cv=folds)
    assert scores.mean() > 0.9  # without entanglement or with dead gradients it stays near 0.67


def test_one_class_per_observable_and_nothing_classical(fitted):
    assert fitted.parameter_count == 3 * 3 * 2
    assert sum(parameter.numel() for parameter in fitted.model_.parameters()) == 18
    assert len(fitted.history_) == 6
    assert fitted.history_[-1]["loss"] < fitted.history_[0]["loss"]


def test_labels_may_be_strings(fitted):
    assert fitted.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    predicted = fitted.predict(X)
    assert predicted.dtype == NAMES.dtype
    assert (predicted == NAMES).mean() == fitted.score(X, NAMES) > 0.8
    numbers = quick().fit(X, Y)
    np.testing.assert_array_equal(numbers.predict_proba(X), fitted.predict_proba(X))
    shifted = quick().fit(X, 10 * Y - 5)
    assert set(shifted.predict(X)) <= {-5, 5, 15}


def test_probabilities(fitted):
    probabilities = fitted.predict_proba(X)
    assert probabilities.shape == (150, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-12)
    assert probabilities.min() >= 0
    np.testing.assert_array_equal(fitted.classes_[probabilities.argmax(axis=1)], fitted.predict(X))
    np.testing.assert_allclose(fitted.predict_proba(X[40:60]), probabilities[40:60], atol=1e-6)


def test_clone_and_parameters(fitted):
    twin = clone(fitted)
    assert twin.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        twin.predict(X)
    with pytest.raises(NotFittedError):
        _ = twin.parameter_count
    np.testing.assert_array_equal(twin.fit(X, NAMES).predict_proba(X), fitted.predict_proba(X))
    assert twin.set_params(epochs=2).fit(X, NAMES).history_ != fitted.history_
    assert is_classifier(twin)


def test_another_seed_another_model(fitted):
    assert not np.array_equal(quick(seed=1).fit(X, NAMES).predict_proba(X), fitted.predict_proba(X))


def test_in_a_pipeline():
    pipeline = make_pipeline(StandardScaler(), quick()).fit(X, NAMES)
    assert pipeline.score(X, NAMES) > 0.8


def test_fitting_writes_no_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    quick(epochs=1).fit(X, Y)
    assert list(tmp_path.iterdir()) == []


def test_features_can_be_reduced_first():
    wine = load_wine()
    classifier = quick(n_qubits=4, n_components=4, encoder="angle", epochs=2).fit(wine.data, wine.target)
    assert classifier.model_.quantum.n_features == 4
    assert classifier.predict(wine.data).shape == (178,)


def test_the_circuit_of_a_row_is_what_is_run(fitted):
    circuit = fitted.build_circuit(X[70])
    assert (circuit.n_weights, circuit.n_features) == (0, 0)
    assert circuit.fingerprint == fitted.build_circuit(X[70]).fingerprint != fitted.build_circuit(X[71]).fingerprint
    (result,) = StatevectorExecutor().run(Batch((CircuitRows.of(circuit),)))
    logits = fitted.readout_scale * result.values[0]
    wanted = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(fitted.predict_proba(X[[70]])[0], wanted, atol=1e-5)


def test_a_single_class_is_refused():
    with pytest.raises(StageInputError, match="needs at least two classes, but all labels are setosa"):
        quick().fit(X[:50], NAMES[:50])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoder": "qram"}, "unknown encoder 'qram'; known:"),
        ({"entanglement_pattern": "web"}, "unknown entanglement pattern 'web'"),
        ({"epochs": 0}, "epochs must be a positive integer"),
        ({"encoder": "angle"}, r"holds 3 feature\(s\), but the data have 4"),
    ],
)
def test_bad_settings_are_told_when_fitting(options, message):
    with pytest.raises(ConfigurationError, match=message):
        quick(**options).fit(X, Y)


def test_bad_data_are_refused(fitted):
    with pytest.raises(ValueError, match="NaN"):
        quick().fit(np.where(np.arange(600).reshape(150, 4) == 7, np.nan, X), Y)
    with pytest.raises(ValueError, match="continuous"):
        quick().fit(X, X[:, 0])
    with pytest.raises(ValueError, match="features"):
        fitted.predict(X[:, :3])
    with pytest.raises(ValueError, match="inconsistent"):
        quick().fit(X, Y[:-1])
