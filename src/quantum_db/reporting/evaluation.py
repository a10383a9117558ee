"""The report of an evaluation: what a person needs in order to decide whether the model is good enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from quantum_db.reporting import accuracy, charts
from quantum_db.reporting.page import (
    Html,
    Section,
    Tone,
    badge,
    callout,
    facts,
    figure,
    figures,
    page,
    paragraph,
    table,
    tiles,
)

OURS = "Quantum model"
_TONES: Mapping[str, Tone] = {"better": "good", "worse": "bad"}


def evaluation_page(
    evaluation: Mapping[str, Any], history: Mapping[str, Sequence[float]], circuit_svg: str | None = None
) -> str:
    """Return the HTML report of `evaluation`, the content of an evaluation.json.

    `history` is the model's training history (see `plots.loss_curve`; without a loss the section is left out),
    `circuit_svg` a drawing of its circuit, if there is one.
    """
    sections = [
        Section("", _headline(evaluation)),
        Section("Against classical models", _comparison(evaluation)),
        Section("Where it is right and wrong", _errors(evaluation)),
    ]
    if history.get("loss"):
        sections.append(Section("Training", _training(history)))
    if circuit_svg:
        sections.append(Section("Circuit", figure(circuit_svg, "The circuit of the quantum model")))
    sections.append(Section("What was evaluated", _provenance(evaluation)))
    return page(f"Evaluation on {evaluation['dataset']}", sections)


def _headline(evaluation: Mapping[str, Any]) -> str:
    values: dict[str, str | int] = {
        "Test accuracy": percent(evaluation["accuracy"]),
        **_headline_interval(evaluation),
        "Macro F1": f"{evaluation['f1_macro']:.3f}",
        "Test samples": evaluation["n_test"],
    }
    if evaluation["roc"] is not None:
        values["Area under ROC"] = f"{evaluation['roc']['auc']:.3f}"
    tone = _TONES.get(evaluation["comparison"], "neutral")
    return callout(evaluation["sentence"].replace(" %", "\u00a0%"), tone) + tiles(values)


def _headline_interval(evaluation: Mapping[str, Any]) -> dict[str, str]:
    shown = accuracy.shown_interval(evaluation)
    if shown is None:
        return {}
    label = "95 % interval" if shown.method == "bootstrap" else f"95 % interval, {shown.method}"
    return {label: f"{100 * shown.low:.1f}–{percent(shown.high)}"}


def _comparison(evaluation: Mapping[str, Any]) -> str:
    ours = charts.AccuracyRow(
        OURS, evaluation["accuracy"], evaluation["accuracy_low"], evaluation["accuracy_high"], ours=True
    )
    others = [
        charts.AccuracyRow(row["name"], row["accuracy"], row["accuracy_low"], row["accuracy_high"])
        for row in evaluation["baselines"]
    ]
    chart = figure(
        charts.baselines_chart([ours, *others]),
        f"Accuracy on the same {evaluation['n_test']} test samples, with 95 % bootstrap intervals",
    )
    first = [_name(OURS, evaluation), *_accuracies(evaluation), evaluation["parameter_count"], None, None, None]
    rows = [first] + [
        [
            _name(row["name"], evaluation),
            *_accuracies(row),
            row["parameters"],
            f"{row['only_model_right']}\u00a0:\u00a0{row['only_baseline_right']}",
            _p_value(row["p_value"]),
            _p_value(row["p_value_adjusted"]),
        ]
        for row in evaluation["baselines"]
    ]
    headers = [
        "Model",
        "Accuracy",
        "95\u00a0% bootstrap",
        "95\u00a0% Wilson",
        "Parameters",
        "Right alone",
        "p",
        "p adjusted",
    ]
    return chart + table(headers, rows) + _reading(evaluation) + _tuning(evaluation)


def _reading(evaluation: Mapping[str, Any]) -> Html:
    return paragraph(
        "All models see the same features and the same split. Hyperparameters of the classical models were chosen by "
        "cross-validation inside the training split. “Right alone” counts the test samples that only the quantum model "
        "or only the baseline classified correctly; p is McNemar’s exact test on these two counts, adjusted after Holm "
        f"for the {len(evaluation['baselines'])} comparisons. At an accuracy of 100 % the bootstrap interval has no "
        "width, so read Wilson’s there. The intervals cover the choice of test samples, not the seed of the training."
    )


def _tuning(evaluation: Mapping[str, Any]) -> Html:
    rows = [
        [
            row["name"],
            ", ".join(f"{name} {_setting(value)}" for name, value in row["chosen"].items()),
            percent(row["cross_validation_accuracy"]),
            badge("converged", "good") if row["converged"] else badge("stopped at its limit", "bad"),
        ]
        for row in evaluation["baselines"]
    ]
    return table(["Baseline", "Chosen settings", "Cross-validated", "Optimizer"], rows)


def _errors(evaluation: Mapping[str, Any]) -> str:
    names = evaluation["class_names"]
    drawings = [
        figure(
            charts.confusion_matrix(evaluation["confusion_matrix"], names),
            "Test samples by true and predicted class; the shade is the share of the true class",
        )
    ]
    if evaluation["roc"] is not None:
        curve = evaluation["roc"]
        drawings.append(
            figure(charts.roc_curve(curve["fpr"], curve["tpr"], curve["auc"]), f"ROC curve of class {names[1]!r}")
        )
    rows = [
        [row["name"], row["support"], percent(row["precision"]), percent(row["recall"]), f"{row['f1']:.3f}"]
        for row in evaluation["classes"]
    ]
    return figures(*drawings) + table(["Class", "Test samples", "Precision", "Recall", "F1"], rows)


def _training(history: Mapping[str, Sequence[float]]) -> Html:
    return figure(charts.loss_curve(history), f"Training over {len(history['loss'])} epochs")


def _provenance(evaluation: Mapping[str, Any]) -> Html:
    return facts(
        {
            "Dataset": evaluation["dataset"],
            "Dataset digest": evaluation["dataset_digest"],
            "Model digest": evaluation["model_digest"],
            "Training run": evaluation["run_id"] or None,
            "Seed of baselines and bootstrap": evaluation["seed"],
            "Bootstrap resamples": evaluation["bootstrap_samples"],
            "Time of the evaluation": f"{evaluation['seconds']:.1f} s",
        }
    )


def percent(share: float) -> str:
    """Return a share in 0..1 as people write it, "97.5 %", with a space that does not break."""
    return accuracy.percent(share).replace(" ", "\u00a0")


def _interval(row: Mapping[str, Any], name: str) -> str:
    return f"{100 * row[f'{name}_low']:.1f}–{percent(row[f'{name}_high'])}"


def _accuracies(row: Mapping[str, Any]) -> list[str]:
    return [percent(row["accuracy"]), _interval(row, "accuracy"), _interval(row, "accuracy_wilson")]


def _name(name: str, evaluation: Mapping[str, Any]) -> str | Html:
    if name != evaluation["best_baseline"]:
        return name
    return Html(f"{escape(name)} {badge('best baseline')}")


def _p_value(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.2g}"


def _setting(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.3g}"
