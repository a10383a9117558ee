"""Stage evaluate: how good a trained model is on the test split, and whether a classical model is as good.

The test split is used here for the first time; the baselines learn from the training split of the same encoded data.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from quantum_db.errors import ConfigurationError, StageInputError
from quantum_db.files import new_directory, write_bytes, write_json, write_text
from quantum_db.seeding import check_seed, numpy_generator

if TYPE_CHECKING:
    from quantum_db.benchmarking.baselines import Baseline
    from quantum_db.benchmarking.comparison import Comparison
    from quantum_db.data.encoded import EncodedDataset
    from quantum_db.models.saved_model import SavedModel

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class EvaluateSpec:
    """What to evaluate and where to write. Raises ConfigurationError or StageInputError for bad values."""

    model: Path = field(metadata={"help": "directory of the trained model"})
    encoded_data: Path = field(metadata={"help": "directory of the encoded dataset that the model was trained on"})
    evaluation: Path = field(metadata={"help": "directory to write the evaluation to; replaced as a whole"})
    seed: int = field(default=0, metadata={"help": "seed of the baselines and of the bootstrap"})
    bootstrap_samples: int = field(default=2000, metadata={"help": "resamples behind each confidence interval"})
    report_html: Path | None = field(default=None, metadata={"help": "file to write a copy of the report to"})

    def __post_init__(self) -> None:
        check_seed(self.seed)
        if self.bootstrap_samples < 100:
            raise ConfigurationError(
                f"bootstrap_samples is {self.bootstrap_samples}, which is too few for a 95 % interval; use at least 100"
            )
        target = Path(self.evaluation).resolve()
        for source in (Path(self.model).resolve(), Path(self.encoded_data).resolve()):
            if target == source or target in source.parents:
                raise StageInputError(
                    f"evaluation ({self.evaluation}) would replace the input {source}; choose a directory of its own"
                )


@dataclass(frozen=True)
class EvaluateReport:
    """The content of evaluation.json.

    All accuracies, intervals (`_low`, `_high`: 95 % bootstrap, `_wilson_`: 95 % Wilson) and scores lie in 0..1.
    `confusion_matrix` has true classes in rows; `roc` is fpr, tpr, thresholds, auc of class 1, None for more classes;
    `baselines` holds one entry per classical model, `classes` one per class; `comparison` says how the model stands
    against the best baseline: better, worse, or no significant difference.
    """

    dataset: str
    dataset_digest: str
    model_digest: str
    run_id: str
    seed: int
    bootstrap_samples: int
    n_test: int
    class_names: tuple[str, ...]
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    accuracy_wilson_low: float
    accuracy_wilson_high: float
    f1_macro: float
    confusion_matrix: tuple[tuple[int, ...], ...]
    classes: tuple[Mapping[str, Any], ...]
    roc: Mapping[str, Any] | None
    parameter_count: int
    baselines: tuple[Mapping[str, Any], ...]
    best_baseline: str
    best_baseline_accuracy: float
    comparison: str
    p_value_adjusted: float
    sentence: str
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able data with its schema version."""
        return {"schema_version": SCHEMA_VERSION, **_plain(asdict(self))}


@dataclass(frozen=True)
class Answers:
    """Probabilities (test rows, classes) of the model, its predicted classes and the true ones, (test rows,)."""

    probabilities: NDArray[np.float64]
    predictions: NDArray[np.int64]
    labels: NDArray[np.int64]


def run(spec: EvaluateSpec) -> EvaluateReport:
    """Evaluate the model of `spec` and write evaluation.json, predictions.safetensors and report.html.

    Raises StoreError when the model or the data is missing or corrupt, StageInputError when the model was trained on
    other data or gives something that is not a probability; nothing is written then.
    """
    from quantum_db.data.encoded import EncodedDataset
    from quantum_db.models.saved_model import load_model

    start = time.perf_counter()
    model = load_model(spec.model)
    encoded = EncodedDataset.load(spec.encoded_data)
    check_same_data(model, encoded)
    answers = predict(model, encoded)
    report, baselines = _judge(spec, model, encoded, answers, start)
    _write(spec, report, answers, baselines, model)
    return report


def check_same_data(model: SavedModel, encoded: EncodedDataset) -> None:
    """Raise StageInputError unless `model` was trained on `encoded`: same samples, preprocessing, circuit, classes."""
    advice = "evaluate with the encoded data that the model was trained on"
    trained = model.manifest.get("dataset", {})
    digest = str(trained.get("digest", ""))
    if digest != encoded.dataset_digest:
        raise StageInputError(
            f"the model was trained on dataset {trained.get('name')!r} (digest {digest[:12] or 'unknown'}), but the "
            f"encoded data is {encoded.dataset_name!r} (digest {encoded.dataset_digest[:12]}), whose test rows may "
            f"have been training rows of the model; {advice}"
        )
    if model.class_names != tuple(encoded.class_names):
        raise StageInputError(
            f"the model knows the classes {list(model.class_names)}, the encoded data has "
            f"{list(encoded.class_names)}; {advice}"
        )
    if model.preprocessing.to_dict() != encoded.preprocessing.to_dict():
        raise StageInputError(f"the encoded data was preprocessed in another way than the model's inputs; {advice}")
    runs = str(model.manifest.get("circuit", {}).get("fingerprint", ""))
    made_for = str(encoded.encoding["circuit_fingerprint"])
    if runs != made_for:
        raise StageInputError(
            f"the model runs circuit {runs[:12] or 'unknown'}, the data was encoded for circuit "
            f"{made_for[:12]}; {advice}"
        )


def predict(model: SavedModel, encoded: EncodedDataset) -> Answers:
    """Return the model's answers to the test rows; raise StageInputError when they are not probabilities."""
    labels = np.asarray(encoded.test_labels, dtype=np.int64)
    if labels.size == 0:
        raise StageInputError("the encoded data has no test rows; split off some with a larger test_fraction")
    probabilities = np.asarray(model.predict_proba(encoded.test_values), dtype=np.float64)
    expected = (labels.size, len(encoded.class_names))
    if probabilities.shape != expected:
        raise StageInputError(f"the model gave probabilities of shape {probabilities.shape}, expected {expected}")
    sound = np.isclose(probabilities.sum(axis=1), 1.0, atol=1e-4) & np.all(probabilities >= 0.0, axis=1)
    if not sound.all():
        row = int(np.argmin(sound))
        raise StageInputError(
            f"the model gave {probabilities[row].tolist()} for test row {row}, which are not probabilities; "
            "its training has diverged: train it again, for example with a smaller learning rate"
        )
    return Answers(probabilities, np.argmax(probabilities, axis=1).astype(np.int64), labels)


def _judge(
    spec: EvaluateSpec, model: SavedModel, encoded: EncodedDataset, answers: Answers, start: float
) -> tuple[EvaluateReport, tuple[Baseline, ...]]:
    from quantum_db.benchmarking import scores
    from quantum_db.benchmarking.baselines import fit_baselines
    from quantum_db.benchmarking.comparison import compare

    names = tuple(encoded.class_names)
    labels, predictions = answers.labels, answers.predictions
    roc = asdict(scores.roc(labels, answers.probabilities[:, 1])) if len(names) == 2 else None
    baselines = fit_baselines(
        np.asarray(encoded.train_values, dtype=np.float64),
        np.asarray(encoded.train_labels, dtype=np.int64),
        np.asarray(encoded.test_values, dtype=np.float64),
        model.parameter_count,
        spec.seed,
    )
    comparison = compare(labels, predictions, baselines)
    report = EvaluateReport(
        dataset=encoded.dataset_name,
        dataset_digest=encoded.dataset_digest,
        model_digest=model.digest,
        run_id=str(model.manifest.get("run_id", "")),
        seed=spec.seed,
        bootstrap_samples=spec.bootstrap_samples,
        n_test=labels.size,
        class_names=names,
        **_accuracy(spec, "model", labels == predictions),
        f1_macro=scores.f1_macro(labels, predictions),
        confusion_matrix=tuple(map(tuple, scores.confusion_matrix(labels, predictions, len(names)).tolist())),
        classes=tuple(asdict(score) for score in scores.class_scores(labels, predictions, names)),
        roc=roc,
        parameter_count=model.parameter_count,
        baselines=tuple(_baseline_entries(spec, labels, baselines, comparison)),
        best_baseline=comparison.best.name,
        best_baseline_accuracy=comparison.best.accuracy,
        comparison=comparison.verdict,
        p_value_adjusted=comparison.best.p_adjusted,
        sentence=comparison.sentence,
        seconds=round(time.perf_counter() - start, 3),
    )
    return report, baselines


def _accuracy(spec: EvaluateSpec, name: str, correct: NDArray[np.bool_]) -> dict[str, float]:
    from quantum_db.benchmarking.intervals import bootstrap_accuracy, wilson_accuracy

    bootstrap = bootstrap_accuracy(correct, numpy_generator(spec.seed, "bootstrap", name), spec.bootstrap_samples)
    wilson = wilson_accuracy(correct)
    return {
        "accuracy": float(correct.mean()),
        "accuracy_low": bootstrap.low,
        "accuracy_high": bootstrap.high,
        "accuracy_wilson_low": wilson.low,
        "accuracy_wilson_high": wilson.high,
    }


def _baseline_entries(
    spec: EvaluateSpec, labels: NDArray[np.int64], baselines: Sequence[Baseline], comparison: Comparison
) -> list[dict[str, Any]]:
    return [
        {
            "name": baseline.name,
            **_accuracy(spec, baseline.name, labels == baseline.predictions),
            "parameters": baseline.parameters,
            "p_value": pair.test.p_value,
            "p_value_adjusted": pair.p_adjusted,
            "only_model_right": pair.test.only_first,
            "only_baseline_right": pair.test.only_second,
            "chosen": dict(baseline.chosen),
            "cross_validation_accuracy": baseline.cross_validation_accuracy,
            "converged": baseline.converged,
            "seconds": round(baseline.seconds, 3),
        }
        for baseline, pair in zip(baselines, comparison.pairs, strict=True)
    ]


def _write(
    spec: EvaluateSpec, report: EvaluateReport, answers: Answers, baselines: Sequence[Baseline], model: SavedModel
) -> None:
    from safetensors.numpy import save

    from quantum_db.reporting.evaluation import evaluation_page

    evaluation = report.to_dict()
    html = evaluation_page(evaluation, model.manifest.get("history", {}), _circuit_drawing(spec))
    tensors = {"labels": answers.labels, "predictions": answers.predictions, "probabilities": answers.probabilities}
    tensors |= {f"baseline_{index}": baseline.predictions for index, baseline in enumerate(baselines)}
    with new_directory(spec.evaluation, "evaluation.json") as directory:
        write_json(directory / "evaluation.json", evaluation)
        write_bytes(directory / "predictions.safetensors", save(tensors))
        write_text(directory / "report.html", html)
    if spec.report_html is not None:
        write_text(spec.report_html, html)


def _circuit_drawing(spec: EvaluateSpec) -> str | None:
    for directory in (spec.model, spec.encoded_data):
        drawing = Path(directory) / "circuit.svg"
        if drawing.is_file():
            return drawing.read_text(encoding="utf-8")
    return None


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value
