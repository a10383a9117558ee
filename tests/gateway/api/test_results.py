"""Results in every form, of single jobs, whole multi-circuit jobs and their circuits."""

from __future__ import annotations

import pytest

from quantum_db.gateway.api.formats import Outcome, outcome_seed
from quantum_db.gateway.ledger.records import ResultKind
from tests.gateway.api.conftest import BELL, X0, Gateway, multi, single

X1 = [{"gate": "x", "targets": [1]}]
TILTED = [{"gate": "ry", "target": 0, "rotation": 1.1}, {"gate": "ry", "target": 1, "rotation": 0.4}]


def test_either_address_gives_the_plain_object_of_a_single_job(working: Gateway) -> None:
    job = working.finished(single(X1, metadata={"n": "either"}))
    base = f"/jobs/{job['id']}/results/probabilities"
    assert job["results"]["probabilities"]["url"] == f"/v0.4{base}"
    for query in ("", "?sharpen=True", "?sharpen=false"):
        for path in (base, f"{base}/aggregated"):
            assert working.get(path + query) == {"2": pytest.approx(1.0)}  # qubit 0 is the least significant bit
    assert working.get(f"{base}?sharpen=perhaps", 400)["error"] == "Bad Request"


def test_either_address_gives_the_circuits_of_a_multi_circuit_job_in_order(working: Gateway) -> None:
    job = working.finished(multi([{"circuit": X0}, {"circuit": X1}, {"circuit": []}, {"circuit": TILTED}]))
    base = f"/jobs/{job['id']}/results/probabilities"
    assert job["results"]["probabilities"]["url"] == f"/v0.4{base}/aggregated"
    for path in (base, f"{base}/aggregated"):
        found = working.get(path)
        assert list(found) == job["child_job_ids"]
        values = list(found.values())
        assert values[:3] == [{"1": 1.0}, {"2": 1.0}, {"0": 1.0}]
        assert sum(values[3].values()) == pytest.approx(1)
        assert values[3]["1"] > values[3]["2"]  # qubit 0 is turned further
    for child, expected in found.items():
        shown = working.get(f"/jobs/{child}")
        assert working.get(shown["results"]["probabilities"]["url"].removeprefix("/v0.4")) == expected


def test_counts_of_an_exact_result_are_drawn_say_so_and_stay_the_same(working: Gateway) -> None:
    job = working.finished(single(TILTED, shots=3000))
    histogram = working.client.get(f"/v0.4/jobs/{job['id']}/results/histogram")
    assert histogram.headers["X-QStore-Sampled"] == "true"
    counts = histogram.json()
    assert sum(counts.values()) == 3000
    assert working.get(f"/jobs/{job['id']}/results/histogram") == counts
    exact = working.get(f"/jobs/{job['id']}/results/probabilities")
    chi_square = sum((counts.get(key, 0) - 3000 * p) ** 2 / (3000 * p) for key, p in exact.items())
    assert chi_square < 21.1  # p > 1e-4 with 3 degrees of freedom
    shots = working.client.get(f"/v0.4/jobs/{job['id']}/results/shots")
    assert shots.headers["X-QStore-Sampled"] == "true"
    assert {key: shots.json().count(key) for key in counts} == counts
    assert shots.json() != sorted(shots.json())
    assert "X-QStore-Sampled" not in working.client.get(f"/v0.4/jobs/{job['id']}/results/probabilities").headers


def test_counts_of_a_noisy_result_are_those_that_were_drawn(working: Gateway) -> None:
    job = working.finished(single(BELL, shots=400, noise={"model": "aria-1", "seed": 5}))
    assert job["noise"] == {"model": "aria-1", "seed": 5}
    histogram = working.client.get(f"/v0.4/jobs/{job['id']}/results/histogram")
    assert histogram.headers["X-QStore-Sampled"] == "false"
    counts = histogram.json()
    assert sum(counts.values()) == 400
    shares = working.get(f"/jobs/{job['id']}/results/probabilities")
    assert shares == {key: count / 400 for key, count in counts.items()}
    again = working.finished(single(BELL, shots=400, noise={"model": "aria-1", "seed": 5}, name="again"))
    assert working.get(f"/jobs/{again['id']}/results/histogram") == counts


def test_artifacts_have_the_later_forms(working: Gateway) -> None:
    job = working.finished(single(X1, shots=3, metadata={"n": "artifacts"}))
    found = {
        name: working.get(f"/jobs/{job['id']}/artifacts/{entry['id']}")
        for name, entry in job["results"].items()
        if name.startswith("ionq.")
    }
    assert found == {  # bitstrings begin with qubit 0
        "ionq.result.probabilities.json.v1": {"2": 1.0},
        "ionq.result.probabilities.json.v2": {"probabilities": {"registers": {"output_all": {"01": 1.0}}}},
        "ionq.result.histogram.json.v1": {"2": 3},
        "ionq.result.histogram.json.v2": {"histogram": {"registers": {"output_all": {"01": 3}}}},
        "ionq.result.shots.json.v1": ["2", "2", "2"],
        "ionq.result.shots.json.v2": {"shots": [{"registers": {"output_all": [0, 1]}}] * 3},
    }
    entry = job["results"]["ionq.result.histogram.json.v1"]
    assert (entry["format"], entry["media_type"]) == ("ionq.result.histogram.json.v1", "application/json")
    assert entry["sampled"] is True
    working.get(f"/jobs/{job['id']}/artifacts/nope", 404)


def test_artifacts_of_a_multi_circuit_job_and_of_its_circuits(working: Gateway) -> None:
    job = working.finished(multi([{"circuit": X0}, {"circuit": X1, "qubits": 3}], shots=2))
    (entry,) = (value for name, value in job["results"].items() if name.startswith("ionq."))
    assert entry["format"] == "ionq.result.probabilities-aggregate.json.v1"
    first, second = job["child_job_ids"]
    assert working.get(f"/jobs/{job['id']}/artifacts/{entry['id']}") == {first: {"1": 1.0}, second: {"2": 1.0}}
    child = working.get(f"/jobs/{second}")
    nested = child["results"]["ionq.result.shots.json.v2"]["id"]
    shots = working.get(f"/jobs/{second}/artifacts/{nested}")
    assert shots == {"shots": [{"registers": {"output_all": [0, 1, 0]}}] * 2}
    working.get(f"/jobs/{job['id']}/artifacts/{nested}", 404)
    assert working.get(f"/jobs/{job['id']}/results/histogram") == {first: {"1": 2}, second: {"2": 2}}
    assert "each child job" in working.get(f"/jobs/{job['id']}/results/shots", 404)["message"]


def test_an_unfinished_job_has_no_results(gateway: Gateway) -> None:
    job_id = gateway.submit(single())
    for path in ("probabilities", "probabilities/aggregated", "histogram", "shots"):
        error = gateway.get(f"/jobs/{job_id}/results/{path}", 404)
        assert error["message"] == f"job {job_id} is ready; only a completed job has results"


def test_a_played_machine_is_marked_priced_and_noisy(working: Gateway) -> None:
    job = working.finished(single(X0, backend="qpu.forte-1", shots=200))
    assert (job["output"], job["noise"]) == ({"simulated": True}, {"model": "forte-1"})
    assert job["cost"] == {"estimated": "25.7899", "reserved": "0", "charged": "25.7899", "unit": "usd"}
    assert working.get(f"/jobs/{job['id']}/cost")["cost"] == {"value": 25.7899, "unit": "usd"}
    assert sum(working.get(f"/jobs/{job['id']}/results/histogram").values()) == 200
    answer = working.client.post("/v0.4/jobs", json=single(X0, backend="qpu.forte-enterprise-1"))
    assert answer.status_code == 400
    assert "not published" in answer.json()["message"]
    named = working.finished(single(X0, backend="qpu.forte-enterprise-1", shots=50, noise={"model": "ideal"}))
    assert working.get(f"/jobs/{named['id']}/results/probabilities") == {"1": 1.0}


def outcome(kind: ResultKind, values: dict[str, float], shots: int = 100, machine: bool = False) -> Outcome:
    return Outcome(kind, values, shots, 2, outcome_seed("job", 0, None), machine)


def test_counts_that_a_machine_reported_are_taken_back_from_its_probabilities() -> None:
    reported = outcome(ResultKind.PROBABILITIES, {"0": 0.29, "3": 0.71}, machine=True)
    assert reported.counts == {"0": 29, "3": 71}
    assert not reported.sampled_here


def test_a_machine_that_reported_no_whole_counts_has_no_histogram() -> None:
    from quantum_db.gateway.api.errors import ApiError

    mitigated = outcome(ResultKind.PROBABILITIES, {"0": 0.2951, "3": 0.7049}, machine=True)
    with pytest.raises(ApiError, match="no counts of its shots"):
        _ = mitigated.counts


def test_two_circuits_of_one_job_draw_from_different_seeds() -> None:
    assert outcome_seed("job", 0, None) != outcome_seed("job", 1, None)
    assert outcome_seed("a", 3, 7) == outcome_seed("b", 3, 7)
