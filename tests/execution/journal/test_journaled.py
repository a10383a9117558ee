import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from quantum_db.backends.ionq import IonQBackend, IonQClient, IonQOptions
from quantum_db.backends.ionq.client import Pace
from quantum_db.backends.protocols import Batch, CircuitRows
from quantum_db.backends.statevector import StatevectorExecutor
from quantum_db.circuits import Circuit, feature, op, weight
from quantum_db.errors import BackendError, LostJobError, RejectedJobError, TransientBackendError
from quantum_db.execution.journal import Journal, JournalMissError
from quantum_db.execution.journaled import JournaledExecutor, Persistence
from quantum_db.execution.replay import ReplayExecutor
from quantum_db.execution.waiting import Patience
from tests.backends.ionq.provider import KEY, Provider, serving

CIRCUIT = Circuit(
    3,
    (op("RY", 0, angle=feature(0)), op("CNOT", 0, 2), op("RX", 1, angle=weight(0)), op("CRY", 1, 2, angle=0.4)),
    ("Z0", "X1 Z2", "Y2"),
)
FAST = Pace(connect=2, answer=5, patience=1.0, first_delay=0.01, longest_delay=0.05, per_second=1e4, burst=1000)
QUICK = Persistence(settle=0.2, look=0.02, busy=1.0, first_delay=0.01, longest_delay=0.05)


@pytest.fixture
def provider():
    return Provider(usd_per_circuit="0.5")


@pytest.fixture
def url(provider):
    with serving(provider) as address:
        yield address


def executor(url, folder, persistence=QUICK, limit=20.0, **options):
    backend = IonQBackend.connect(IonQClient(url, KEY, FAST), "simulator", IonQOptions(**options))
    return JournaledExecutor(backend, Journal.open(folder, "run"), Patience(0.01, 0.05, limit), persistence)


def batch(rows=3, shots=None, seed=0, offset=0.0):
    features = np.linspace(-1, 1, rows)[:, None] + offset
    return Batch((CircuitRows.of(CIRCUIT, [0.7], features),), shots, seed)


def posts(provider):
    return sum(method == "POST" for method, *_ in provider.requests)


def test_values_are_those_of_the_embedded_simulator(url, tmp_path):
    with executor(url, tmp_path).journal as journal:
        journaled = JournaledExecutor(executor_backend(url), journal, Patience(0.01, 0.05))
        (found,) = journaled.run(batch())
    (wanted,) = StatevectorExecutor(precision="complex128").run(batch())
    np.testing.assert_allclose(found.values, wanted.values, atol=1e-9)
    assert found.standard_errors is None


def executor_backend(url):
    return IonQBackend.connect(IonQClient(url, KEY, FAST), "simulator", IonQOptions())


def test_exact_values_do_not_depend_on_the_seed_and_are_paid_for_once(url, tmp_path, provider):
    journaled = executor(url, tmp_path)
    first, other = (journaled.run(batch(seed=seed))[0].values for seed in (1, 2))
    np.testing.assert_array_equal(first, other)
    assert len(provider.jobs) == 1


def test_shots_are_drawn_by_the_seed(url, tmp_path):
    journaled = executor(url, tmp_path)
    first, again, other = (journaled.run(batch(shots=100, seed=seed))[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.values, again.values)
    assert not np.array_equal(first.values, other.values)
    assert first.standard_errors is not None
    counts = (first.values + 1) / 2 * 100
    np.testing.assert_allclose(counts, np.round(counts), atol=1e-9)


def test_the_same_request_is_answered_from_the_journal(url, tmp_path, provider):
    journaled = executor(url, tmp_path)
    first = journaled.run(batch(shots=50, seed=4))[0].values
    requests = len(provider.requests)
    np.testing.assert_array_equal(journaled.run(batch(shots=50, seed=4))[0].values, first)
    journaled.journal.close()
    resumed = executor(url, tmp_path)
    at_start = len(provider.requests)
    np.testing.assert_array_equal(resumed.run(batch(shots=50, seed=4))[0].values, first)
    assert len(provider.requests) == at_start
    assert requests < at_start  # only the look at the target when it was connected


@pytest.mark.parametrize(
    "fault", [429, 503, 504, 500, ("after", 503), ("after", 504), "drop", "twice"], ids=lambda fault: str(fault)
)
def test_every_fault_of_a_submission_is_overcome_and_paid_for_once(url, tmp_path, provider, fault):
    undisturbed = executor(url, tmp_path / "a").run(batch(shots=50, seed=4))[0].values
    provider.jobs.clear()
    provider.faults = [("POST", "/jobs", fault)]
    found = executor(url, tmp_path / "b").run(batch(shots=50, seed=4))[0].values
    np.testing.assert_array_equal(found, undisturbed)
    # a request that was delivered twice is seen only where the answer was lost; IonQ has no idempotency key
    assert set(provider.paid.values()) == ({2} if fault == "twice" else {1})
    assert not provider.faults


def test_copies_of_a_job_are_stopped(url, tmp_path, provider):
    provider.faults = [("POST", "/jobs", "twice")]
    provider.states = ("submitted",) * 50 + ("completed",)
    journaled = executor(url, tmp_path)
    lost = executor(url, tmp_path / "other")
    submit = lost.backend.submit

    def losing(job, intent):
        submit(job, intent)
        raise LostJobError("no answer")

    lost.backend.submit = losing
    lost.run(batch())
    assert sorted(job["status"] for job in provider.jobs.values()) == ["canceled", "completed"]
    journaled.journal.close()


def test_an_intent_without_an_answer_is_looked_up_by_the_next_process(url, tmp_path, provider):
    journaled = executor(url, tmp_path)
    journaled.journal.record_submitted = None  # the process dies before it can write the id down
    with pytest.raises(TypeError):
        journaled.run(batch())
    journaled.journal.close()
    resumed = executor(url, tmp_path)
    before = posts(provider)
    resumed.run(batch())
    assert posts(provider) == before
    assert resumed.journal.entries[0].state == "result"


def test_an_absent_job_is_submitted_again_after_the_settle_time_under_the_same_id(url, tmp_path, provider):
    journaled = executor(url, tmp_path)

    def dying(job, intent):
        raise KeyboardInterrupt

    journaled.backend.submit = dying
    with pytest.raises(KeyboardInterrupt):
        journaled.run(batch())
    intent_id = journaled.journal.entries[0].intent.intent_id
    journaled.journal.close()
    resumed = executor(url, tmp_path)
    resumed.run(batch())
    (job,) = provider.jobs.values()
    assert job["body"]["metadata"]["qstore_intent"] == intent_id


def test_a_provider_that_cannot_be_asked_is_not_sent_anything(url, tmp_path, provider):
    journaled = executor(url, tmp_path)
    provider.faults = [("POST", "/jobs", ("after", 503))] + [("GET", "/jobs$", 503)] * 1000
    with pytest.raises(LostJobError, match="nothing is submitted until it can"):
        journaled.run(batch())
    assert posts(provider) == 1
    provider.faults.clear()
    journaled.run(batch())
    assert posts(provider) == 1


def test_a_provider_that_takes_nothing_ends_in_a_dropped_intent(url, tmp_path, provider):
    journaled = executor(url, tmp_path)
    provider.faults = [("POST", "/jobs", 429)] * 1000
    with pytest.raises(TransientBackendError, match="takes no more jobs"):
        journaled.run(batch())
    assert posts(provider) > 3
    assert journaled.journal.entries[0].state == "dropped"
    provider.faults.clear()
    journaled.run(batch())
    assert [entry.state for entry in journaled.journal.entries] == ["dropped", "result"]


def test_a_refusal_after_a_lost_answer_is_not_taken_for_nothing_submitted(url, tmp_path, provider):
    """First no answer and nothing to be found; then a refusal, while the first submission arrives late after all."""
    journaled = executor(url, tmp_path)
    backend, sent = journaled.backend, []
    submit = backend.submit

    def late(job, intent):
        sent.append(intent)
        if len(sent) == 1:
            raise LostJobError("no answer")
        submit(job, intent)  # the first one, which arrives now
        raise TransientBackendError("too many requests")

    backend.submit = late
    journaled.persistence = Persistence(settle=0.1, look=0.02, busy=0.0)
    journaled.run(batch())
    assert len(provider.jobs) == 1
    assert [entry.state for entry in journaled.journal.entries] == ["result"]


def test_a_job_that_vanished_does_not_disturb_the_others(url, tmp_path, provider):
    provider.states = ("submitted",) * 12 + ("completed",)
    journaled = executor(url, tmp_path)
    vanished = threading.Timer(0.15, lambda: provider.jobs.pop(next(iter(provider.jobs))))
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(journaled.run, batch(offset=9.0))
        wait_for(lambda: provider.jobs)
        others = [pool.submit(journaled.run, batch(offset=number)) for number in range(3)]
        wait_for(lambda: len(provider.jobs) == 4)
        vanished.start()
        for other in others:
            assert other.result(20)[0].values.shape == (3, 3)
        with pytest.raises(LostJobError, match="does not know job"):
            first.result(20)


def wait_for(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_failed_job_is_written_down_and_submitted_anew_when_asked_again(url, tmp_path, provider):
    provider.failure = {"code": "QuantumComputerError", "message": "laser is off"}
    journaled = executor(url, tmp_path)
    with pytest.raises(RejectedJobError, match=r"failed \(QuantumComputerError: laser is off\); charged: 0"):
        journaled.run(batch())
    provider.failure = None
    journaled.run(batch())
    assert [entry.state for entry in journaled.journal.entries] == ["failed", "result"]
    assert len(provider.jobs) == 2


def test_a_job_that_takes_too_long_is_adopted_later(url, tmp_path, provider):
    provider.states = ("submitted",) * 40 + ("completed",)
    journaled = executor(url, tmp_path, limit=0.1)
    with pytest.raises(LostJobError, match=r"not over after 0.1 s"):
        journaled.run(batch())
    journaled.journal.close()
    resumed = executor(url, tmp_path)
    resumed.run(batch())
    assert posts(provider) == 1


def test_incomplete_results_are_asked_for_again_and_not_paid_again(url, tmp_path, provider):
    provider.change = lambda answer: dict(list(answer.items())[1:])
    journaled = executor(url, tmp_path)
    with pytest.raises(BackendError, match="none of it is used"):
        journaled.run(batch())
    provider.change = lambda answer: answer
    journaled.run(batch())
    assert len(provider.jobs) == 1


def test_threads_share_one_job_for_the_same_batch_and_one_poller_for_all(url, tmp_path, provider):
    provider.states = ("submitted",) * 4 + ("completed",)
    journaled = executor(url, tmp_path)
    asked = [batch(offset=0.1 * (number // 2)) for number in range(24)]
    with ThreadPoolExecutor(24) as pool:
        results = list(pool.map(journaled.run, asked))
    assert len(provider.jobs) == 12
    for number in range(0, 24, 2):
        np.testing.assert_array_equal(results[number][0].values, results[number + 1][0].values)
        assert number == 0 or not np.array_equal(results[number][0].values, results[0][0].values)
    assert not [thread for thread in threading.enumerate() if thread.name == "job-waiter" and wait_out(thread)]


def wait_out(thread):
    thread.join(5)
    return thread.is_alive()


def test_jobs_in_flight_are_brought_to_their_end(url, tmp_path, provider):
    provider.states = ("submitted",) * 20 + ("completed",)
    journaled = executor(url, tmp_path, limit=0.05)
    for number in range(3):
        with pytest.raises(LostJobError):
            journaled.run(batch(offset=number))
    journaled.journal.close()
    resumed = executor(url, tmp_path)
    assert resumed.adopt_open() == 3
    assert [entry.state for entry in resumed.journal.entries] == ["result"] * 3
    assert resumed.adopt_open() == 0


def test_a_replay_needs_no_network_and_gives_the_same_numbers(url, tmp_path, provider):
    journaled = executor(url, tmp_path)
    wanted = [journaled.run(batch(shots=shots, seed=7))[0].values for shots in (None, 60)]
    journaled.journal.close()
    before = len(provider.requests)
    replay = ReplayExecutor.of_run(tmp_path)
    for shots, values in zip((None, 60), wanted, strict=True):
        np.testing.assert_array_equal(replay.run(batch(shots=shots, seed=7))[0].values, values)
        # one row alone: circuits are found whatever job they were part of
        np.testing.assert_array_equal(replay.run(one_row(shots))[0].values, values[1:2])
    assert len(provider.requests) == before
    with pytest.raises(JournalMissError, match=r"lacks 6 of the 6 circuits .*would cost up to 18 USD"):
        ReplayExecutor.of_run(tmp_path, price=lambda job: 3 * len(job.circuits)).run(batch(shots=60, seed=8))
    with pytest.raises(JournalMissError, match="lacks 2 of the 4"):
        replay.run(Batch((CircuitRows.of(CIRCUIT, [0.7], [[0.0], [0.123]]),), 60, 7))


def one_row(shots):
    return Batch((CircuitRows.of(CIRCUIT, [0.7], [[0.0]]),), shots, 7)


def test_a_circuit_without_gates_needs_no_machine(url, tmp_path, provider):
    journaled = executor(url, tmp_path)
    nothing = Batch((CircuitRows.of(Circuit(2, (), ("Z0", "Z1"))),))
    np.testing.assert_array_equal(journaled.run(nothing)[0].values, [[1.0, 1.0]])
    assert journaled.due(nothing) is None
    assert posts(provider) == 0
