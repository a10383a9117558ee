"""Stage quantum-encode: both splits become inputs of a circuit, and the circuit is counted and drawn.

A state cannot be stored, so what is kept is what prepares it: the values of the circuit's feature slots, the
encoder's description and the preprocessing. Where trained classical layers stand before the qubits, the slots are
decided in training; then the inputs of those layers are kept and the report says so.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from quantum_db.circuits.drawing import draw_svg
from quantum_db.circuits.light_cone import dead_weights
from quantum_db.data.dataset import Dataset
from quantum_db.data.encoded import ENCODING_FILE, EncodedDataset
from quantum_db.errors import StageInputError
from quantum_db.files import check_output_directory, write_text
from quantum_db.training.config import QuantumTrainingConfig
from quantum_db.training.model_spec import CircuitPlan, plan_circuit


@dataclass(frozen=True)
class QuantumEncodeSpec:
    """What to encode, how, and where to write it."""

    train_data: Path = field(metadata={"help": "directory with the training dataset"})
    test_data: Path = field(metadata={"help": "directory with the test dataset"})
    encoded_data: Path = field(metadata={"help": "directory to write the encoded dataset to"})
    model_config: str = field(default="{}", metadata={"help": "settings as a JSON object"})
    qpu_target: str = field(default="simulator", metadata={"help": "what will run the circuits"})
    seed: int = field(default=0, metadata={"help": "seed of the run"})
    report_html: Path | None = field(default=None, metadata={"help": "file to write a report for people to"})


@dataclass(frozen=True)
class QuantumEncodeReport:
    """What came out: `n_slots` feature slots, `n_weights` trainable angles, of which `dead_weights` are dead."""

    encoder: str
    model: str
    n_train: int
    n_test: int
    n_inputs: int
    n_qubits: int
    depth: int
    one_qubit_gates: int
    two_qubit_gates: int
    n_slots: int
    n_weights: int
    dead_weights: int
    trained_front: bool
    fingerprint: str
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able data."""
        return asdict(self)


def run(spec: QuantumEncodeSpec) -> QuantumEncodeReport:
    """Write the encoded dataset of `spec`; raise StageInputError or ConfigurationError when it cannot be encoded."""
    started = time.perf_counter()
    check_output_directory(spec.encoded_data, ENCODING_FILE)
    config = QuantumTrainingConfig.from_json(spec.model_config, qpu_target=spec.qpu_target, seed=spec.seed)
    train, test = Dataset.load(spec.train_data), Dataset.load(spec.test_data)
    _check_pair(train, test)
    plan = plan_circuit(config, train.n_features, train.n_classes)
    slots = [None if plan.trained_front else plan.encoder.slot_values(split.features) for split in (train, test)]
    encoding = _encoding(config, plan)
    encoded = EncodedDataset(
        train_values=train.features,
        train_labels=train.labels,
        test_values=test.features,
        test_labels=test.labels,
        train_slots=slots[0],
        test_slots=slots[1],
        raw_examples=train.raw_examples,
        class_names=train.class_names,
        feature_names=train.feature_names,
        preprocessing=train.preprocessing,
        encoding=encoding,
        dataset_name=train.name,
        dataset_digest=hashlib.sha256(f"{train.digest}/{test.digest}".encode()).hexdigest(),
        seed=spec.seed,
    )
    drawing = draw_svg(plan.circuit)
    encoded.save(spec.encoded_data, drawing)
    report = _report(config, plan, encoded, encoding["statistics"], time.perf_counter() - started)
    if spec.report_html is not None:
        write_text(spec.report_html, _html(report, plan, drawing))
    return report


def _check_pair(train: Dataset, test: Dataset) -> None:
    if (train.split, test.split) != ("train", "test"):
        raise StageInputError(
            f"train_data holds the split {train.split!r} and test_data {test.split!r}; give the training split first"
        )
    same_steps = train.preprocessing.to_dict() == test.preprocessing.to_dict()
    if train.class_names != test.class_names or not same_steps or train.split_id != test.split_id:
        raise StageInputError(
            "the two splits come from different preprocess runs, so rows may be in both; give both outputs of one run"
        )


def _encoding(config: QuantumTrainingConfig, plan: CircuitPlan) -> dict[str, Any]:
    circuit = plan.circuit
    ones, twos = circuit.count_by_arity()
    return {
        "encoder": plan.encoder.spec(),
        "model": config.model,
        "filled_by": "classical layers" if plan.trained_front else "encoder",
        "circuit_fingerprint": circuit.fingerprint,
        "statistics": {
            "n_qubits": circuit.n_qubits,
            "depth": circuit.depth,
            "one_qubit_gates": ones,
            "two_qubit_gates": twos,
            "gates": circuit.gate_counts(),
            "n_slots": circuit.n_features,
            "n_weights": circuit.n_weights,
            "dead_weights": list(dead_weights(circuit)),
            "entanglement_map": [list(pair) for pair in circuit.entanglement_map()],
            "observables": [str(observable) for observable in circuit.observables],
        },
    }


def _report(
    config: QuantumTrainingConfig,
    plan: CircuitPlan,
    encoded: EncodedDataset,
    statistics: dict[str, Any],
    seconds: float,
) -> QuantumEncodeReport:
    return QuantumEncodeReport(
        encoder=plan.encoder.name,
        model=config.model,
        n_train=len(encoded.train_labels),
        n_test=len(encoded.test_labels),
        n_inputs=encoded.n_inputs,
        n_qubits=statistics["n_qubits"],
        depth=statistics["depth"],
        one_qubit_gates=statistics["one_qubit_gates"],
        two_qubit_gates=statistics["two_qubit_gates"],
        n_slots=statistics["n_slots"],
        n_weights=statistics["n_weights"],
        dead_weights=len(statistics["dead_weights"]),
        trained_front=plan.trained_front,
        fingerprint=plan.circuit.fingerprint,
        seconds=seconds,
    )


def _html(report: QuantumEncodeReport, plan: CircuitPlan, drawing: str) -> str:
    from quantum_db.reporting.page import Section, facts, figure, page, paragraph, tiles

    numbers = {
        "qubits": report.n_qubits,
        "moments": report.depth,
        "one-qubit gates": report.one_qubit_gates,
        "two-qubit gates": report.two_qubit_gates,
    }
    details: dict[str, str | int] = {
        "encoder": f"{report.encoder} ({report.n_slots} feature slots)",
        "ansatz": f"{plan.ansatz.name}, {plan.ansatz.depth} layers, {report.n_weights} trainable angles",
        "angles that cannot move any observable": _dead_sentence(plan),
        "measured": ", ".join(map(str, plan.circuit.observables)),
        "training rows": report.n_train,
        "test rows": report.n_test,
        "circuit fingerprint": report.fingerprint,
    }
    sections = [
        Section("", tiles(numbers) + paragraph(_sentence(report))),
        Section("Circuit", figure(drawing, "Feature slots x, trainable weights w; every row runs this circuit")),
        Section("Details", facts(details)),
    ]
    return page("Encoding", sections)


def _dead_sentence(plan: CircuitPlan) -> str:
    dead = dead_weights(plan.circuit)
    return f"{len(dead)} (weights {', '.join(map(str, dead))})" if dead else "none"


def _sentence(report: QuantumEncodeReport) -> str:
    if report.trained_front:
        return (
            f"Trained classical layers turn the {report.n_inputs} features into the {report.n_slots} slot values of "
            f"the {report.encoder} encoder, so the slots are decided in training and not stored here."
        )
    return (
        f"The {report.encoder} encoder turns the {report.n_inputs} features into {report.n_slots} stored slot values."
    )
