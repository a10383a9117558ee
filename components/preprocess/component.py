"""Raw data in, cleaned training and test splits out."""

from kfp import dsl
from kfp.dsl import HTML, Dataset, Metrics, Output

from components.images import stage_image


@dsl.component(base_image=stage_image("preprocess"), packages_to_install=[], install_kfp_package=False)
def preprocess(
    dataset: str,
    train_data: Output[Dataset],
    test_data: Output[Dataset],
    metrics: Output[Metrics],
    report_html: Output[HTML],
    seed: int = 0,
    test_fraction: float = 0.2,
    scaling: str = "minmax",
    n_components: int = 0,
    label_column: str = "label",
    missing: str = "refuse",
    constant_features: str = "drop",
    duplicates: str = "keep",
) -> None:
    """Load a data set, clean it, split it by seed, and fit reduction and scaling on the training split.

    Args:
        dataset: Source of the data, for example builtin:digits.
        seed: Seed of the split.
        test_fraction: Part of the samples that is held back for evaluation.
        scaling: minmax, standard or none.
        n_components: Number of principal components to keep; 0 keeps all features.
        label_column: Column with the labels in CSV and Parquet files.
        missing: What to do with rows that have missing values, refuse or drop.
        constant_features: What to do with features that never change, drop or refuse.
        duplicates: What to do with repeated rows, keep or drop.

    Returns:
        train_data: The training split.
        test_data: The test split.
        metrics: Sizes of the splits.
        report_html: What was found and what was changed.
    """
    from pathlib import Path

    from quantum_db.stages.preprocess import PreprocessSpec, run

    report = run(
        PreprocessSpec(
            dataset=dataset,
            train_data=Path(train_data.path),
            test_data=Path(test_data.path),
            seed=seed,
            test_fraction=test_fraction,
            scaling=scaling,
            n_components=n_components,
            label_column=label_column,
            missing=missing,
            constant_features=constant_features,
            duplicates=duplicates,
            report_html=Path(report_html.path),
        )
    )
    train_data.metadata.update(name=report.dataset, samples=report.n_train, digest=report.digest_train)
    test_data.metadata.update(name=report.dataset, samples=report.n_test, digest=report.digest_test)
    metrics.log_metric("train_samples", report.n_train)
    metrics.log_metric("test_samples", report.n_test)
    metrics.log_metric("features", report.n_features)
    metrics.log_metric("classes", report.n_classes)
