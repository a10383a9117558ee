"""A model and the test split in, an honest comparison with classical baselines out."""

from kfp import dsl
from kfp.dsl import HTML, Artifact, ClassificationMetrics, Dataset, Input, Metrics, Model, Output

from components.images import stage_image


@dsl.component(base_image=stage_image("evaluate"), packages_to_install=[], install_kfp_package=False)
def evaluate(
    model: Input[Model],
    encoded_data: Input[Dataset],
    evaluation: Output[Artifact],
    metrics: Output[Metrics],
    classification_metrics: Output[ClassificationMetrics],
    report_html: Output[HTML],
    seed: int = 0,
    bootstrap_samples: int = 2000,
) -> None:
    """Measure the model on the test split, beside classical models on the same features and split.

    Args:
        model: The trained model.
        encoded_data: Both splits as values of circuit slots.
        seed: Seed of the bootstrap and of the baselines.
        bootstrap_samples: Number of resamples for the intervals.

    Returns:
        evaluation: All results, as evaluation.json with the predictions.
        metrics: Accuracy with its 95 % interval, F1, and the best baseline's accuracy.
        classification_metrics: Confusion matrix; for two classes the ROC curve too.
        report_html: Results as tables and charts.
    """
    import json
    from pathlib import Path

    from quantum_db.stages.evaluate import EvaluateSpec, run

    run(
        EvaluateSpec(
            model=Path(model.path),
            encoded_data=Path(encoded_data.path),
            evaluation=Path(evaluation.path),
            seed=seed,
            bootstrap_samples=bootstrap_samples,
            report_html=Path(report_html.path),
        )
    )
    result = json.loads((Path(evaluation.path) / "evaluation.json").read_text())
    for name in ("accuracy", "accuracy_low", "accuracy_high", "f1_macro", "best_baseline_accuracy"):
        metrics.log_metric(name, result[name])
    evaluation.metadata.update(sentence=result["sentence"], best_baseline=result["best_baseline"])
    classification_metrics.log_confusion_matrix(result["class_names"], result["confusion_matrix"])
    roc = result["roc"]
    if roc is not None:
        classification_metrics.log_roc_curve(roc["fpr"], roc["tpr"], roc["thresholds"])
