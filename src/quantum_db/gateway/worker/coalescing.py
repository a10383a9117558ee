"""Histograms of circuits that were run before, for tenants who want identical circuits to be run once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping

_OUTCOMES = 500_000  # some 60 MB


class HistogramCache:
    """The most recently used histograms, together at most `max_outcomes` entries. Safe to use from several threads."""

    def __init__(self, max_outcomes: int = _OUTCOMES) -> None:
        self._max_outcomes = max_outcomes
        self._outcomes = 0
        self._histograms: OrderedDict[Hashable, Mapping[str, float]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Mapping[str, float] | None:
        """The histogram under `key`, None when it is not there."""
        with self._lock:
            found = self._histograms.get(key)
            if found is not None:
                self._histograms.move_to_end(key)
            return found

    def put(self, key: Hashable, histogram: Mapping[str, float]) -> None:
        """Keep a histogram, at the expense of those that were not used for longest."""
        if len(histogram) > self._max_outcomes:
            return
        with self._lock:
            old = self._histograms.pop(key, None)
            self._outcomes += len(histogram) - (len(old) if old is not None else 0)
            self._histograms[key] = histogram
            while self._outcomes > self._max_outcomes:
                self._outcomes -= len(self._histograms.popitem(last=False)[1])
