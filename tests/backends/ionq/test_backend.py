import json
from decimal import Decimal

import numpy as np
import pytest

from quantum_db.backends.ionq import IonQBackend, IonQClient, IonQOptions
from quantum_db.backends.ionq.client import Pace
from quantum_db.backends.remote import CircuitJob, Intent
from quantum_db.circuits import Circuit, op
from quantum_db.errors import (
    BackendError,
    BudgetExceededError,
    ConfigurationError,
    LostJobError,
    RejectedJobError,
    TransientBackendError,
)
from tests.backends.ionq.provider import KEY, Provider, serving

FAST = Pace(connect=2, answer=5, patience=1.5, first_delay=0.01, longest_delay=0.05, per_second=1e4, burst=1000)
# asymmetric: another order of bits or of circuits gives other numbers
FIRST = Circuit(3, (op("RY", 0, angle=0.4), op("CNOT", 0, 2), op("RX", 1, angle=1.1)))
SECOND = Circuit(2, (op("X", 0), op("RY", 1, angle=0.3)))


@pytest.fixture
def provider():
    return Provider()


@pytest.fixture
def url(provider):
    with serving(provider) as address:
        yield address


def backend(url, target="simulator", **options):
    return IonQBackend.connect(IonQClient(url, KEY, FAST), target, IonQOptions(**options))


def run(machine, job, intent_id="intent-1"):
    ticket = machine.submit(job, Intent.of(job, machine.target, intent_id))
    for _ in range(10):
        if machine.statuses([ticket])[0].is_terminal:
            break
    return machine.collect(ticket)


def exact(circuit):
    return np.abs(circuit.unitary()[:, 0]) ** 2


def dense(histogram, qubits):
    table = np.zeros(2**qubits)
    for state, value in histogram.items():
        table[state] = value
    return table


def last_body(provider):
    return json.loads(next(body for method, _, _, body in reversed(provider.requests) if method == "POST"))


def test_results_come_in_our_order_of_bits(url):
    collected = run(backend(url), CircuitJob((FIRST,)))
    np.testing.assert_allclose(dense(collected.histograms[0], 3), exact(FIRST), atol=1e-12)
    assert collected.exact


@pytest.mark.parametrize("shuffle", [False, True])
def test_results_of_several_circuits_come_in_the_order_of_the_job(url, provider, shuffle):
    provider.change = (lambda answer: dict(reversed(answer.items()))) if shuffle else provider.change
    job = CircuitJob((FIRST, SECOND, Circuit(3, (op("X", 2),))))
    collected = run(backend(url), job)
    for circuit, histogram in zip(job.circuits, collected.histograms, strict=True):
        np.testing.assert_allclose(dense(histogram, circuit.n_qubits), exact(circuit), atol=1e-12)


def test_what_is_sent(url, provider):
    run(backend(url), CircuitJob((FIRST, SECOND), shots=300, seed=5), "qs-a:b-1")
    body = last_body(provider)
    assert body["type"] == "ionq.multi-circuit.v1"
    assert body["shots"] == 300
    assert body["metadata"] == {"qstore_intent": "qs-a:b-1"}
    assert body["name"] == "qs-a-b-1"
    assert body["settings"] == {"error_mitigation": {"debiasing": False}}
    assert body["noise"] == {"model": "ideal"}
    assert body["input"]["qubits"] == 3
    run(backend(url, noise_model="forte-1"), CircuitJob((FIRST,), shots=10, seed=2**31 - 1, as_written=True))
    body = last_body(provider)
    assert body["type"] == "ionq.circuit.v1"
    assert body["noise"] == {"model": "forte-1", "seed": 1}
    assert body["settings"]["compilation"] == {"opt": 0}
    machine = backend(url, "qpu.forte", debiasing=True, optimization=1, session_id="s-1")
    machine.submit(CircuitJob((FIRST,), 10), Intent.of(CircuitJob((FIRST,), 10), machine.target, "i"))
    body = last_body(provider)
    assert (body["backend"], body["session_id"]) == ("qpu.forte-1", "s-1")
    assert "noise" not in body
    assert body["settings"] == {"error_mitigation": {"debiasing": True}, "compilation": {"opt": 1}}


def test_native_gates_are_sent_on_request(url, provider):
    machine = backend(url, native="zz")
    job = CircuitJob((SECOND, FIRST), 10)
    machine.submit(job, Intent.of(job, machine.target, "i"))
    body = last_body(provider)
    assert body["input"]["gateset"] == "native"
    kinds = {gate["gate"] for one in body["input"]["circuits"] for gate in one["circuit"]}
    assert kinds <= {"gpi", "gpi2", "zz"}
    assert machine.sizes(job)[0][1] == 0
    with pytest.raises(RejectedJobError, match="as written"):
        machine.check(CircuitJob((FIRST,), 10, as_written=True))


def test_gates_are_counted_as_they_are_sent(url):
    assert backend(url).sizes(CircuitJob((FIRST, Circuit(2, (op("CRY", 0, 1, angle=0.1),))))) == ((2, 1), (2, 2))


def test_limits_are_checked_before_anything_is_sent(url, provider):
    machine = backend(url)
    wide = Circuit(30, (op("X", 29),))
    sent = len(provider.requests)
    for job, message in (
        (CircuitJob((wide,)), "30 qubits, and simulator takes at most 29"),
        (CircuitJob((FIRST,), 1_000_001), "1000001 shots"),
        (CircuitJob((FIRST,), 0), "at least 1"),
        (CircuitJob((FIRST,) * 5001), "5001 circuits"),
        (CircuitJob((Circuit(1, (op("H", 0),) * 150_001),)), "150001 gates"),
        (CircuitJob((Circuit(1),)), "has no gates"),
    ):
        with pytest.raises(RejectedJobError, match=message):
            machine.submit(job, Intent.of(job, "simulator", "i"))
    with pytest.raises(RejectedJobError, match="no exact values"):
        backend(url, noise_model="aria-1").check(CircuitJob((FIRST,)))
    assert all(method == "GET" for method, *_ in provider.requests[sent:])


def test_targets(url):
    with pytest.raises(ConfigurationError, match=r"no target 'qpu.nine'; it has: qpu.forte-1, simulator"):
        backend(url, "qpu.nine")
    with pytest.raises(ConfigurationError, match=r"'qpu.aria-1'; it is retired, use 'qpu.forte-1'"):
        backend(url, "qpu.aria-1")
    with pytest.raises(ConfigurationError, match="noise of its own"):
        backend(url, "qpu.forte-1", noise_model="aria-1")
    with pytest.raises(ConfigurationError, match="would ignore it"):
        backend(url, debiasing=True)
    report = backend(url, "qpu.forte-1").report()
    assert (report.available, report.queue_s, report.n_qubits, report.calibration) == (True, 90.0, 36, "cal-7")


@pytest.mark.parametrize(
    ("address", "key", "message"),
    [
        ("", " ", "no API key"),
        ("ftp://host", KEY, "give one like"),
        ("http://ann:pw@host", KEY, "carries a login"),
        ("http://host/prefix/v0.4", KEY, "root of a host"),
    ],
)
def test_impossible_addresses_and_keys(address, key, message):
    with pytest.raises(ConfigurationError, match=message) as raised:
        IonQClient(address, key)
    assert "pw" not in str(raised.value)


def test_a_refused_key_is_not_shown(url):
    client = IonQClient(url, "another-secret", FAST)
    for call in (lambda: client.get("/jobs"), lambda: client.submit(b"{}")):
        with pytest.raises(ConfigurationError, match="refused the API key") as raised:
            call()
        assert "another-secret" not in str(raised.value)
    assert "another-secret" not in repr(client)


def test_a_key_that_was_changed_while_running_is_read_again(url):
    keys = iter(["old", KEY])
    client = IonQClient(url, lambda: next(keys, KEY), FAST)
    assert client.get("/jobs")["jobs"] == []


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 524])
def test_reads_are_repeated_on_passing_faults(url, provider, status):
    machine = backend(url)
    job = CircuitJob((FIRST,))
    provider.faults = [("GET", "/jobs", status), ("GET", "/jobs", "drop"), ("GET", "/results", status)]
    collected = run(machine, job)
    assert not provider.faults
    np.testing.assert_allclose(dense(collected.histograms[0], 3), exact(FIRST), atol=1e-12)


def test_a_read_gives_up_after_its_patience(url, provider):
    machine = backend(url)
    provider.faults = [("GET", "/backends", 503)] * 1000
    with pytest.raises(TransientBackendError, match=r"in 1.5 s, last with HTTP 503"):
        machine.report()


@pytest.mark.parametrize(
    ("fault", "kind", "accepted"),
    [
        (429, TransientBackendError, 0),
        (400, RejectedJobError, 0),
        (402, BudgetExceededError, 0),
        (500, LostJobError, 0),
        (503, LostJobError, 0),
        (504, LostJobError, 0),
        (("after", 503), LostJobError, 1),
        (("after", 504), LostJobError, 1),
        ("drop", LostJobError, 1),
    ],
)
def test_a_submission_is_sent_once_and_its_error_says_what_is_known(url, provider, fault, kind, accepted):
    machine, job = backend(url), CircuitJob((FIRST,), 10)
    provider.faults = [("POST", "/jobs", fault)]
    before = len(provider.requests)
    with pytest.raises(kind) as raised:
        machine.submit(job, Intent.of(job, "simulator", "i"))
    assert type(raised.value) is kind
    assert len(provider.jobs) == accepted
    assert sum(method == "POST" for method, *_ in provider.requests[before:]) == 1
    assert "rotation" not in str(raised.value)
    assert KEY not in str(raised.value)


def test_a_provider_that_is_not_there_has_accepted_nothing():
    client = IonQClient("http://127.0.0.1:9", KEY, FAST)
    with pytest.raises(TransientBackendError, match="cannot be reached"):
        client.submit(b"{}")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda answer: dict(list(answer.items())[:-1]), "results of 1 circuits, and 2"),
        (lambda answer: {f"{name}x": one for name, one in answer.items()}, "no result of 2 of the circuits"),
        (lambda answer: {name: {} for name in answer}, "holds no probabilities for circuit 0"),
        (lambda answer: {name: {"0": 0.5} for name in answer}, "sum to 0.5"),
        (lambda answer: {name: {"0": -0.5, "1": 1.5} for name in answer}, "'-0.5' as a probability"),
        (lambda answer: {name: {"8": 1.0} for name in answer}, "does not have"),
        (lambda answer: {name: {"x": 1.0} for name in answer}, "does not have"),
        (lambda answer: [], "no JSON object"),
    ],
)
def test_incomplete_results_are_refused_whole(url, provider, change, message):
    provider.change = change
    with pytest.raises(BackendError, match=message):
        run(backend(url), CircuitJob((FIRST, SECOND)))


def test_a_job_is_found_by_its_intent_over_many_pages(url, provider):
    machine, job = backend(url), CircuitJob((FIRST,), 10)
    intent = Intent.of(job, "simulator", "qs-wanted-1")
    assert machine.find(intent) == ()
    ticket = machine.submit(job, intent)
    for number in range(12):
        machine.submit(job, Intent.of(job, "simulator", f"qs-other-{number}"))
    provider.page = 5
    assert [one.job_id for one in machine.find(intent)] == [ticket.job_id]
    again = machine.submit(job, intent)
    assert [one.job_id for one in machine.find(intent)] == [ticket.job_id, again.job_id]
    machine.cancel(again)
    assert provider.jobs[again.job_id]["status"] == "canceled"


def test_old_jobs_are_not_paged_through(url, provider):
    machine, job = backend(url), CircuitJob((FIRST,), 10)
    for number in range(30):
        machine.submit(job, Intent.of(job, "simulator", f"qs-other-{number}"))
    for one in provider.jobs.values():
        one["at"] = "2020-01-01T00:00:00Z"
    provider.page = 5
    before = len(provider.requests)
    assert machine.find(Intent.of(job, "simulator", "qs-wanted-1")) == ()
    assert len(provider.requests) - before == 1


def test_many_jobs_are_asked_for_together(url, provider):
    machine, job = backend(url), CircuitJob((FIRST,), 10)
    tickets = [machine.submit(job, Intent.of(job, "simulator", f"i{number}")) for number in range(60)]
    before = len(provider.requests)
    assert len(machine.statuses(tickets)) == 60
    assert len(provider.requests) - before == 2


def test_failed_unknown_and_vanished_jobs(url, provider):
    provider.failure = {"code": "QuotaExhaustedError", "message": "no money"}
    machine, job = backend(url), CircuitJob((FIRST,), 10)
    ticket = machine.submit(job, Intent.of(job, "simulator", "i"))
    while not (status := machine.statuses([ticket])[0]).is_terminal:
        pass
    assert (status.state, status.code, status.message) == ("failed", "QuotaExhaustedError", "no money")
    with pytest.raises(BackendError, match="is failed"):
        machine.collect(ticket)
    provider.jobs[ticket.job_id]["status"] = "dreaming"
    with pytest.raises(LostJobError, match="'dreaming'"):
        machine.statuses([ticket])
    provider.jobs.clear()
    with pytest.raises(LostJobError, match="does not know job"):
        machine.statuses([ticket])


def test_money_is_exact(url, provider):
    provider.usd_per_circuit = "25.7899"
    assert run(backend(url), CircuitJob((FIRST, SECOND))).cost_usd == Decimal("51.5798")
