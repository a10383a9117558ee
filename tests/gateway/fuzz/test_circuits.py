"""Valid circuits in every form: their results sum to 1 and are those of cirq."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.gateway.fuzz.conftest import RunningGateway, as_tenant, job
from tests.gateway.fuzz.valid_circuits import circuits, cirq_probabilities

FUZZ = settings(
    max_examples=150, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)


def check_probabilities(found: dict[str, float], circuit: dict[str, Any]) -> None:
    assert sum(found.values()) == pytest.approx(1, abs=1e-9)
    wanted = cirq_probabilities(circuit)
    assert all(0 <= int(key) < 2 ** circuit["qubits"] and str(int(key)) == key for key in found)
    worst = max(abs(found.get(str(key), 0.0) - value) for key, value in wanted.items())
    assert worst < 1e-6, f"off by {worst:.2e}"


def test_single_circuits(gateway: RunningGateway, record_property: Callable[[str, object], None]) -> None:
    tried = 0

    @FUZZ
    @given(circuit=circuits())
    def run(circuit: dict[str, Any]) -> None:
        nonlocal tried
        tried += 1
        job_id = gateway.submit(job(circuit))
        ended = gateway.finished(job_id)
        assert ended["status"] == "completed", ended["failure"]
        answer = gateway.client.get(f"/v0.4/jobs/{job_id}/results/probabilities", headers=as_tenant("fuzz"))
        check_probabilities(answer.json(), circuit)

    run()
    record_property("fuzz_cases", tried)
    gateway.check_alive()


def test_several_circuits_in_a_job(gateway: RunningGateway, record_property: Callable[[str, object], None]) -> None:
    tried = 0

    @settings(FUZZ, max_examples=60)
    @given(several=st.lists(circuits(), min_size=1, max_size=8))
    def run(several: list[dict[str, Any]]) -> None:
        nonlocal tried
        tried += len(several)
        body = {"type": "ionq.multi-circuit.v1", "backend": "simulator", "input": {"circuits": several}}
        ended = gateway.finished(gateway.submit(body))
        assert ended["status"] == "completed", ended["failure"]
        address = ended["results"]["probabilities"]["url"]
        found = gateway.client.get(address, headers=as_tenant("fuzz")).json()
        assert list(found) == ended["child_job_ids"]
        for child, circuit in zip(found, several, strict=True):
            check_probabilities(found[child], circuit)

    run()
    record_property("fuzz_cases", tried)
    gateway.check_alive()


def test_counts_of_noisy_circuits(gateway: RunningGateway, record_property: Callable[[str, object], None]) -> None:
    tried = 0

    @settings(FUZZ, max_examples=60)
    @given(circuit=circuits(), shots=st.integers(1, 2000), seed=st.integers(0, 2**32 - 1),
           model=st.sampled_from(["aria-1", "forte-1"]))  # fmt: skip
    def run(circuit: dict[str, Any], shots: int, seed: int, model: str) -> None:
        nonlocal tried
        tried += 1
        body = job(circuit, shots=shots, noise={"model": model, "seed": seed})
        first, again = gateway.submit(body), gateway.submit({**body, "metadata": {"again": "yes"}})
        counts = []
        for job_id in (first, again):
            ended = gateway.finished(job_id)
            assert ended["status"] == "completed", ended["failure"]
            counts.append(
                gateway.client.get(f"/v0.4/jobs/{job_id}/results/histogram", headers=as_tenant("fuzz")).json()
            )
        assert first != again
        assert counts[0] == counts[1]
        assert sum(counts[0].values()) == shots
        assert all(0 <= int(key) < 2 ** circuit["qubits"] for key in counts[0])

    run()
    record_property("fuzz_cases", tried)
    gateway.check_alive()


def test_what_is_sent_is_shown(gateway: RunningGateway, record_property: Callable[[str, object], None]) -> None:
    """Metadata, name, shots and settings come back unchanged, whatever they hold."""
    plain = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    text = st.text(st.characters(blacklist_categories=("Cs",)), max_size=20)
    anything = st.recursive(
        plain | text, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3)
    )
    tried = 0

    @settings(FUZZ, max_examples=100)
    @given(metadata=st.dictionaries(text, anything, max_size=4), name=text.filter(lambda name: "\x00" not in name),
           shots=st.integers(1, 10**6))  # fmt: skip
    def run(metadata: dict[str, Any], name: str, shots: int) -> None:
        nonlocal tried
        tried += 1
        sent = job(metadata=metadata, name=name, shots=shots)
        ended = gateway.finished(gateway.submit(sent))
        assert (ended["metadata"], ended["name"], ended["shots"]) == (metadata, name, shots)
        assert json.dumps(ended["metadata"]) == json.dumps(metadata)

    run()
    record_property("fuzz_cases", tried)
    gateway.check_alive()
