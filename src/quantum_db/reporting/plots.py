"""The charts of the reports as matplotlib figures, and their rendering to SVG text and PNG bytes.

Figures are made with matplotlib's object interface: no pyplot, no window, no state left behind. Colours are told apart
without hue as well (the model that is being judged is darker and labelled), lines are labelled where they end.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from quantum_db.errors import StageInputError

INK, SOFT, LINE = "#1b2330", "#5a6575", "#d9dee6"
BLUE, GREY, ORANGE = "#1f5fd0", "#8a94a3", "#b4570a"

_PERCENT = FuncFormatter(lambda value, _: f"{100 * value:.6g} %")
_RENDER_LOCK = threading.Lock()
_RENDERING: Any = {
    "svg.fonttype": "none",  # text stays text: selectable, searchable, small
    "svg.hashsalt": "quantum_db",  # the same ids every time
    "svg.id": None,
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "Helvetica"],
    "path.simplify": True,
    "axes.unicode_minus": True,
}
_CURVES = (
    ("loss", "training", BLUE),
    ("validation_loss", "validation", ORANGE),
    ("accuracy", "training", BLUE),
    ("validation_accuracy", "validation", ORANGE),
)


@dataclass(frozen=True)
class AccuracyRow:
    """One model's accuracy with the ends of its 95 % interval, all in 0..1; `ours` marks the model being judged."""

    name: str
    accuracy: float
    low: float
    high: float
    ours: bool = False


def to_svg(figure: Figure) -> str:
    """Render a figure to an SVG document; the same figure gives the same text on every run."""
    return _render(figure, "svg", metadata={"Date": None, "Creator": None}).decode()


def to_png(figure: Figure, dpi: int = 144) -> bytes:
    """Render a figure to PNG bytes on white."""
    return _render(figure, "png", dpi=dpi, facecolor="white", metadata={"Software": None})


def loss_curve(history: Mapping[str, Sequence[float]]) -> Figure:
    """Draw loss, and accuracy where recorded, against the epoch.

    `history` maps "loss", "validation_loss", "accuracy" and "validation_accuracy" to one number per epoch; "loss" is
    needed, the others are optional and other keys are not drawn. Raises StageInputError without a loss.
    """
    if not history.get("loss"):
        raise StageInputError(f"a loss curve needs 'loss' with one number per epoch; the history has {sorted(history)}")
    has_accuracy = bool(history.get("accuracy") or history.get("validation_accuracy"))
    figure = _figure(8.0 if has_accuracy else 5.0, 2.9)
    panels = figure.subplots(1, 2 if has_accuracy else 1, squeeze=False)[0]
    _curves(panels[0], history, "loss", "Loss")
    if has_accuracy:
        _curves(panels[1], history, "accuracy", "Accuracy")
    return figure


def confusion_matrix(matrix: Sequence[Sequence[int]] | np.ndarray, class_names: Sequence[str]) -> Figure:
    """Draw counts of true class (rows) against predicted class (columns); shade is the share of the true class.

    Raises StageInputError when the matrix is not square with one row per class name.
    """
    counts = np.asarray(matrix, dtype=np.int64)
    n = len(class_names)
    if counts.shape != (n, n):
        raise StageInputError(f"a confusion matrix of {n} classes must be {n} by {n}, got {counts.shape}")
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = float(np.clip(0.42 * n + 1.2, 2.8, 9.0))
    figure = _figure(side, side)
    axes = figure.add_subplot()
    axes.pcolormesh(share, cmap="Blues", vmin=0.0, vmax=1.0, edgecolors="white", linewidth=1.0)
    size = float(np.clip(95 / max(n, 1), 4.5, 10.0))
    for row, column in np.argwhere(counts > 0):
        colour = "white" if share[row, column] > 0.55 else INK
        axes.text(
            column + 0.5, row + 0.5, str(counts[row, column]), ha="center", va="center", color=colour, fontsize=size
        )
    rotation = 0 if max(map(len, class_names)) <= 3 else 45
    axes.set_xticks(np.arange(n) + 0.5, class_names, rotation=rotation, ha="center" if rotation == 0 else "right")
    axes.set_yticks(np.arange(n) + 0.5, class_names)
    axes.set(xlim=(0, n), ylim=(n, 0), xlabel="Predicted", ylabel="True", aspect="equal")
    _clean(axes)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return figure


def roc_curve(fpr: Sequence[float], tpr: Sequence[float], auc: float) -> Figure:
    """Draw true against false positive rate, with the diagonal of a coin toss and the area under the curve."""
    figure = _figure(3.8, 3.8)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1.0, linestyle=(0, (4, 3)))
    axes.fill_between(fpr, tpr, color=BLUE, alpha=0.08, linewidth=0)
    axes.plot(fpr, tpr, color=BLUE, linewidth=1.8)
    axes.text(0.96, 0.06, f"AUC {auc:.3f}", ha="right", color=BLUE, fontsize=11, fontweight="bold")
    axes.text(0.53, 0.46, "chance", color=SOFT, fontsize=8.5, rotation=45, rotation_mode="anchor")
    axes.set(xlim=(-0.01, 1.0), ylim=(0.0, 1.02), xlabel="False positive rate", ylabel="True positive rate")
    axes.set_aspect("equal")
    _clean(axes)
    return figure


def baselines_chart(rows: Sequence[AccuracyRow]) -> Figure:
    """Draw each model's accuracy as a point with its 95 % interval, in the order given; ours is highlighted."""
    if not rows:
        raise StageInputError("a chart of accuracies needs at least one model")
    figure = _figure(7.2, 0.75 + 0.45 * len(rows))
    axes = figure.add_subplot()
    for position, row in enumerate(rows):
        colour = BLUE if row.ours else GREY
        line: Any = {"color": colour, "clip_on": False}  # marks at the end of the axis are drawn whole
        axes.plot([row.low, row.high], [position, position], linewidth=2.2, solid_capstyle="round", **line)
        axes.plot([row.accuracy], [position], marker="o", markersize=7, **line)
        axes.annotate(
            f"{100 * row.accuracy:.1f} %",
            (row.accuracy, position),
            xytext=(0, 7),
            textcoords="offset points",
            ha="center",
            fontsize=9,
            color=colour if row.ours else INK,
            fontweight="bold" if row.ours else "normal",
        )
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
    low, high = min(row.low for row in rows), max(row.high for row in rows)
    margin = max(0.08 * (high - low), 0.005)
    axes.set(xlim=(max(low - margin, 0.0), min(high + margin, 1.0)), ylim=(len(rows) - 0.5, -0.6))
    axes.set_xlabel("Accuracy on the test split, with 95 % interval")
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(_PERCENT)
    _clean(axes, grid="x")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set(color=BLUE if row.ours else INK, fontweight="bold" if row.ours else "normal")
    return figure


def class_balance(class_names: Sequence[str], counts: Mapping[str, Sequence[int]]) -> Figure:
    """Draw the number of samples per class as bars; `counts` maps a split, for example "train", to one count per class.

    Raises StageInputError when a split has another number of counts than there are classes.
    """
    for split, values in counts.items():
        if len(values) != len(class_names):
            raise StageInputError(f"split {split!r} has {len(values)} counts for {len(class_names)} classes")
    figure = _figure(float(np.clip(0.5 * len(class_names) + 2.0, 4.0, 10.0)), 2.7)
    axes = figure.add_subplot()
    width = 0.8 / max(len(counts), 1)
    for index, ((split, values), colour) in enumerate(zip(counts.items(), (BLUE, ORANGE, GREY), strict=False)):
        positions = np.arange(len(class_names)) - 0.4 + (index + 0.5) * width
        bars = axes.bar(positions, values, width=0.92 * width, color=colour, label=split)
        axes.bar_label(bars, fontsize=7.5, color=SOFT, padding=1)
    rotation = 0 if max(map(len, class_names), default=0) <= 6 else 30
    axes.set_xticks(range(len(class_names)), class_names, rotation=rotation, ha="center" if rotation == 0 else "right")
    axes.set_ylabel("Samples")
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    _clean(axes)
    axes.tick_params(axis="x", length=0)
    if len(counts) > 1:
        axes.legend(
            frameon=False, fontsize=9, ncols=len(counts), loc="lower left", bbox_to_anchor=(0.0, 1.0), borderaxespad=0.0
        )
    return figure


def _render(figure: Figure, format_name: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    with _RENDER_LOCK, mpl.rc_context(_RENDERING):
        figure.savefig(stream, format=format_name, **options)
    return stream.getvalue()


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.patch.set_alpha(0.0)
    return figure


def _clean(axes: Axes, grid: str = "") -> None:
    axes.patch.set_alpha(0.0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(LINE)
    axes.tick_params(color=LINE, labelcolor=INK, labelsize=9)
    axes.xaxis.label.set(color=SOFT, fontsize=9.5)
    axes.yaxis.label.set(color=SOFT, fontsize=9.5)
    if grid:
        axes.grid(axis="x" if grid == "x" else "y", color=LINE, linewidth=0.7)
        axes.set_axisbelow(True)


def _curves(axes: Axes, history: Mapping[str, Sequence[float]], kind: str, title: str) -> None:
    drawn = [
        (values, label, colour) for key, label, colour in _CURVES if key.endswith(kind) and (values := history.get(key))
    ]
    for values, _, colour in drawn:
        epochs = range(1, len(values) + 1)
        marker = "o" if len(values) == 1 else None
        axes.plot(epochs, values, color=colour, linewidth=1.8, marker=marker, clip_on=False)
    if kind == "accuracy":
        axes.yaxis.set_major_formatter(_PERCENT)
        axes.set_ylim(bottom=max(0.0, axes.get_ylim()[0]), top=1.0)
    low, high = axes.get_ylim()
    heights = _apart([values[-1] for values, _, _ in drawn], 0.075 * (high - low))
    for (values, label, colour), height in zip(drawn, heights, strict=True):
        last = f"{values[-1]:.3f}" if kind == "loss" else f"{100 * values[-1]:.1f} %"
        axes.annotate(
            last if len(drawn) == 1 else f"{last} {label}",
            (len(values), height),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            color=colour,
            annotation_clip=False,
        )
    axes.set_title(title, loc="left", fontsize=10.5, color=INK)
    axes.set_xlabel("Epoch")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    _clean(axes, grid="y")


def _apart(heights: Sequence[float], distance: float) -> list[float]:
    """Move labels that would overlap: keep their order, at least `distance` between neighbours."""
    moved = list(heights)
    order = sorted(range(len(moved)), key=lambda index: moved[index])
    for below, above in pairwise(order):
        missing = distance - (moved[above] - moved[below])
        if missing > 0:
            moved[below] -= missing / 2
            moved[above] += missing / 2
    return moved
