"""A model that passed the gate in, a registered version that answered its smoke test out."""

from kfp import dsl
from kfp.dsl import HTML, Artifact, Input, Metrics, Model, Output

from components.images import stage_image


@dsl.component(base_image=stage_image("deploy"), packages_to_install=[], install_kfp_package=False)
def deploy(
    model: Input[Model],
    evaluation: Input[Artifact],
    deployment: Output[Artifact],
    metrics: Output[Metrics],
    report_html: Output[HTML],
    threshold: float = 0.95,
    require_better: bool = False,
    registered_name: str = "q-store",
    tracking_uri: str = "",
) -> None:
    """Register the model as challenger, try it in a real server, and make it champion.

    Args:
        model: The trained model.
        evaluation: The results of the evaluation.
        threshold: Least accuracy on the test split.
        require_better: Refuse also a model that is less accurate than the best classical baseline.
        registered_name: Name of the model in MLflow's registry.
        tracking_uri: MLflow store; without one, MLFLOW_TRACKING_URI or a file beside the deployment.

    Returns:
        deployment: What was registered, as deployment.json.
        metrics: Latency of the smoke test.
        report_html: The decision and the smoke test.
    """
    from pathlib import Path

    from quantum_db.stages.deploy import DeploySpec, run

    report = run(
        DeploySpec(
            model=Path(model.path),
            evaluation=Path(evaluation.path),
            deployment=Path(deployment.path),
            threshold=threshold,
            require_better=require_better,
            registered_name=registered_name,
            tracking_uri=tracking_uri,
            report_html=Path(report_html.path),
        )
    )
    deployment.metadata.update(deployed=report.deployed, reason=report.reason, version=report.version or "")
    if report.latency_ms is not None:
        metrics.log_metric("latency_ms", report.latency_ms)
