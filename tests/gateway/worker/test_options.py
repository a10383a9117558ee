from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from quantum_db.errors import ConfigurationError
from quantum_db.gateway.worker import WorkerOptions


def test_machines_are_forwarded_only_with_an_upstream() -> None:
    targets = ("simulator", "qpu.forte-1")
    here = WorkerOptions(targets)
    assert (here.simulated, here.forwarded) == (targets, ())
    both = WorkerOptions(targets, upstream_url="https://api.ionq.co")
    assert (both.simulated, both.forwarded) == (("simulator",), ("qpu.forte-1",))


def test_two_workers_of_one_process_have_two_names() -> None:
    assert WorkerOptions(("simulator",)).worker_id != WorkerOptions(("simulator",)).worker_id


@pytest.mark.parametrize(
    "changes",
    [{"targets": ()}, {"lease_s": 0.0}, {"concurrency": 0}, {"poll_s": 5.0, "poll_longest_s": 1.0}, {"idle_s": -1.0}],
)
def test_options_that_cannot_work_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        replace(WorkerOptions(("simulator",)), **changes)


def test_the_upstream_needs_a_key_and_a_settle_time_above_the_time_of_a_submission(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("IONQ_API_KEY", raising=False)
    monkeypatch.delenv("IONQ_API_KEY_FILE", raising=False)
    options = WorkerOptions(("qpu.forte-1",), upstream_url="https://api.ionq.co")
    with pytest.raises(ConfigurationError, match="IONQ_API_KEY"):
        options.upstream()
    monkeypatch.setenv("IONQ_API_KEY", "k")
    assert options.upstream().settle_s == 60.0
    with pytest.raises(ConfigurationError, match="settle"):
        replace(options, settle_s=10.0).upstream()
