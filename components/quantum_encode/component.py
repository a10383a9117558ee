"""Splits in, their values in the slots of the encoding circuit out."""

from kfp import dsl
from kfp.dsl import HTML, Dataset, Input, Metrics, Output

from components.images import stage_image


@dsl.component(base_image=stage_image("quantum-encode"), packages_to_install=[], install_kfp_package=False)
def quantum_encode(
    train_data: Input[Dataset],
    test_data: Input[Dataset],
    encoded_data: Output[Dataset],
    metrics: Output[Metrics],
    report_html: Output[HTML],
    model_config: str = "{}",
    qpu_target: str = "simulator",
    seed: int = 0,
) -> None:
    """Encode both splits with the model's encoder and count what the circuit costs.

    Args:
        train_data: The training split.
        test_data: The test split.
        model_config: The training configuration as JSON; what it leaves out has its default.
        qpu_target: What will run the circuits.
        seed: Seed of the run.

    Returns:
        encoded_data: Both splits as values of circuit slots, with the encoder's description.
        metrics: Width, depth and gate counts of the circuit.
        report_html: The circuit as a drawing, with its statistics.
    """
    from pathlib import Path

    from quantum_db.stages.quantum_encode import QuantumEncodeSpec, run

    report = run(
        QuantumEncodeSpec(
            train_data=Path(train_data.path),
            test_data=Path(test_data.path),
            encoded_data=Path(encoded_data.path),
            model_config=model_config,
            qpu_target=qpu_target,
            seed=seed,
            report_html=Path(report_html.path),
        )
    )
    facts = report.to_dict()
    encoded_data.metadata.update({name: value for name, value in facts.items() if isinstance(value, str | int | float)})
    for name, value in facts.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            metrics.log_metric(name, value)
