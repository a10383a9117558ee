import csv
import json
from decimal import Decimal

import pytest

from quantum_db.backends.remote import CircuitJob, Collected, Ticket
from quantum_db.circuits import Circuit, op
from quantum_db.cli import main
from quantum_db.execution.budget.local_ledger import LocalBudget
from quantum_db.execution.journal import Journal

JOBS = [CircuitJob((Circuit(1, (op("RX", 0, angle=0.1 * number),)),), shots=10 + number) for number in range(1, 4)]


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    with Journal.open(folder, "train-7") as journal:
        entries = [
            journal.record_intent(job, job.digest("qpu.forte-1", {}), "qpu.forte-1", {}, ((1, 0),)) for job in JOBS
        ]
        for number, entry in enumerate(entries[:2]):
            entry = journal.record_submitted(entry, Ticket(entry.intent, f"job-{number}", "2026-01-01T00:00:00Z"))
            if number == 0:
                journal.record_result(entry, Collected(({0: 0.25, 1: 0.75},), False, Decimal("25.7899"), 9.0, 2.0, "c"))
    return folder


def output(capsys, *arguments):
    code = main(["journal", *map(str, arguments)])
    streams = capsys.readouterr()
    return code, streams.out, streams.err


def test_show(run, capsys):
    code, text, _ = output(capsys, "show", "--run", run)
    assert code == 0
    lines = text.splitlines()
    assert lines[1].split() == ["result", "qpu.forte-1", "1", "11", "25.7899", "job-0"]
    assert lines[3].startswith("intent ")
    assert lines[-1] == "run train-7: 3 jobs (1 intent, 1 result, 1 submitted), 3 circuits, 25.7899 USD"
    code, text, _ = output(capsys, "show", "--run", run / "journal.jsonl", "--json")
    found = json.loads(text)
    assert (found["cost_usd"], found["states"]["submitted"], len(found["job_list"])) == ("25.7899", 1, 3)


def test_export(run, capsys, tmp_path):
    assert output(capsys, "export", "--run", run, "--output", tmp_path / "jobs.csv")[0] == 0
    rows = list(csv.DictReader((tmp_path / "jobs.csv").open()))
    assert [row["job_id"] for row in rows] == ["job-0", "job-1", ""]
    assert output(capsys, "export", "--run", run, "--output", tmp_path / "jobs.json")[0] == 0
    first = json.loads((tmp_path / "jobs.json").read_text())["job_list"][0]
    assert first["histograms"] == [{"0": 0.25, "1": 0.75}]
    assert first["calibration"] == "c"
    code, _, error = output(capsys, "export", "--run", run, "--output", tmp_path / "jobs.txt")
    assert (code, "ends in .csv or .json" in error) == (2, True)


def test_verify(run, capsys):
    head = Journal.read(run).head
    assert output(capsys, "verify", "--run", run, "--head", head)[0] == 0
    path = run / "journal.jsonl"
    whole = path.read_bytes()
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))  # the end cut off fits all lines that are left
    assert output(capsys, "verify", "--run", run)[0] == 0
    code, _, error = output(capsys, "verify", "--run", run, "--head", head)
    assert (code, "cut off" in error) == (2, True)
    path.write_bytes(whole.replace(b"0.25", b"0.35"))
    code, _, error = output(capsys, "verify", "--run", run)
    assert (code, "does not fit the lines before it" in error) == (2, True)


def test_verify_compares_with_the_budget(run, capsys):
    ledger = LocalBudget.open(run, "train-7", Decimal(100))
    intent_id = Journal.read(run).entries[0].intent.intent_id
    ledger.settle(intent_id, Decimal("25.7899"))
    assert output(capsys, "verify", "--run", run)[0] == 0
    (run / "budget.sqlite").unlink()
    LocalBudget.open(run, "train-7", Decimal(100)).settle(intent_id, Decimal(1))
    code, _, error = output(capsys, "verify", "--run", run)
    assert (code, "25.7899 USD by the journal and 1 USD by the budget" in error) == (2, True)


def test_what_is_wrong_is_said(run, capsys, tmp_path):
    assert output(capsys)[0] == 2
    assert output(capsys, "--help")[0] == 0
    for arguments, message in (
        (("forget",), "unknown command 'journal forget'"),
        (("show", "--run", tmp_path / "nothing"), "there is no journal"),
    ):
        code, _, error = output(capsys, *arguments)
        assert (code, message in error) == (2, True)
