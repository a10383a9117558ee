from __future__ import annotations

from quantum_db.gateway.upstream import Backoff
from quantum_db.seeding import numpy_generator


def backoff(seed: int = 1) -> Backoff:
    return Backoff(numpy_generator(seed, "backoff"), first=0.5, longest=60.0)


def test_delays_double_up_to_the_longest_and_are_drawn_from_their_upper_half() -> None:
    delays = [backoff().delay(failures) for failures in range(1, 12)]
    for failures, delay in enumerate(delays, start=1):
        whole = min(60.0, 0.5 * 2 ** (failures - 1))
        assert whole / 2 <= delay <= whole


def test_two_workers_do_not_come_back_together() -> None:
    assert backoff(1).delay(5) != backoff(2).delay(5)


def test_a_named_time_is_never_undercut_and_a_long_failure_does_not_overflow() -> None:
    assert 30.0 <= backoff().delay(1, retry_after=30.0) <= 30.25
    assert 30.0 <= backoff().delay(10_000) <= 60.0


def test_periods_are_spread_by_a_tenth() -> None:
    drawn = [backoff().spread(10.0) for _ in range(1)] + [backoff(seed).spread(10.0) for seed in range(2, 40)]
    assert 9.0 <= min(drawn) < 9.5 < 10.5 < max(drawn) <= 11.0
