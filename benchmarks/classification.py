"""Test accuracy on real data, beside classical models on the same features and splits.

Run with `python -m benchmarks.classification`. Writes benchmarks/results/classification.json and prints the table:

- digits, 10 classes, the hybrid model of `make run`, one held-out split for each of three seeds;
- iris and wine, the purely quantum 4-qubit re-uploading classifier, 5 stratified folds. Wine's 13 features are
  reduced to 4 principal components, learned in each training fold, for all models alike; the classical models on
  all 13 features stand beside it.
"""

from __future__ import annotations

import argparse
import json
import logging
import platform
import time
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from quantum_db import QuantumTrainer, QuantumTrainingConfig, VariationalQuantumClassifier
from quantum_db.data.preprocessing import fit_preprocessing
from quantum_db.data.sources import load_source
from quantum_db.data.splitting import stratified_folds, stratified_split
from quantum_db.files import write_json
from quantum_db.models.saved_model import class_probabilities
from quantum_db.tracking.provenance import git_commit, library_versions

ROOT = Path(__file__).parent
DIGITS_CONFIG = ROOT.parent / "pipelines" / "configs" / "digits.json"
CLASSICAL = {"logistic regression": LogisticRegression(max_iter=5000), "RBF-SVC": SVC()}


def digits(seed: int) -> dict[str, float]:
    """Accuracy of the hybrid model and of the classical models on one held-out split."""
    raw = load_source("builtin:digits")
    train, test = stratified_split(raw.labels, 0.2, seed)
    preprocessing = fit_preprocessing(raw.features[train], raw.feature_names)
    values = [preprocessing.transform(raw.features[rows]) for rows in (train, test)]
    config = QuantumTrainingConfig.from_json(DIGITS_CONFIG.read_text()).replace(seed=seed)
    trainer = QuantumTrainer(config, checkpoints=False, progress=False)
    model = trainer.build_model(values[0].shape[1], len(raw.class_names))
    trainer.fit(model, values[0], raw.labels[train])
    predicted = class_probabilities(model, values[1]).argmax(axis=1)
    scores = {"quantum": float(np.mean(predicted == raw.labels[test]))}
    for name, classical in CLASSICAL.items():
        scores[name] = float(classical.fit(values[0], raw.labels[train]).score(values[1], raw.labels[test]))
    return scores


def folds(source: str, n_components: int) -> dict[str, float]:
    """Mean accuracy over 5 folds; "(all features)" rows see every feature, the others the principal components."""
    raw = load_source(source)
    scores: dict[str, list[float]] = {}
    for train, test in stratified_folds(raw.labels, 5, seed=0):
        classifier = VariationalQuantumClassifier(n_qubits=4, n_layers=4, n_components=n_components)
        classifier.fit(raw.features[train], raw.labels[train])
        found = {"quantum": classifier.score(raw.features[test], raw.labels[test])}
        for note, count in (("", n_components), (" (all features)", 0)):
            if note and not n_components:
                continue
            steps = fit_preprocessing(raw.features[train], raw.feature_names, n_components=count)
            inputs = [steps.transform(raw.features[rows]) for rows in (train, test)]
            for name, classical in CLASSICAL.items():
                found[name + note] = classical.fit(inputs[0], raw.labels[train]).score(inputs[1], raw.labels[test])
        for name, score in found.items():
            scores.setdefault(name, []).append(float(score))
    return {name: float(np.mean(values)) for name, values in scores.items()}


def main() -> None:
    """Run everything, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "classification.json")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    started = time.perf_counter()
    results = {f"digits, seed {seed}": digits(seed) for seed in (0, 1, 2)}
    results["iris, 5 folds"] = folds("builtin:iris", 0)
    results["wine, 5 folds"] = folds("builtin:wine", 4)
    record = {
        "results": results,
        "digits_median": float(np.median([results[f"digits, seed {seed}"]["quantum"] for seed in (0, 1, 2)])),
        "commit": git_commit(),
        "versions": library_versions(),
        "machine": platform.processor() or platform.machine(),
        "seconds": time.perf_counter() - started,
    }
    write_json(options.output, record)
    for case, scores in results.items():
        print(f"{case:16}", "  ".join(f"{name} {score:.4f}" for name, score in scores.items()))
    print(json.dumps({"digits_median": record["digits_median"], "seconds": round(record["seconds"], 1)}))


if __name__ == "__main__":
    main()
