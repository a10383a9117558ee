import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from quantum_db.tracking.address import default_tracking_uri
from quantum_db.tracking.mlflow_tracker import MlflowTracker
from quantum_db.tracking.tracker import NotStartedError, NullTracker, Tracker, TrackingError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def tracker(folder: Path) -> MlflowTracker:
    return MlflowTracker(default_tracking_uri(folder))


@pytest.fixture
def client(folder: Path) -> MlflowClient:
    return MlflowClient(tracking_uri=default_tracking_uri(folder))


def test_a_whole_run_is_in_the_store(tracker: MlflowTracker, client: MlflowClient, folder: Path) -> None:
    picture = folder / "circuit.svg"
    picture.write_text("<svg/>")
    plots = folder / "plots"
    plots.mkdir()
    (plots / "loss.svg").write_text("<svg/>")
    run_id = tracker.start("digits", {"seed": 7, "config": "x" * 7000}, {"git.commit": "abc"})
    tracker.log_metrics({"loss": 0.5, "accuracy": 0.9}, step=1, timestamp_ms=1_700_000_000_000)
    tracker.log_metrics({"loss": 0.25}, step=2)
    tracker.log_artifact(picture, folder="circuit")
    tracker.log_artifact(plots)
    tracker.log_text("q0 --X--", "circuit/epoch-10.txt")
    tracker.log_dict({"edges": [[0, 1]]}, "entanglement.json")
    tracker.finish()

    run = client.get_run(run_id)
    assert tracker.run_id == run_id
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "digits"
    assert run.data.params == {"seed": "7", "config": "see the artifact params/config.txt"}
    assert run.data.tags["git.commit"] == "abc"
    assert run.data.metrics == {"loss": 0.25, "accuracy": 0.9}
    assert client.get_metric_history(run_id, "accuracy")[0].timestamp == 1_700_000_000_000
    stored = folder / "mlartifacts" / run_id / "artifacts"
    assert (stored / "circuit" / "circuit.svg").read_text() == "<svg/>"
    assert (stored / "plots" / "loss.svg").exists()
    assert (stored / "circuit" / "epoch-10.txt").read_text() == "q0 --X--"
    assert json.loads((stored / "entanglement.json").read_text()) == {"edges": [[0, 1]]}
    assert len((stored / "params" / "config.txt").read_text()) == 7000


def test_a_resumed_run_records_no_step_twice(client: MlflowClient, folder: Path) -> None:
    uri = default_tracking_uri(folder)
    first = MlflowTracker(uri)
    run_id = first.start("resumed", {"epochs": 3, "seed": 1}, {})
    for step in (1, 2, 3):
        first.log_metrics({"loss": 1 / step}, step)

    second = MlflowTracker(uri)
    assert second.start("resumed", {"epochs": 5, "seed": 1}, {}, resume_run_id=run_id) == run_id
    for step in (2, 3, 4):
        second.log_metrics({"loss": 10.0 if step < 4 else 1 / step, "accuracy": 0.5}, step)
    second.log_metrics({"loss": 99.0}, 4)
    second.finish()

    history = [(metric.step, metric.value) for metric in client.get_metric_history(run_id, "loss")]
    assert history == [(1, 1.0), (2, 0.5), (3, 1 / 3), (4, 0.25)]
    assert [metric.step for metric in client.get_metric_history(run_id, "accuracy")] == [2, 3, 4]
    run = client.get_run(run_id)
    assert run.data.params["epochs"] == "3"
    assert run.data.tags["resumed.epochs"] == "5"
    assert "resumed.seed" not in run.data.tags
    assert run.info.status == "FINISHED"


def test_an_unknown_run_to_resume_becomes_a_new_run_that_says_so(
    tracker: MlflowTracker, client: MlflowClient, caplog: pytest.LogCaptureFixture
) -> None:
    run_id = tracker.start("again", {}, {}, resume_run_id="0123456789abcdef0123456789abcdef")
    assert run_id != "0123456789abcdef0123456789abcdef"
    assert client.get_run(run_id).data.tags["resumed_from"] == "0123456789abcdef0123456789abcdef"
    assert "is not in the tracking store" in caplog.text


def test_many_parameters_are_split_into_batches(tracker: MlflowTracker, client: MlflowClient) -> None:
    run_id = tracker.start("wide", {f"p{i}": i for i in range(230)}, {})
    assert len(client.get_run(run_id).data.params) == 230


def test_logging_before_the_start_is_an_error(tracker: MlflowTracker) -> None:
    with pytest.raises(NotStartedError, match=r"call start\(\)"):
        tracker.log_metrics({"loss": 1.0}, 1)


def test_a_missing_file_is_refused_for_good(tracker: MlflowTracker, tmp_path: Path) -> None:
    tracker.start("artifact", {}, {})
    with pytest.raises(TrackingError, match=r"gone\.svg") as raised:
        tracker.log_artifact(tmp_path / "gone.svg")
    assert raised.value.permanent


def test_a_store_that_is_down_is_a_passing_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    tracker = MlflowTracker(f"http://127.0.0.1:{port}")
    with pytest.raises(TrackingError, match=f"{port}.*Check that the address is right") as raised:
        tracker.start("down", {}, {})
    assert not raised.value.permanent
    assert tracker.run_id == ""


def test_a_database_that_cannot_be_made_is_a_tracking_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrackingError):
        MlflowTracker(f"sqlite:///{tmp_path}/file/mlflow.db").start("run", {}, {})


def test_telemetry_is_off_and_the_working_directory_stays_clean(tmp_path: Path) -> None:
    script = (
        "from quantum_db.tracking.mlflow_tracker import MlflowTracker\n"
        "t = MlflowTracker('sqlite:///store/mlflow.db'); t.start('x', {}, {}); t.finish()\n"
        "import mlflow.telemetry as telemetry, os, threading\n"
        "assert telemetry.get_telemetry_client() is None\n"
        "assert not [t for t in threading.enumerate() if 'elemetry' in t.name]\n"
        "print(sorted(os.listdir('.')))"
    )
    clean = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    work = tmp_path / "work"
    work.mkdir()
    done = subprocess.run([sys.executable, "-c", script], cwd=work, env=clean, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "['store']"


def test_the_null_tracker_takes_everything(tmp_path: Path) -> None:
    tracker: Tracker = NullTracker()
    assert tracker.start("run", {"a": 1}, {}) == ""
    tracker.log_metrics({"loss": 1.0}, 1)
    tracker.log_artifact(tmp_path)
    tracker.log_text("a", "b")
    tracker.log_dict({}, "c")
    tracker.finish()
    assert tracker.run_id == ""
