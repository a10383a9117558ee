"""Encoded data in, what training on them will take and cost out."""

from kfp import dsl
from kfp.dsl import HTML, Artifact, Dataset, Input, Metrics, Output

from components.images import stage_image


@dsl.component(base_image=stage_image("train"), packages_to_install=[], install_kfp_package=False)
def plan(
    encoded_data: Input[Dataset],
    plan: Output[Artifact],
    metrics: Output[Metrics],
    report_html: Output[HTML],
    model_config: str = "{}",
    qpu_target: str = "simulator",
    seed: int = 0,
    budget_usd: str = "",
) -> None:
    """Say what the training will take before it starts; a plan over the budget is written, and training stops at it.

    Args:
        encoded_data: Both splits as values of circuit slots.
        model_config: The training configuration as JSON; what it leaves out has its default.
        qpu_target: What runs the circuits.
        seed: Seed of the run.
        budget_usd: US dollars that the run may cost; empty for no limit.

    Returns:
        plan: The plan as JSON.
        metrics: Circuits, jobs, shots, dollars in both readings of the minimum price.
        report_html: Cost, alternatives, what would save money, warnings.
    """
    from pathlib import Path

    from quantum_db.stages.plan import PlanSpec, run

    report = run(
        PlanSpec(
            encoded_data=Path(encoded_data.path),
            plan=Path(plan.path),
            model_config=model_config,
            qpu_target=qpu_target,
            seed=seed,
            budget_usd=budget_usd,
            report_html=Path(report_html.path),
        )
    )
    plan.metadata["target"] = report.target
    metrics.log_metric("circuits", report.circuits)
    metrics.log_metric("jobs", report.jobs)
    metrics.log_metric("shots", report.shots)
    metrics.log_metric("usd_low", report.usd_low)
    metrics.log_metric("usd_high", report.usd_high)
