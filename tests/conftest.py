"""Fixtures that several folders of tests share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

IRIS_CLASSES = ("setosa", "versicolor", "virginica")


def train_iris(folder: Path, seed: int) -> Path:
    """Train a small quantum classifier on iris for a few seconds; return its model directory."""
    import torch
    from sklearn.datasets import load_iris

    from quantum_db.data.preprocessing import fit_preprocessing
    from quantum_db.models.saved_model import build_model, write_model

    iris = load_iris()
    raw, labels = np.asarray(iris.data, dtype=np.float64), torch.as_tensor(iris.target)
    preprocessing = fit_preprocessing(raw, ("sepal length", "sepal width", "petal length", "petal width"))
    arguments = {
        "input_dim": 4, "n_qubits": 4, "output_dim": 3, "circuit_depth": 2, "encoder": "reuploading", "seed": seed,
        "dtype": "float64",
    }  # fmt: skip
    spec: dict[str, Any] = {"kind": "variational", "arguments": arguments}
    model = build_model(spec)
    values = torch.as_tensor(preprocessing.transform(raw))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    for _ in range(25):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(values), labels).backward()
        optimizer.step()
    details = {
        "class_names": list(IRIS_CLASSES),
        "config": {"n_qubits": 4},
        "dataset": {"name": "builtin:iris", "path": "/somewhere/private/iris.csv"},
        "versions": {"torch": torch.__version__},
        "run_id": "",
    }
    write_model(folder, model, spec, preprocessing, raw[::19], details)
    return folder


@pytest.fixture(scope="session")
def iris_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a trained model of iris (4 features, 3 classes); read only."""
    return train_iris(tmp_path_factory.mktemp("iris") / "model", seed=1)


@pytest.fixture(scope="session")
def other_iris_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second model of iris, with other weights; read only."""
    return train_iris(tmp_path_factory.mktemp("iris") / "other", seed=2)


@pytest.fixture(scope="session")
def resealed() -> Callable[[Path, Path, Callable[[dict[str, Any]], None]], Path]:
    """Copies a model directory with a changed manifest and a digest that fits it again."""
    from quantum_db.checkpoints import Checkpoint

    def change(source: Path, target: Path, edit: Callable[[dict[str, Any]], None]) -> Path:
        checkpoint = Checkpoint.read(source)
        manifest = dict(checkpoint.manifest)
        edit(manifest)
        Checkpoint(checkpoint.arrays, manifest).write(target)
        return target

    return change


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many cases the fuzz tests have tried (their property `fuzz_cases`)."""
    cases: dict[str, int] = {}
    for report in (report for found in terminalreporter.stats.values() for report in found):
        if isinstance(report, pytest.TestReport):  # a test has several reports, not all of them with its properties
            tried = dict(report.user_properties).get("fuzz_cases", 0)
            cases[report.nodeid] = max(cases.get(report.nodeid, 0), int(str(tried)))
    if total := sum(cases.values()):
        terminalreporter.write_line(f"{total:,} fuzz cases tried against the circuit gateway")
