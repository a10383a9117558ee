import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from quantum_db.errors import ConfigurationError
from quantum_db.serving import server


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_a_started_server_answers_and_stops_when_told(iris_model: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "quantum_db.serving.server", "--model", str(iris_model), "--port", str(port)]
    process = subprocess.Popen([*command, "--name", "iris", "--version", "9"], stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 60
        while True:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            try:
                if ask(port, "/ready")[0] == 200:
                    break
            except OSError:
                time.sleep(0.1)
        assert json.loads(ask(port, "/v2/models/iris/versions/9/ready")[1]) == {"name": "iris", "ready": True}
    finally:
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=30)
    assert process.returncode in (0, -signal.SIGTERM)
    assert "Traceback" not in log


def test_a_missing_model_ends_with_exit_code_2_and_a_reason(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert server.main(["--model", str(tmp_path / "none"), "--port", "8099"]) == 2
    assert "there is no model at" in caplog.text


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_number_that_is_no_port_is_refused(iris_model: Path, port: int) -> None:
    with pytest.raises(ConfigurationError, match="is not a TCP port"):
        server.serve(iris_model, port=port)
