import multiprocessing
import random
from decimal import Decimal

import pytest

from quantum_db.errors import BudgetExceededError, ConfigurationError, StoreError
from quantum_db.execution.budget.local_ledger import FILE, LocalBudget


def usd(text):
    return Decimal(text)


def state(ledger):
    balance = ledger.balance()
    return balance.spent, balance.reserved, balance.left


def test_money_is_reserved_settled_and_released(tmp_path):
    ledger = LocalBudget.open(tmp_path, "run", usd("10"))
    ledger.reserve("a", usd("6.1"))
    assert state(ledger) == (0, usd("6.1"), usd("3.9"))
    with pytest.raises(BudgetExceededError, match=r"may cost 4 USD, and of the budget of 10 USD 3.9 are left"):
        ledger.reserve("b", usd("4"))
    ledger.settle("a", usd("5.0001"))
    assert state(ledger) == (usd("5.0001"), 0, usd("4.9999"))
    ledger.reserve("b", usd("4.9999"))
    ledger.release("b")
    assert state(ledger) == (usd("5.0001"), 0, usd("4.9999"))
    ledger.reserve("b", usd("4"))
    assert state(ledger)[1] == 4


def test_every_step_may_be_repeated(tmp_path):
    ledger = LocalBudget.open(tmp_path, "run", usd("10"))
    for _ in range(3):
        ledger.reserve("a", usd("6"))
    for _ in range(3):
        ledger.settle("a", usd("5"))
    ledger.reserve("a", usd("6"))  # of a job that is over
    ledger.release("a")
    assert state(ledger) == (5, 0, 5)
    ledger.settle("a", usd("7"))  # the first word of the provider holds
    assert state(ledger) == (5, 0, 5)
    ledger.release("unknown")
    ledger.settle("of another ledger", usd("1"))
    assert state(ledger) == (6, 0, 4)


def test_an_unknown_cost_counts_what_was_reserved_until_it_is_known(tmp_path):
    ledger = LocalBudget.open(tmp_path, "run", usd("10"))
    ledger.reserve("a", usd("6"))
    ledger.settle("a", None)
    assert state(ledger) == (6, 0, 4)
    ledger.settle("a", None)
    ledger.settle("a", usd("2.5"))
    assert state(ledger) == (usd("2.5"), 0, usd("7.5"))


def test_a_bill_above_the_limit_is_counted_and_nothing_more_is_let_through(tmp_path):
    ledger = LocalBudget.open(tmp_path, "run", usd("1"))
    ledger.reserve("a", usd("1"))
    ledger.settle("a", usd("1.5"))
    assert state(ledger) == (usd("1.5"), 0, 0)
    with pytest.raises(BudgetExceededError, match="0 are left"):
        ledger.reserve("b", usd("0.01"))
    ledger.reserve("in flight already", usd("3"), force=True)
    assert state(ledger)[1] == 3


def test_a_raised_limit_holds_from_the_next_start(tmp_path):
    LocalBudget.open(tmp_path, "run", usd("0")).reserve("free", usd("0"))
    with pytest.raises(BudgetExceededError):
        LocalBudget.open(tmp_path, "run", usd("0")).reserve("a", usd("0.01"))
    LocalBudget.open(tmp_path, "run", usd("1")).reserve("a", usd("0.01"))
    unlimited = LocalBudget.open(tmp_path, "run", None)
    unlimited.reserve("b", usd("1e9"))
    assert unlimited.balance().left is None
    assert unlimited.reserved_keys("a") == ("a",)


@pytest.mark.parametrize("limit", [usd("-1"), usd("NaN"), usd("Infinity"), 5.0, "5"])
def test_impossible_budgets(tmp_path, limit):
    with pytest.raises(ConfigurationError, match="the budget is"):
        LocalBudget.open(tmp_path, "run", limit)


def test_files_of_other_runs_and_damaged_files(tmp_path):
    LocalBudget.open(tmp_path, "run", usd("1"))
    with pytest.raises(StoreError, match="budget of run 'run', not of 'other'"):
        LocalBudget.open(tmp_path, "other", usd("1"))
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / FILE).write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreError, match="cannot be used"):
        LocalBudget.open(tmp_path / "damaged", "run", usd("1"))
    with pytest.raises(StoreError):
        LocalBudget(tmp_path / "nothing.sqlite").balance()


ROUNDS, RACERS = 200, 10


def race(folder, number, barrier, results):
    ledger = LocalBudget(folder / FILE)
    generator = random.Random(number)
    won = []
    for round_number in range(ROUNDS):
        barrier.wait(60)
        try:
            ledger.reserve(f"{round_number}-{number}", usd("1"))
        except BudgetExceededError:
            continue
        won.append(round_number)
        barrier_free_cost = usd(generator.choice(["0.25", "1", "0.5"]))
        if generator.random() < 0.2:
            ledger.release(f"{round_number}-{number}")
        else:
            ledger.settle(f"{round_number}-{number}", barrier_free_cost)
    results.put(won)


def last_dollar(folder, number, barrier, results):
    """Every round has one dollar left, and everybody wants it."""
    won = 0
    for round_number in range(ROUNDS):
        ledger = LocalBudget(folder / f"{round_number}" / FILE)
        barrier.wait(60)
        try:
            ledger.reserve(f"of {number}", usd("1"))
            won += 1
        except BudgetExceededError:
            pass
    results.put(won)


def run_racers(target, folder):
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(RACERS), context.Queue()
    racers = [context.Process(target=target, args=(folder, number, barrier, results)) for number in range(RACERS)]
    for racer in racers:
        racer.start()
    found = [results.get(timeout=120) for _ in racers]
    for racer in racers:
        racer.join(10)
        assert racer.exitcode == 0
    return found


@pytest.mark.slow
def test_ten_processes_race_for_the_last_dollar_two_hundred_times(tmp_path):
    for round_number in range(ROUNDS):
        ledger = LocalBudget.open(tmp_path / f"{round_number}", "run", usd("5"))
        ledger.settle("before", usd("4"))
    won = run_racers(last_dollar, tmp_path)
    assert sum(won) == ROUNDS
    for round_number in range(ROUNDS):
        balance = LocalBudget(tmp_path / f"{round_number}" / FILE).balance()
        assert max(usd("0"), balance.spent + balance.reserved - usd("5")) == 0
        assert (balance.spent, balance.reserved) == (4, 1)


@pytest.mark.slow
def test_ten_processes_with_one_ledger_never_overspend_and_sums_stay_exact(tmp_path):
    ledger = LocalBudget.open(tmp_path, "run", usd("137.25"))
    run_racers(race, tmp_path)
    balance, entries = ledger.balance(), ledger.entries()
    assert balance.spent + balance.reserved <= usd("137.25")
    assert balance.spent == sum(entry.cost for entry in entries if entry.state == "settled")
    assert balance.reserved == 0
    assert balance.left < 1
