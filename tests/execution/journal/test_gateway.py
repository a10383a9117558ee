"""The backend, the journal and the budget against the real gateway."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import numpy as np
import pytest

from quantum_db.backends.ionq import IonQBackend, IonQClient, IonQOptions
from quantum_db.backends.ionq.sessions import begin_session, read_session
from quantum_db.backends.protocols import Batch, CircuitRows
from quantum_db.backends.statevector import StatevectorExecutor
from quantum_db.circuits import Circuit, feature, op
from quantum_db.errors import BudgetExceededError, ConfigurationError, RejectedJobError
from quantum_db.execution.budget.session_ledger import SessionBudget
from quantum_db.execution.budgeted import BudgetedExecutor
from quantum_db.execution.journal import Journal
from quantum_db.execution.journaled import JournaledExecutor
from quantum_db.execution.replay import ReplayExecutor
from quantum_db.execution.waiting import Patience
from tests.execution.journal.gateways import ForkServer
from tests.execution.journal.test_journaled import CIRCUIT, FAST, QUICK, batch

KEY = "the-key-of-this-test-0123456789"
PRICE = Decimal("0.37")  # the minimum of a job in the gateway's price table


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    server = ForkServer()
    with server.gateway(tmp_path_factory.mktemp("gateways") / "gateway", {"team": KEY}, "none") as address:
        yield address
    server.close()


def journaled(url, folder, **options):
    backend = IonQBackend.connect(IonQClient(url, KEY, FAST), "simulator", IonQOptions(**options))
    return JournaledExecutor(backend, Journal.open(folder, "run"), Patience(0.01, 0.1, 30), QUICK)


def test_values_are_exact_in_qis_and_in_native_gates(url, tmp_path):
    (wanted,) = StatevectorExecutor(precision="complex128").run(batch(8))
    for name, options in (("qis", {}), ("zz", {"native": "zz"}), ("ms", {"native": "ms"})):
        (found,) = journaled(url, tmp_path / name, **options).run(batch(8))
        np.testing.assert_allclose(found.values, wanted.values, atol=1e-10)


def test_noise_is_that_of_the_machine_and_follows_the_seed(url, tmp_path):
    noisy = journaled(url, tmp_path / "a", noise_model="aria-1")
    deep = Circuit(2, (op("H", 0), *[op("CNOT", 0, 1)] * 41), ("Z0 Z1",))
    rows = CircuitRows.of(deep)
    first = noisy.run(Batch((rows,), 2000, seed=1))[0].values
    again = journaled(url, tmp_path / "b", noise_model="aria-1").run(Batch((rows,), 2000, seed=1))[0].values
    other = noisy.run(Batch((rows,), 2000, seed=2))[0].values
    np.testing.assert_array_equal(first, again)
    assert first[0, 0] != other[0, 0]
    # 41 two-qubit gates, each of which keeps the parity with 1 - 16/15 * r, r = 0.0133 * 15/16
    assert 0.35 < first[0, 0] < 0.8


def test_what_the_gateway_refuses_is_refused_with_its_words(url, tmp_path):
    with pytest.raises(ConfigurationError, match=r"no target 'qpu.nine'; it has"):
        IonQBackend.connect(IonQClient(url, KEY, FAST), "qpu.nine")
    machine = journaled(url, tmp_path)
    machine.backend = IonQBackend.connect(IonQClient(url, KEY, FAST), "qpu.forte-1")
    with pytest.raises(RejectedJobError, match="HTTP 400"):
        machine.run(batch(shots=100))
    assert [entry.state for entry in machine.journal.entries] == ["dropped"]
    with pytest.raises(ConfigurationError, match="refused the API key"):
        IonQBackend.connect(IonQClient(url, "wrong", FAST), "simulator").find(machine.journal.entries[0].intent)


def small(number):
    """One circuit of one gate: its price is the minimum of a job."""
    circuit = Circuit(1, (op("RY", 0, angle=feature(0)),), ("Z0",))
    return Batch((CircuitRows.of(circuit, (), [[0.1 + number]]),), 10)


def session_executor(url, folder, session_id):
    inner = journaled(url, folder, session_id=session_id)
    return BudgetedExecutor(inner, SessionBudget(IonQClient(url, KEY, FAST), session_id), lambda sizes, shots: PRICE)


def test_a_session_holds_the_budget_and_a_new_one_goes_on_where_it_ended(url, tmp_path):
    client = IonQClient(url, KEY, FAST)
    session = begin_session(client, "simulator", Decimal("0.8"))
    budgeted = session_executor(url, tmp_path, session)
    wanted = [budgeted.run(small(number))[0].values for number in range(2)]
    with pytest.raises(BudgetExceededError, match=r"may cost 0.37 USD, and of the 0.8 USD of session .* 0.06 are left"):
        budgeted.run(small(2))
    assert read_session(client, session).spent == Decimal("0.74")
    budgeted.inner.journal.close()
    second = begin_session(client, "simulator", Decimal("0.37"))
    resumed = session_executor(url, tmp_path, second)
    for number, values in enumerate(wanted):
        np.testing.assert_array_equal(resumed.run(small(number))[0].values, values)
    resumed.run(small(2))
    assert read_session(client, second).spent == Decimal("0.37")


def test_pods_that_race_for_the_last_dollar_of_a_session_do_not_overspend(url, tmp_path):
    client = IonQClient(url, KEY, FAST)
    session = begin_session(client, "simulator", Decimal("1.5"))  # enough for four

    def pod(number):
        inner = journaled(url, tmp_path / f"pod{number}", session_id=session)
        try:
            inner.run(small(number))  # without a look before: the service decides
        except BudgetExceededError:
            return 0
        return 1

    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(pod, range(12))) == 4
    assert read_session(client, session).spent == 4 * PRICE


def test_the_key_is_in_no_file_of_the_run_and_the_run_replays_without_it(url, tmp_path):
    budgeted = journaled(url, tmp_path / "run")
    (wanted,) = budgeted.run(batch(shots=40, seed=3))
    budgeted.journal.close()
    for path in (tmp_path / "run").rglob("*"):
        assert KEY.encode() not in path.read_bytes()
    (found,) = ReplayExecutor.of_run(tmp_path / "run").run(batch(shots=40, seed=3))
    np.testing.assert_array_equal(found.values, wanted.values)
    assert CIRCUIT.n_qubits == 3
