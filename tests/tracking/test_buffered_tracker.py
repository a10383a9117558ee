import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from quantum_db.errors import StoreError
from quantum_db.tracking import spool as spool_file
from quantum_db.tracking.address import default_tracking_uri
from quantum_db.tracking.buffered_tracker import BufferedTracker
from quantum_db.tracking.mlflow_tracker import MlflowTracker
from quantum_db.tracking.tracker import NotStartedError, TrackingError


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Interrupted(MlflowTracker):
    """A real SQLite store behind a connection that the test can cut."""

    away = False

    def start(
        self, run_name: str, params: Mapping[str, object], tags: Mapping[str, str], resume_run_id: Any = None
    ) -> str:
        self._reach()
        return super().start(run_name, params, tags, resume_run_id)

    def log_metrics(self, metrics: Mapping[str, float], step: int, timestamp_ms: int | None = None) -> None:
        self._reach()
        super().log_metrics(metrics, step, timestamp_ms)

    def _reach(self) -> None:
        if self.away:
            raise TrackingError("the connection is cut")


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    uri = default_tracking_uri(tmp_path_factory.mktemp("store"))
    MlflowTracker(uri).start("makes the database", {}, {})
    return uri


def steps(uri: str, run_id: str, metric: str = "loss") -> list[int]:
    return [entry.step for entry in MlflowClient(tracking_uri=uri).get_metric_history(run_id, metric)]


def test_with_a_store_that_answers_everything_arrives_and_no_spool_is_left(uri: str, tmp_path: Path) -> None:
    tracker = BufferedTracker(MlflowTracker(uri), tmp_path / "spool.jsonl")
    run_id = tracker.start("run", {"seed": 1}, {"kind": "test"})
    assert run_id
    for step in range(1, 21):
        tracker.log_metrics({"loss": 1 / step}, step)
    tracker.log_text("circuit", "circuit.txt")
    tracker.log_dict({"edges": [(0, 1)], "path": Path("x")}, "map.json")
    tracker.log_artifact(tmp_path)
    tracker.finish()
    assert steps(uri, run_id) == list(range(1, 21))
    client = MlflowClient(tracking_uri=uri)
    assert client.get_run(run_id).info.status == "FINISHED"
    assert {entry.path for entry in client.list_artifacts(run_id)} >= {"circuit.txt", "map.json"}
    assert not (tmp_path / "spool.jsonl").exists()


def test_records_of_an_outage_are_sent_when_the_store_is_back(
    uri: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    inner = Interrupted(uri)
    inner.away = True
    tracker = BufferedTracker(inner, tmp_path / "spool.jsonl")
    began = time.monotonic()
    assert tracker.start("outage", {}, {}) == ""
    tracker.log_metrics({"loss": 1.0}, 1)
    tracker.log_metrics({"loss": 0.5}, 2)
    assert time.monotonic() - began < 0.5
    inner.away = False
    tracker.log_metrics({"loss": 0.25}, 3)
    tracker.finish()
    assert steps(uri, tracker.run_id) == [1, 2, 3]
    assert not (tmp_path / "spool.jsonl").exists()
    assert "Training goes on" in caplog.text
    assert "answers again" in caplog.text


def test_an_outage_until_the_end_leaves_a_spool_that_can_be_sent_twice_without_harm(
    uri: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = tmp_path / "spool.jsonl"
    inner = Interrupted(uri)
    tracker = BufferedTracker(inner, spool, finish_wait_s=0.3)
    run_id = tracker.start("cut", {"seed": 3}, {})
    tracker.log_metrics({"loss": 1.0}, 1, timestamp_ms=1_700_000_000_000)
    while steps(uri, run_id) != [1]:
        time.sleep(0.01)
    inner.away = True
    tracker.log_metrics({"loss": 0.5}, 2, timestamp_ms=1_700_000_060_000)
    tracker.finish("FAILED")
    assert str(spool) in caplog.text
    assert "python -m quantum_db.tracking.spool" in caplog.text
    assert [json.loads(line)["event"] for line in spool.read_text().splitlines()] == ["start", "metrics", "finish"]

    copy = tmp_path / "copy.jsonl"
    copy.write_text(spool.read_text())
    assert spool_file.main([str(spool), "--tracking-uri", uri]) == 0
    assert spool_file.send(copy, MlflowTracker(uri)) == 3
    assert not spool.exists()
    client = MlflowClient(tracking_uri=uri)
    assert [(m.step, m.timestamp) for m in client.get_metric_history(run_id, "loss")] == [
        (1, 1_700_000_000_000),
        (2, 1_700_000_060_000),
    ]
    assert client.get_run(run_id).info.status == "FAILED"


def test_sending_a_spool_to_a_store_that_is_down_keeps_it(tmp_path: Path, uri: str) -> None:
    spool = tmp_path / "spool.jsonl"
    spool_file.append(spool, [spool_file.Event("start", {"run_name": "x", "params": {}, "tags": {}})])
    inner = Interrupted(uri)
    inner.away = True
    with pytest.raises(TrackingError):
        spool_file.send(spool, inner)
    assert spool.exists()


def test_a_refused_record_does_not_hold_up_the_others(
    uri: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = BufferedTracker(MlflowTracker(uri), tmp_path / "spool.jsonl")
    run_id = tracker.start("run", {}, {})
    tracker.log_artifact(tmp_path / "gone.svg")
    tracker.log_metrics({"loss": 1.0}, 1)
    tracker.finish()
    assert steps(uri, run_id) == [1]
    assert "left out" in caplog.text
    assert not (tmp_path / "spool.jsonl").exists()


def test_a_server_that_accepts_and_never_answers_costs_only_the_stated_time(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        tracker = BufferedTracker(
            MlflowTracker(f"http://127.0.0.1:{silent.getsockname()[1]}"),
            tmp_path / "spool.jsonl",
            start_wait_s=0.2,
            finish_wait_s=0.2,
        )
        began = time.monotonic()
        tracker.start("silent", {}, {})
        for step in range(100):
            tracker.log_metrics({"loss": 1.0}, step)
        tracker.finish()
        assert time.monotonic() - began < 2
    assert len(spool_file.read(tmp_path / "spool.jsonl")) == 102


def test_when_even_the_spool_cannot_be_written_the_loss_is_said(
    uri: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    inner = Interrupted(uri)
    inner.away = True
    tracker = BufferedTracker(inner, tmp_path / "file" / "spool.jsonl", finish_wait_s=0.1)
    tracker.start("lost", {}, {})
    tracker.finish()
    assert "2 tracking events are lost" in caplog.text


def test_logging_before_the_start_is_an_error(uri: str, tmp_path: Path) -> None:
    with pytest.raises(NotStartedError):
        BufferedTracker(MlflowTracker(uri), tmp_path / "spool.jsonl").log_metrics({"loss": 1.0}, 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "line 1 is not"), ('{"event": "dance", "given": {}}', "unknown event 'dance'"), (None, "cannot be read")],
)
def test_a_damaged_spool_is_a_store_error(tmp_path: Path, content: str | None, message: str) -> None:
    spool = tmp_path / "spool.jsonl"
    if content is not None:
        spool.write_text(content)
    with pytest.raises(StoreError, match=message):
        spool_file.read(spool)


@pytest.mark.slow
def test_a_real_server_that_refuses_at_first_gets_everything_once_it_is_up(tmp_path: Path) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    tracker = BufferedTracker(MlflowTracker(address), tmp_path / "spool.jsonl", start_wait_s=5, finish_wait_s=120)
    assert tracker.start("late", {"seed": 5}, {}) == ""
    for step in (1, 2, 3):
        tracker.log_metrics({"loss": 1 / step}, step)
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db"]
    command += ["--artifacts-destination", str(tmp_path / "artifacts")]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (tmp_path / "server.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        tracker.log_text("q0 --X--", "circuit.txt")
        tracker.finish()
        assert steps(address, tracker.run_id) == [1, 2, 3]
        client = MlflowClient(tracking_uri=address)
        assert client.get_run(tracker.run_id).info.status == "FINISHED"
        assert [entry.path for entry in client.list_artifacts(tracker.run_id)] == ["circuit.txt"]
        assert not (tmp_path / "spool.jsonl").exists()
    finally:
        os.killpg(server.pid, 15)
        server.wait(timeout=30)
