import io
import subprocess
import sys
from math import pi
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from matplotlib.image import imread

from quantum_db.circuits import Circuit, PauliString, class_observables, feature, op, weight
from quantum_db.circuits.ansatz.hardware_efficient import HardwareEfficientAnsatz
from quantum_db.circuits.drawing import draw_png, draw_svg, draw_text
from quantum_db.circuits.drawing.layout import angle_text, columns, slot_text, wrapped
from quantum_db.circuits.encoders.angle import AngleEncoder
from quantum_db.circuits.variational import variational_circuit
from quantum_db.errors import MissingDependencyError
from tests.physics.random_circuits import circuits

MIXED = Circuit(
    4,
    (
        op("H", 0),
        op("CNOT", 3, 0),
        op("SWAP", 1, 2),
        op("RZZ", 0, 2, angle=feature(5) * (pi / 2) + 0.3),
        op("CRX", 2, 1, angle=-weight(3)),
        op("CZ", 1, 3),
        op("PhaseShift", 0, angle=pi / 4),
        op("Sdg", 1),
        op("RYY", 2, 3, angle=2 * weight(4)),
    ),
    ("Z0", "X0 Y2", PauliString.of("Z1 Z3", -0.5)),
)
LARGE = variational_circuit(AngleEncoder(8, 8), HardwareEfficientAnsatz(8, 4), class_observables(8, 10))
SVG = "{http://www.w3.org/2000/svg}"


def test_text():
    assert draw_text(MIXED).splitlines() == [
        "q0: ─┤H├─⊕─┤RZZ π/2·x5+0.3├──┤P π/4├──────────────",
        "         │        │",
        "q1: ──×──┼────────┼─────────┤RX -w3├─●────┤S†├────",
        "      │  │        │            │     │",
        "q2: ──×──┼─┤     RZZ      ├────●─────┼─┤RYY 2·w4├─",
        "         │                           │     │",
        "q3: ─────●───────────────────────────●─┤  RYY   ├─",
        "",
        "measured: Z0, X0 Y2, -0.5 Z1 Z3",
    ]


def test_text_wraps_long_circuits():
    lines = draw_text(MIXED, width=45).splitlines()
    assert [line for line in lines if line.startswith(("q0", "m"))] == [
        "q0: ─┤H├─⊕─┤RZZ π/2·x5+0.3├─»",
        "q0: ──┤P π/4├──────────────",
        "measured: Z0, X0 Y2, -0.5 Z1 Z3",
    ]


def test_str_of_a_circuit_is_its_drawing():
    assert str(MIXED) == draw_text(MIXED)


def test_nothing_measured_and_no_gates():
    assert draw_text(Circuit(2)) == "q0: ─\n\nq1: ─"
    assert "measured" not in draw_text(Circuit(1, (op("X", 0),)))
    ElementTree.fromstring(draw_svg(Circuit(2)))
    assert draw_png(Circuit(1)).startswith(b"\x89PNG")


@settings(deadline=None, max_examples=60)
@given(circuits(max_qubits=5, max_gates=20))
def test_text_shows_every_gate_and_keeps_the_width(circuit):
    text = draw_text(circuit, width=70)
    assert all(len(line) <= 70 for line in text.splitlines())
    drawn = text.split("measured")[0]
    counts = {name: circuit.gate_counts().get(name, 0) for name in ("CNOT", "CZ", "SWAP", "CRX", "CRY", "CRZ")}
    assert drawn.count("⊕") == counts["CNOT"]
    assert drawn.count("×") == 2 * counts["SWAP"]
    assert drawn.count("●") == sum(counts.values()) - counts["SWAP"] + counts["CZ"]
    assert drawn.count("┤") == drawn.count("├")


@settings(deadline=None, max_examples=60)
@given(circuits(max_qubits=5, max_gates=20))
def test_gates_of_a_column_never_overlap(circuit):
    grid = columns(circuit)
    for column in grid:
        covered = [wire for cell in column for wire in cell.span]
        assert len(covered) == len(set(covered))
    assert sum(map(len, grid)) == len(circuit.operations)
    assert len(grid) >= circuit.depth


def test_equal_circuits_have_equal_drawings():
    other = Circuit(4, (MIXED.operations[2], *MIXED.operations[:2], *MIXED.operations[3:]), MIXED.observables)
    assert other == MIXED
    assert draw_text(other) == draw_text(MIXED)
    assert draw_svg(other) == draw_svg(MIXED)
    assert draw_png(other) == draw_png(MIXED)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (pi, "π"),
        (-pi, "-π"),
        (pi / 2, "π/2"),
        (-3 * pi / 4, "-3π/4"),
        (2 * pi, "2π"),
        (0.0, "0"),
        (1.0, "1"),
        (0.12345, "0.123"),
        (np.float64(pi / 8), "π/8"),
        (1e-12, "1e-12"),
        (1234.5, "1.23e+03"),
    ],
)
def test_angles(value, text):
    assert angle_text(value) == text


@pytest.mark.parametrize(
    ("slot", "text"),
    [
        (weight(3), "w3"),
        (feature(2) * (pi / 2), "π/2·x2"),
        (-feature(0), "-x0"),
        (weight(1) * 2.0 + pi / 4, "2·w1+π/4"),
        (weight(1) + -0.5, "w1-0.5"),
    ],
)
def test_slots(slot, text):
    assert slot_text(slot) == text


def test_wrapping_into_even_rows():
    assert wrapped([10] * 10, 100) == (range(10),)
    assert [len(row) for row in wrapped([10] * 11, 100)] == [6, 5]
    assert wrapped([500, 10], 100) == (range(1), range(1, 2))
    assert wrapped([], 100) == (range(0),)


def texts(svg):
    return [element.text for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_svg_keeps_its_text_and_names_the_colours():
    svg = draw_svg(LARGE)
    found = texts(svg)
    for label in (*(f"w{i}" for i in range(96)), *(f"π/2·x{i}" for i in range(8)), "trainable (w)", "fixed"):
        assert label in found
    assert "turned by a feature (x)" in found
    assert any(text.startswith("measured: Z0, Z1") for text in found)
    root = ElementTree.fromstring(svg)
    assert root.find(f"{SVG}title").text.startswith("Quantum circuit of 8 qubit(s), depth")
    assert root.find(f"{SVG}rect").get("fill") == "#ffffff"


def test_svg_stays_inside_its_card():
    for circuit in (LARGE, MIXED):
        root = ElementTree.fromstring(draw_svg(circuit))
        width, height = float(root.get("width")), float(root.get("height"))
        assert width <= 960
        for box in root.iter(f"{SVG}rect"):
            assert 0 <= float(box.get("x", 0)) <= width - float(box.get("width"))
            assert 0 <= float(box.get("y", 0)) <= height - float(box.get("height"))
        for text in root.iter(f"{SVG}text"):
            assert 0 < float(text.get("y")) < height


def test_only_the_kinds_that_occur_are_in_the_legend():
    assert "trainable (w)" not in texts(draw_svg(Circuit(1, (op("X", 0),))))
    assert "fixed" not in texts(draw_svg(Circuit(1, (op("RX", 0, angle=weight(0)),))))


def test_png_is_large_enough_to_read():
    pixels = imread(io.BytesIO(draw_png(LARGE)), format="png")
    height, width = pixels.shape[:2]
    assert 1000 < width <= 1920
    assert height > 1000
    np.testing.assert_array_equal(pixels[0, 0, :3], 1)


def test_drawing_svg_loads_neither_matplotlib_nor_torch():
    code = (
        "import sys; from quantum_db.circuits import *; from quantum_db.circuits.drawing import draw_svg, draw_text;"
        "c = Circuit(1, (op('X', 0),)); draw_svg(c); draw_text(c);"
        "print({'matplotlib', 'torch', 'cirq'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_png_without_matplotlib_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'quantum-db\[reports\]'"):
        draw_png(MIXED)
