"""Encoded data in, a trained model out."""

from kfp import dsl
from kfp.dsl import HTML, Dataset, Input, Metrics, Model, Output

from components.images import stage_image


@dsl.component(base_image=stage_image("train"), packages_to_install=[], install_kfp_package=False)
def train(
    encoded_data: Input[Dataset],
    model: Output[Model],
    metrics: Output[Metrics],
    report_html: Output[HTML],
    model_config: str = "{}",
    qpu_target: str = "simulator",
    seed: int = 0,
    budget_usd: str = "",
    checkpoints: str = "",
    tracking_uri: str = "",
    run_id: str = "",
    resume: bool = True,
) -> None:
    """Train the model; a run that was interrupted goes on from its last checkpoint.

    Args:
        encoded_data: Both splits as values of circuit slots.
        model_config: The training configuration as JSON; what it leaves out has its default.
        qpu_target: What runs the circuits.
        seed: Seed of the run.
        budget_usd: US dollars that the run may cost; empty for no limit. A plan that may cost more stops here.
        checkpoints: Folder for checkpoints, journal and budget; one that outlives the container lets a restarted one
            resume, and pay for nothing twice.
        tracking_uri: MLflow store; without one, MLFLOW_TRACKING_URI or a file beside the model.
        run_id: Name of the run in checkpoints and in MLflow; made from data and settings if empty, so that the same
            training finds its checkpoints again.
        resume: Go on from the checkpoints of this run if there are some.

    Returns:
        model: The trained model.
        metrics: Loss and accuracy on the training split, parameters, seconds.
        report_html: Loss curve, circuit drawing and configuration.
    """
    from pathlib import Path

    from quantum_db.stages.train import TrainSpec, run

    report = run(
        TrainSpec(
            encoded_data=Path(encoded_data.path),
            model=Path(model.path),
            model_config=model_config,
            qpu_target=qpu_target,
            seed=seed,
            budget_usd=budget_usd,
            checkpoints=Path(checkpoints) if checkpoints else None,
            tracking_uri=tracking_uri,
            run_id=run_id,
            report_html=Path(report_html.path),
            resume=resume,
        )
    )
    model.framework = "quantum_db"
    model.metadata.update(mlflow_run_id=report.mlflow_run_id, parameters=report.parameter_count)
    metrics.log_metric("train_loss", report.loss)
    metrics.log_metric("train_accuracy", report.accuracy)
    metrics.log_metric("epochs", report.epochs)
    metrics.log_metric("parameters", report.parameter_count)
    metrics.log_metric("seconds", report.seconds)
    metrics.log_metric("cost_usd", float(report.cost_usd))
    metrics.log_metric("jobs", report.jobs)
    metrics.log_metric("circuits", report.circuits)
