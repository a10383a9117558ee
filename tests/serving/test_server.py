import http.client
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from quantum_db import cli
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


def test_the_command_says_in_one_line_that_the_port_is_taken(iris_model: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "quantum_db.cli", "serve", "--model", str(iris_model), "--port", str(port)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: cannot listen on 127.0.0.1, port {port}: Address already in use; choose another")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--host", "no such host"], "error: the host 'no such host' is not known here"),
        (["--host", "192.0.2.1", "--port", "8099"], "error: cannot listen on 192.0.2.1, port 8099: Cannot assign"),
        (["--port", "70000"], "error: port 70000 is not a TCP port"),
        (["--model", "damaged"], "error: "),
        (["--model", "none"], "error: "),
    ],
)
def test_what_cannot_be_served_is_one_line_and_exit_code_two(
    options: list[str],
    message: str,
    iris_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(iris_model, "damaged")
    arrays = Path("damaged/arrays.safetensors")
    arrays.write_bytes(arrays.read_bytes()[:-8])
    given = [] if "--model" in options else ["--model", str(iris_model)]
    assert cli.main(["serve", *given, *options]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith(message)
    assert err.count("\n") == 1
