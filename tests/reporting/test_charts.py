from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from quantum_db.errors import StageInputError
from quantum_db.reporting import charts, plots
from quantum_db.reporting.inline_svg import inline_svg

HISTORY = {"loss": [2.0, 1.0, 0.5], "accuracy": [0.3, 0.7, 0.9], "grad_norm": [1.0, 1.0, 1.0]}
ROWS = [
    charts.AccuracyRow("Quantum model", 0.975, 0.958, 0.989, ours=True),
    charts.AccuracyRow("RBF-SVC", 0.989, 0.978, 0.997),
]


def every_chart() -> dict[str, str]:
    return {
        "loss_curve": charts.loss_curve(HISTORY),
        "confusion_matrix": charts.confusion_matrix([[9, 1], [2, 8]], ["no", "yes"]),
        "roc_curve": charts.roc_curve([0.0, 0.5, 1.0], [0.0, 0.9, 1.0], 0.82),
        "baselines_chart": charts.baselines_chart(ROWS),
        "class_balance": charts.class_balance(["no", "yes"], {"train": [8, 7], "test": [2, 3]}),
    }


def line(figure: Figure, panel: int = 0, number: int = 0) -> np.ndarray:
    return np.asarray(figure.axes[panel].lines[number].get_xydata())


def test_charts_are_drawings_that_a_page_takes_and_always_the_same() -> None:
    first, second = every_chart(), every_chart()
    assert first == second
    for drawing in first.values():
        assert "<dc:date>" not in drawing
        assert inline_svg(drawing, "label").startswith("<svg")


def test_text_stays_text() -> None:
    drawings = every_chart()
    assert ">AUC 0.820</text>" in drawings["roc_curve"]
    assert ">97.5 %</text>" in drawings["baselines_chart"]
    assert ">Predicted</text>" in drawings["confusion_matrix"]


def test_drawing_leaves_the_global_settings_alone() -> None:
    before = dict(mpl.rcParams)
    every_chart()
    assert dict(mpl.rcParams) == before


def test_png_has_the_size_of_the_figure_on_white() -> None:
    png = plots.to_png(plots.roc_curve([0.0, 1.0], [0.0, 1.0], 0.5), dpi=100)
    assert png.startswith(b"\x89PNG\r\n")
    assert int.from_bytes(png[16:20], "big") == 380


def test_loss_curve_draws_the_history_against_epochs_from_one() -> None:
    figure = plots.loss_curve(HISTORY)
    assert line(figure, 0).tolist() == [[1, 2.0], [2, 1.0], [3, 0.5]]
    assert line(figure, 1).tolist() == [[1, 0.3], [2, 0.7], [3, 0.9]]
    assert len(plots.loss_curve({"loss": [1.0]}).axes) == 1


def test_validation_curves_are_labelled_apart() -> None:
    figure = plots.loss_curve({"loss": [1.0, 0.10], "validation_loss": [1.0, 0.11]})
    labels = {text.get_text(): float(text.xyann[1] + text.xy[1]) for text in figure.axes[0].texts}  # type: ignore[attr-defined]
    assert set(labels) == {"0.100 training", "0.110 validation"}
    assert labels["0.110 validation"] - labels["0.100 training"] > 0.05


def test_roc_curve_draws_the_given_points() -> None:
    assert line(plots.roc_curve([0.0, 0.5, 1.0], [0.0, 0.9, 1.0], 0.8), number=1).tolist() == [
        [0, 0],
        [0.5, 0.9],
        [1, 1],
    ]


def test_baselines_chart_draws_interval_and_point_of_each_model() -> None:
    figure = plots.baselines_chart(ROWS)
    assert line(figure, number=0)[:, 0].tolist() == [0.958, 0.989]
    assert line(figure, number=1)[:, 0].tolist() == [0.975]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["Quantum model", "RBF-SVC"]


def test_confusion_matrix_writes_the_counts_that_are_not_zero() -> None:
    figure = plots.confusion_matrix(np.array([[9, 1], [0, 8]]), ["no", "yes"])
    assert [text.get_text() for text in figure.axes[0].texts] == ["9", "1", "8"]


def test_class_balance_draws_one_bar_per_class_and_split() -> None:
    figure = plots.class_balance(["no", "yes"], {"train": [8, 7], "test": [2, 3]})
    assert [bar.get_height() for bar in figure.axes[0].patches] == [8, 7, 2, 3]  # type: ignore[attr-defined]


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(StageInputError, match="needs 'loss'"):
        plots.loss_curve({"accuracy": [0.5]})
    with pytest.raises(StageInputError, match="3 classes must be 3 by 3, got \\(2, 2\\)"):
        plots.confusion_matrix([[1, 0], [0, 1]], ["a", "b", "c"])
    with pytest.raises(StageInputError, match="at least one model"):
        plots.baselines_chart([])
    with pytest.raises(StageInputError, match="split 'train' has 1 counts for 2 classes"):
        plots.class_balance(["a", "b"], {"train": [1]})


def test_no_axis_of_accuracies_goes_beyond_all_or_nothing() -> None:
    rows = [plots.AccuracyRow("ours", 1.0, 1.0, 1.0, ours=True), plots.AccuracyRow("svc", 0.9, 0.8, 1.0)]
    for some in (rows, rows[:1], [plots.AccuracyRow("none", 0.0, 0.0, 0.0)]):
        low, high = plots.baselines_chart(some).axes[0].get_xlim()
        assert 0.0 <= low < high <= 1.0
    history = {"loss": [1.0, 0.1], "accuracy": [0.0, 1.0], "validation_accuracy": [0.9, 1.0]}
    assert plots.loss_curve(history).axes[1].get_ylim() == (0.0, 1.0)
