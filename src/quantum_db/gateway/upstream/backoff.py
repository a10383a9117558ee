"""How long to wait before trying again: longer each time, never in step with other workers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Backoff:
    """Delays that double from `first` to `longest` seconds, each drawn between half of that and the whole.

    The draw ("equal jitter") keeps workers that failed together from coming back together.
    """

    generator: np.random.Generator
    first: float = 0.5
    longest: float = 60.0

    def delay(self, failures: int, retry_after: float | None = None) -> float:
        """Seconds to wait after `failures` (at least 1) in a row; never less than the service asked for."""
        whole = min(self.longest, self.first * 2.0 ** min(failures - 1, 60))
        drawn = whole * (0.5 + 0.5 * float(self.generator.random()))
        return drawn if retry_after is None else retry_after + drawn - whole / 2

    def spread(self, seconds: float) -> float:
        """`seconds`, a tenth more or less."""
        return seconds * (0.9 + 0.2 * float(self.generator.random()))
