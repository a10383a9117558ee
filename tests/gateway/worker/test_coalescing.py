from __future__ import annotations

from quantum_db.gateway.worker.coalescing import HistogramCache


def test_what_was_not_used_for_longest_goes_first() -> None:
    cache = HistogramCache(max_outcomes=5)
    cache.put("a", {"0": 0.5, "1": 0.5})
    cache.put("b", {"0": 0.5, "3": 0.5})
    assert cache.get("a") == {"0": 0.5, "1": 0.5}
    cache.put("c", {"2": 1.0, "1": 0.0})
    assert cache.get("b") is None
    assert cache.get("a") is not None
    assert cache.get("c") is not None


def test_a_histogram_that_is_put_again_counts_once_and_a_huge_one_is_not_kept() -> None:
    cache = HistogramCache(max_outcomes=4)
    for _ in range(10):
        cache.put("a", {"0": 0.5, "1": 0.5})
    cache.put("b", {"0": 0.5, "1": 0.5})
    assert cache.get("a") is not None
    cache.put("huge", {str(k): 0.2 for k in range(5)})
    assert cache.get("huge") is None
    assert cache.get("b") is not None
