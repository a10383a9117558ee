from pathlib import Path

import pytest

from quantum_db import settings
from quantum_db.errors import ConfigurationError


def test_tracking_store_is_chosen_argument_first_then_environment_then_run_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://from-environment:5000")
    assert settings.choose_tracking_uri("http://asked:5000", tmp_path) == "http://asked:5000"
    assert settings.choose_tracking_uri("", tmp_path) == "http://from-environment:5000"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert settings.tracking_uri() == ""
    assert settings.choose_tracking_uri("", tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"


def test_a_login_in_the_environment_is_refused_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:hunter2@host")
    with pytest.raises(ConfigurationError) as raised:
        settings.choose_tracking_uri("", tmp_path)
    assert "hunter2" not in str(raised.value)


def test_log_level(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QSTORE_LOG_LEVEL", raising=False)
    assert settings.log_level() == "INFO"
    monkeypatch.setenv("QSTORE_LOG_LEVEL", "debug")
    assert settings.log_level() == "DEBUG"
    monkeypatch.setenv("QSTORE_LOG_LEVEL", "loud")
    with pytest.raises(ConfigurationError, match=r"LOUD.*WARNING"):
        settings.log_level()


def test_the_upstream_key_comes_from_the_environment_or_a_mounted_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("IONQ_API_KEY", raising=False)
    monkeypatch.delenv("IONQ_API_KEY_FILE", raising=False)
    assert settings.upstream_api_key() == ""
    (tmp_path / "key").write_text("from-file\n")
    monkeypatch.setenv("IONQ_API_KEY_FILE", str(tmp_path / "key"))
    assert settings.upstream_api_key() == "from-file"
    monkeypatch.setenv("IONQ_API_KEY", " from-environment ")
    assert settings.upstream_api_key() == "from-environment"


def test_a_key_file_that_cannot_be_used_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IONQ_API_KEY", raising=False)
    monkeypatch.setenv("IONQ_API_KEY_FILE", str(tmp_path / "absent"))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        settings.upstream_api_key()
    (tmp_path / "empty").write_text("\n")
    monkeypatch.setenv("IONQ_API_KEY_FILE", str(tmp_path / "empty"))
    with pytest.raises(ConfigurationError, match="empty"):
        settings.upstream_api_key()


def test_upstream_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QSTORE_UPSTREAM_URL", " https://api.ionq.co ")
    assert settings.upstream_url() == "https://api.ionq.co"
    monkeypatch.delenv("QSTORE_UPSTREAM_URL")
    assert settings.upstream_url() == ""
