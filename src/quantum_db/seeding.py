"""The one maker of randomness: every stream of random numbers is derived from the run's seed and a purpose.

Two purposes never share a stream, and adding a purpose does not move the others (numpy's SeedSequence with a spawn
key made from the purpose's name: https://numpy.org/doc/stable/reference/random/parallel.html).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from quantum_db.errors import ConfigurationError

if TYPE_CHECKING:
    import torch

MAX_SEED = 2**32 - 1


def check_seed(seed: int) -> int:
    """Return `seed` if it is an integer in 0..2^32-1; raise ConfigurationError otherwise."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= MAX_SEED:
        raise ConfigurationError(f"seed must be an integer from 0 to {MAX_SEED}, got {seed!r}")
    return seed


def _sequence(seed: int, purpose: tuple[str | int, ...]) -> np.random.SeedSequence:
    check_seed(seed)
    digest = hashlib.sha256("/".join(map(str, purpose)).encode()).digest()
    key = tuple(int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4))
    return np.random.SeedSequence(seed, spawn_key=key)


def numpy_generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """Return the numpy generator of `purpose` in the run with `seed`."""
    return np.random.Generator(np.random.PCG64(_sequence(seed, purpose)))


def torch_generator(seed: int, *purpose: str | int) -> torch.Generator:
    """Return the torch CPU generator of `purpose` in the run with `seed`."""
    import torch

    state = _sequence(seed, purpose).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) & (2**63 - 1))
