"""The compiled kernel: which build of it this machine can run, and how a call is laid out.

The structures mirror kernel/call.hpp field by field. The kernel is built once per instruction set when the package is
installed; where no compiler was at hand none is there, and the simulation runs on torch alone.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from quantum_db.errors import BackendError

_INTEGER, _POINTER, _NUMBER = ctypes.c_int64, ctypes.c_void_p, ctypes.c_double


def _fields(names: str, kind: Any) -> list[tuple[str, Any]]:
    return [(name, kind) for name in names.split()]


class Step(ctypes.Structure):
    """One pass over the state."""

    _fields_ = _fields("kind per_row flip1 sign1 inverted1 gate1 flip2 sign2 inverted2 gate2", _INTEGER)


class StoredObservable(ctypes.Structure):
    """A Pauli string on stored indices."""

    _fields_ = [*_fields("flip sign phase", _INTEGER), ("coefficient", _NUMBER)]


class Element(ctypes.Structure):
    """An elementary gate C + cos(t) A + sin(t) B with t = scale * slot + offset."""

    _fields_ = [*_fields("slot matrix", _INTEGER), *_fields("scale offset", _NUMBER)]


class Fused(ctypes.Structure):
    """Elementary gates multiplied into one matrix."""

    _fields_ = _fields("first count dim per_row", _INTEGER)


class Call(ctypes.Structure):
    """Everything one run of the kernel reads and writes."""

    _fields_ = [
        *_fields("n_qubits rows weight_rows n_weights n_features n_steps n_observables n_fused threads", _INTEGER),
        *_fields("steps observables elements fused constants weights features states psi lambda_ values", _POINTER),
        *_fields("cotangent weights_grad features_grad states_grad", _POINTER),
    ]


class KernelLibrary:
    """One build of the kernel."""

    def __init__(self, path: Path) -> None:
        self._library = ctypes.CDLL(str(path))
        for name in ("qs_width", "qs_size", "qs_lambda_tiles", "qs_has_half"):
            getattr(self._library, name).restype = _INTEGER
        self._library.qs_width.argtypes = self._library.qs_size.argtypes = [_INTEGER]
        self._library.qs_lambda_tiles.argtypes = [_INTEGER, _INTEGER, _INTEGER]
        self._runs = {torch.float32: self._library.qs_run_float, torch.float64: self._library.qs_run_double}
        for run in self._runs.values():
            run.argtypes, run.restype = [_POINTER, _INTEGER, _INTEGER], None
        sizes = [ctypes.sizeof(kind) for kind in (Step, StoredObservable, Element, Fused, Call)]
        built = [int(self._library.qs_size(number)) for number in range(len(sizes))]
        if sizes != built:
            raise BackendError(f"the kernel {path.name} was built from other sources; install the package again")

    @property
    def has_half(self) -> bool:
        """Whether tiles of half the width were built."""
        return bool(self._library.qs_has_half())

    def width(self, dtype: torch.dtype) -> int:
        """Rows in a tile at full width, which is one vector register."""
        return int(self._library.qs_width(dtype.itemsize))

    def lambda_tiles(self, n_qubits: int, tiles: int, threads: int) -> int:
        """Tiles of room that the gradient needs beside the states."""
        return int(self._library.qs_lambda_tiles(n_qubits, tiles, threads))

    def run(self, call: Call, dtype: torch.dtype, backward: bool, half: bool) -> None:
        """Run forward or backward, at full or half width; the lock of the interpreter is not held meanwhile."""
        self._runs[dtype](ctypes.addressof(call), int(backward), int(half))


@lru_cache(maxsize=1)
def libraries() -> tuple[KernelLibrary, ...]:
    """The builds that this machine can run, widest vectors first; empty if the kernel was not built."""
    capability = torch.backends.cpu.get_cpu_capability()
    names = {"AVX512": ("avx512", "avx2", "baseline"), "AVX2": ("avx2", "baseline")}.get(capability, ("baseline",))
    folder = Path(__file__).parent / "kernel"
    return tuple(KernelLibrary(path) for name in names for path in sorted(folder.glob(f"_{name}*.so")))


@dataclass(frozen=True)
class Layout:
    """A build, at full or half width, and how `rows` rows fall into its tiles."""

    library: KernelLibrary
    half: bool
    width: int
    tiles: int


def choose(rows: int, dtype: torch.dtype, known: Sequence[KernelLibrary]) -> Layout:
    """The widest tiles that `rows` rows fill to three quarters at least, so that little is computed for padding.

    Wider vectors take less time per row when they are full. With none full enough, those that waste
    least.
    """
    layouts = []
    for library in known:
        for half in (False, True) if library.has_half else (False,):
            width = library.width(dtype) // (2 if half else 1)
            layouts.append(Layout(library, half, width, -(-rows // width)))
    for layout in layouts:
        if rows >= 0.75 * layout.width * layout.tiles:
            return layout
    return min(layouts, key=lambda layout: layout.width * layout.tiles)
