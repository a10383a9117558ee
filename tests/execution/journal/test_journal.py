import json
import multiprocessing
import time
from decimal import Decimal

import pytest

from quantum_db.backends.remote import CircuitJob, Collected, Ticket
from quantum_db.circuits import Circuit, op
from quantum_db.errors import StoreError
from quantum_db.execution.journal import Journal
from quantum_db.execution.journal.journal import FILE, circuit_keys, entry_keys, records

JOB = CircuitJob((Circuit(2, (op("RY", 0, angle=0.1),)), Circuit(1, (op("X", 0),))), shots=20, seed=3)
OPTIONS = {"noise_model": "ideal"}
RESULT = Collected(({0: 0.1 + 0.2, 3: 0.7}, {1: 1.0}), True, Decimal("25.7899"), 1.5, None, "cal-1")
DIGEST = JOB.digest("simulator", OPTIONS)


def begin(journal, job=JOB):
    return journal.record_intent(job, job.digest("simulator", OPTIONS), "simulator", OPTIONS, ((1, 0), (1, 0)))


def filled(folder):
    with Journal.open(folder, "run-1") as journal:
        entry = journal.record_submitted(begin(journal), Ticket(begin_intent(journal), "job-1", "2026-01-01T00:00:00Z"))
        journal.record_result(entry, RESULT)
    return folder / FILE


def begin_intent(journal):
    entry = journal.latest(DIGEST)
    return entry.intent


def test_everything_is_there_again_in_the_next_process(tmp_path):
    filled(tmp_path)
    for journal in (Journal.read(tmp_path), Journal.read(tmp_path / FILE), Journal.open(tmp_path, "run-1")):
        entry = journal.latest(DIGEST)
        assert (entry.state, entry.cost_usd, entry.ticket.job_id) == ("result", Decimal("25.7899"), "job-1")
        found = journal.result(entry)
        assert found.histograms == RESULT.histograms  # floats to the last bit
        assert found == pytest.approx(found)
        assert (found.exact, found.cost_usd, found.queue_s, found.run_s, found.calibration) == (
            True, Decimal("25.7899"), 1.5, None, "cal-1",
        )  # fmt: skip
        assert entry_keys(entry) == circuit_keys(JOB, "simulator", OPTIONS)
        journal.close()


def test_the_intent_id_is_the_same_in_every_process_and_new_for_every_attempt(tmp_path):
    with Journal.open(tmp_path, "run-1") as journal:
        expected = journal.next_intent_id(DIGEST)
        assert begin(journal).intent.intent_id == expected
    with Journal.open(tmp_path, "run-1") as journal:
        assert journal.next_intent_id(DIGEST) == expected
        entry = journal.latest(DIGEST)
        again = journal.record_again(entry)
        assert again.sent_at > entry.sent_at
        assert again.intent == entry.intent
        journal.record_dropped(again, "refused")
        assert journal.next_intent_id(DIGEST) == expected[:-1] + "2"
    with Journal.open(tmp_path / "other", "run-1") as journal:
        assert journal.next_intent_id(DIGEST) != expected


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_last_line_is_dropped_and_written_over(tmp_path, cut):
    path = filled(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    with Journal.open(tmp_path, "run-1") as journal:
        entry = journal.latest(DIGEST)
        assert entry.state == "submitted"
        journal.record_result(entry, RESULT)
    assert Journal.read(tmp_path).latest(DIGEST).state == "result"
    assert len(list(records(path))) == 4


def test_every_flipped_bit_is_seen(tmp_path):
    path = filled(tmp_path)
    whole = path.read_bytes()
    last_line = whole[:-1].rfind(b"\n") + 1
    for place in range(0, len(whole) - 1, 11):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        if damaged[place] == 0x0A or whole[place] == 0x0A:
            continue
        path.write_bytes(damaged)
        with pytest.raises(StoreError, match="does not fit the lines before it"):
            Journal.read(tmp_path)
    assert place > last_line


def test_lines_taken_out_or_moved_are_seen(tmp_path):
    path = filled(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    for changed in (lines[:1] + lines[2:], [lines[0], lines[2], lines[1], lines[3]], lines[1:], lines + lines[3:]):
        path.write_bytes(b"".join(changed))
        with pytest.raises(StoreError, match="line"):
            Journal.read(tmp_path)


def test_a_journal_of_another_run_is_refused(tmp_path):
    filled(tmp_path)
    with pytest.raises(StoreError, match="journal of run 'run-1', not of 'run-2'"):
        Journal.open(tmp_path, "run-2")
    Journal.open(tmp_path, "run-1").close()  # the lock was given back
    with pytest.raises(StoreError, match="there is no journal at"):
        Journal.read(tmp_path / "nothing")


def hold(folder, ready):
    journal = Journal.open(folder, "run-1")
    ready.send(journal.run)
    time.sleep(60)


def test_one_process_writes_at_a_time(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready, told = context.Pipe(duplex=False)
    holder = context.Process(target=hold, args=(tmp_path, told))
    holder.start()
    try:
        assert ready.poll(60)
        with pytest.raises(StoreError, match="written by another process"):
            Journal.open(tmp_path, "run-1")
        assert Journal.read(tmp_path).run == "run-1"
        holder.kill()  # the lock of a process that was killed is free
        holder.join()
        Journal.open(tmp_path, "run-1").close()
    finally:
        holder.kill()
        holder.join()


def test_records_that_cannot_follow_are_refused(tmp_path):
    with Journal.open(tmp_path, "run-1") as journal:
        entry = begin(journal)
        with pytest.raises(StoreError, match=r"'result' of job .* after 'intent'"):
            journal.record_result(entry, RESULT)


def test_nothing_is_written_to_a_journal_that_is_read(tmp_path):
    filled(tmp_path)
    with pytest.raises(StoreError, match="reading only"):
        begin(Journal.read(tmp_path), CircuitJob(JOB.circuits, 21))


def test_each_line_is_json_that_other_programs_can_read(tmp_path):
    kinds = [json.loads(line)["record"]["kind"] for line in filled(tmp_path).read_text().splitlines()]
    assert kinds == ["opened", "intent", "submitted", "result"]


def test_a_full_disk_leaves_the_journal_whole(tmp_path):
    import resource
    import signal

    with Journal.open(tmp_path, "run-1") as journal:
        begin(journal)
        size = (tmp_path / FILE).stat().st_size
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, limits[1]))
        try:
            with pytest.raises(StoreError, match="cannot be written"):
                begin(journal, CircuitJob(JOB.circuits, 21))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, before)
        assert (tmp_path / FILE).stat().st_size == size
        begin(journal, CircuitJob(JOB.circuits, 22))
    assert len(Journal.read(tmp_path).entries) == 2
