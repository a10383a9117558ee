"""Circuits in a neutral form, which every client builds in its own way: gate name, wires, angle in radians.

None is symmetric under any exchange of qubits, so that a swapped bit shows. The names are IonQ's.
"""

from __future__ import annotations

CIRCUITS: dict[str, dict[str, object]] = {
    "one_hot": {"qubits": 4, "gates": [["x", [1]], ["rx", [3], 0.4], ["ry", [0], 0.9]]},
    "ladder": {
        "qubits": 3,
        "gates": [
            ["h", [0]], ["rx", [1], 0.3], ["cnot", [0, 2]], ["ry", [2], 1.1], ["rz", [1], 0.4], ["cnot", [2, 1]],
            ["rx", [0], 0.9], ["ry", [1], -0.35],
        ],
    },
    "phases": {
        "qubits": 3,
        "gates": [
            ["h", [0]], ["h", [1]], ["h", [2]], ["s", [0]], ["t", [1]], ["z", [2]], ["ry", [0], 0.2], ["si", [1]],
            ["rx", [1], 0.7], ["ti", [2]], ["ry", [2], -0.5], ["v", [0]], ["y", [1]], ["cnot", [1, 0]], ["vi", [2]],
        ],
    },
    "interactions": {
        "qubits": 4,
        "gates": [
            ["ry", [0], 0.7], ["ry", [1], 0.2], ["rx", [3], 1.3], ["xx", [0, 2], 0.6], ["yy", [1, 3], 0.35],
            ["zz", [2, 1], 0.8], ["swap", [0, 3]], ["rx", [2], 0.5], ["ry", [0], 0.4],
        ],
    },
}  # fmt: skip

NATIVE: dict[str, object] = {
    "qubits": 3,
    "gates": [
        ["gpi2", [0], 0.15], ["gpi", [1], 0.3], ["gpi2", [1], 0.4], ["ms", [0, 1], [0.1, 0.35, 0.2]],
        ["gpi2", [2], 0.55], ["ms", [2, 0], [0.0, 0.25, 0.25]], ["gpi2", [1], 0.05],
    ],
}  # fmt: skip
"""Angles in turns, as native gates take them."""

SHIFTED: dict[str, object] = {"qubits": 2, "angles": [0.3, -0.8, 1.2]}
"""Angles of the gradient test: RY(a) on 0, RX(b) on 1, CNOT(0, 1), RY(c) on 1, measured as Z on 1."""
