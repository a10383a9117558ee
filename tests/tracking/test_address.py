from pathlib import Path

import pytest

from quantum_db.errors import ConfigurationError
from quantum_db.tracking.address import artifact_location, check_tracking_uri, default_tracking_uri, sqlite_path


@pytest.mark.parametrize("uri", ["http://host:5000", "https://mlflow.example/x", "postgresql://db/mlflow"])
def test_addresses_without_a_login_are_taken_as_they_are(uri: str) -> None:
    assert check_tracking_uri(uri) == uri


@pytest.mark.parametrize(
    "uri",
    ["http://ann:hunter2@host:5000", "https://ann@host", "postgresql://ann:hunter2@db/mlflow", "http://:hunter2@host"],
)
def test_a_login_inside_is_refused_and_never_repeated(uri: str) -> None:
    with pytest.raises(ConfigurationError, match="MLFLOW_TRACKING_PASSWORD") as raised:
        check_tracking_uri(uri)
    assert "hunter2" not in str(raised.value)
    assert "ann" not in str(raised.value)


@pytest.mark.parametrize("uri", ["", "mlruns", "/data/mlruns", "file:///data/mlruns"])
def test_folders_are_refused_with_the_alternative(uri: str) -> None:
    with pytest.raises(ConfigurationError, match="sqlite:///"):
        check_tracking_uri(uri)


def test_relative_database_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert check_tracking_uri("sqlite:///runs/mlflow.db") == f"sqlite:///{tmp_path}/runs/mlflow.db"


def test_artifacts_lie_beside_the_database_and_nowhere_known_for_a_server(tmp_path: Path) -> None:
    uri = default_tracking_uri(tmp_path)
    assert sqlite_path(uri) == tmp_path / "mlflow.db"
    assert artifact_location(uri) == (tmp_path / "mlartifacts").as_uri()
    assert artifact_location("http://host:5000") is None
