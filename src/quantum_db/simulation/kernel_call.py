"""The compiled kernel: which build of it this machine can run, and how a call is laid out.

The structures mirror kernel/call.hpp field by field. The kernel is built once per instruction set when the package is
installed; where no compiler was at hand none is there, and the simulation runs on torch alone.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from quantum_db.errors import BackendError

Integer = ctypes.c_int64
_POINTER, _NUMBER = ctypes.c_void_p, ctypes.c_double


def _fields(names: str, kind: Any) -> list[tuple[str, Any]]:
    return [(name, kind) for name in names.split()]


class BlockWire(ctypes.Structure):
    """A fused gate in a block."""

    _fields_ = _fields("flip sign outer inverted gate", Integer)


class Pass(ctypes.Structure):
    """One way through a block."""

    _fields_ = _fields("first lines lanes", Integer)


class Sweep(ctypes.Structure):
    """Passes done block by block."""

    _fields_ = _fields("first count dim low basis", Integer)


class StoredObservable(ctypes.Structure):
    """A Pauli string on stored indices."""

    _fields_ = [*_fields("flip sign phase", Integer), ("coefficient", _NUMBER)]


class Element(ctypes.Structure):
    """An elementary gate: a rotation, or a fixed one."""

    _fields_ = [*_fields("slot axis", Integer), *_fields("scale offset", _NUMBER), ("fixed", _NUMBER * 4)]


class Fused(ctypes.Structure):
    """Elementary gates multiplied into one."""

    _fields_ = _fields("first count per_row", Integer)


class Call(ctypes.Structure):
    """Everything one run of the kernel reads and writes."""

    _fields_ = [
        *_fields("n_qubits rows weight_rows n_weights n_features", Integer),
        *_fields("n_sweeps n_observables n_fused n_elements threads lane_bits inside", Integer),
        *_fields("sweeps passes wires bases observables elements fused", _POINTER),
        *_fields("weights features states psi lambda_ values", _POINTER),
        *_fields("cotangent weights_grad features_grad states_grad", _POINTER),
    ]


class Status(IntEnum):
    """What a run ended with."""

    DONE = 0
    WEIGHTS_NOT_FINITE = 1
    FEATURES_NOT_FINITE = 2


class KernelLibrary:
    """One build of the kernel."""

    def __init__(self, path: Path) -> None:
        self._library = ctypes.CDLL(str(path))
        for name in ("qs_width", "qs_size"):
            function = getattr(self._library, name)
            function.argtypes, function.restype = [Integer], Integer
        self._runs = {torch.float32: self._library.qs_run_float, torch.float64: self._library.qs_run_double}
        for run in self._runs.values():
            run.argtypes, run.restype = [_POINTER, Integer], Integer
        kinds = (BlockWire, Pass, Sweep, StoredObservable, Element, Fused, Call)
        if [ctypes.sizeof(kind) for kind in kinds] != [self._library.qs_size(number) for number in range(len(kinds))]:
            raise BackendError(f"the kernel {path.name} was built from other sources; install the package again")
        self._widths = {dtype: int(self._library.qs_width(dtype.itemsize)) for dtype in self._runs}

    def width(self, dtype: torch.dtype) -> int:
        """Numbers in one vector register."""
        return self._widths[dtype]

    def run(self, call: Call, dtype: torch.dtype, backward: bool) -> int:
        """Run forward or backward and return the Status; the lock of the interpreter is not held meanwhile."""
        status: int = self._runs[dtype](ctypes.addressof(call), int(backward))
        return status


@lru_cache(maxsize=1)
def libraries() -> tuple[KernelLibrary, ...]:
    """The builds that this machine can run, widest vectors first; empty if the kernel was not built."""
    capability = torch.backends.cpu.get_cpu_capability()
    names = {"AVX512": ("avx512", "avx2", "baseline"), "AVX2": ("avx2", "baseline")}.get(capability, ("baseline",))
    folder = Path(__file__).parent / "kernel"
    return tuple(KernelLibrary(path) for name in names for path in sorted(folder.glob(f"_{name}*.so")))


MOST_LANE_BITS = 4
LANES_COST = 1.15
"""Time per line when amplitudes of a row stand beside each other, which have to be moved in the register."""
TILE_COST = 64
"""What every tile costs beside its lines, as a number of lines."""
NARROW_QUBITS, NARROW_COST = 16, 1.03
"""From so many qubits on, tiles of fewer rows are taken if they cost no more than this: the gradient needs one tile."""


@dataclass(frozen=True)
class Layout:
    """A build, and how rows fall into its tiles: a line is `width` rows of 2^lane_bits amplitudes each."""

    library: KernelLibrary
    lane_bits: int
    width: int
    tiles: int


def choose(rows: int, dtype: torch.dtype, known: Sequence[KernelLibrary], n_qubits: int) -> Layout:
    """The fastest tiles for `rows` rows: lines are full of rows, or of amplitudes of few rows."""
    library = known[0]
    lanes = library.width(dtype)
    layouts = [
        Layout(library, bits, lanes >> bits, -(-rows // (lanes >> bits)))
        for bits in range(min(n_qubits, MOST_LANE_BITS, lanes.bit_length() - 1) + 1)
    ]

    def cost(layout: Layout) -> float:
        lines = (1 << n_qubits - layout.lane_bits) * (LANES_COST if layout.lane_bits else 1.0)
        return layout.tiles * (lines + TILE_COST)

    best = min(layouts, key=cost)
    if n_qubits < NARROW_QUBITS:
        return best
    return max(
        (layout for layout in layouts if cost(layout) <= NARROW_COST * cost(best)), key=lambda layout: layout.lane_bits
    )
