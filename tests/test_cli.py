"""The command line: help, exit codes, one clear line for every error, and nothing started on bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from quantum_db import cli
from quantum_db.commands.checkout import find_checkout
from quantum_db.commands.pipeline_run import PipelineRunOptions, checked_parameters, short_name
from quantum_db.commands.stage import load_stage
from quantum_db.errors import ConfigurationError, StageInputError
from quantum_db.stages import STAGES

ROOT = Path(__file__).resolve().parents[1]


def run(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Call qstore as a process."""
    command = [sys.executable, "-m", "quantum_db.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_names_every_command(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([option]) == 0
    text = capsys.readouterr().out
    for command in ("pipeline run", "pipeline compile", "stage NAME", "serve", "journal", "datasets", "version"):
        assert f"\n  {command} " in text


def test_without_a_command_help_goes_to_stderr_and_the_exit_code_is_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("usage: qstore")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["version"]) == 0
    assert capsys.readouterr().out.startswith("qstore 0.")


def test_datasets_lists_the_bundled_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["datasets"]) == 0
    assert {"builtin:digits", "builtin:iris"} <= set(capsys.readouterr().out.split())


@pytest.mark.parametrize("stage", STAGES.rows)
def test_every_stage_has_its_help(stage: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["stage", stage, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    _, spec_class = load_stage(stage)
    assert f"usage: qstore stage {stage}" in text
    assert "examples:\n  qstore stage" in text
    assert all(f"--{name.replace('_', '-')}" in text for name in spec_class.__dataclass_fields__)


@pytest.mark.parametrize("command", ["serve", "datasets", "version", "pipeline", "stage"])
def test_every_command_has_its_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = cli.main([command, "--help"])
    except SystemExit as ended:
        code = ended.code
    assert code == 0
    assert f"usage: qstore {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sage"], "unknown command 'sage'; known: datasets, gateway, journal, pipeline, "),
        (["--verbose", "version"], "unknown option '--verbose' before the command"),
        (["--log-level", "loud", "version"], "--log-level is 'loud'; choose one of: debug, info"),
        (["stage", "trian"], "unknown stage 'trian'; known: deploy, evaluate"),
        (["stage", "train"], "required: --encoded-data, --model; see: qstore stage train --help"),
        (
            ["stage", "preprocess", "--dataset", "builtin:nope", "--train-data", "a", "--test-data", "b"],
            "'builtin:nope'",
        ),
        (["pipeline", "walk"], "known: pipeline compile, pipeline run"),
        (["pipeline", "run", "--dataset", "builtin:nope"], "unknown data source 'builtin:nope'"),
        (["pipeline", "run", "--dataset", "no/such.csv"], "no/such.csv"),
        (["pipeline", "run", "--model-config", "{"], "not JSON"),
        (["pipeline", "run", "--model-config", "[1]"], "must be a JSON object"),
        (["pipeline", "run", "--model-config", '{"n_qubit": 4}'], "unknown setting 'n_qubit'; known:"),
        (["pipeline", "run", "--model-config", '{"optimizer": "sgdd"}'], "unknown optimizer 'sgdd'; known:"),
        (["pipeline", "run", "--model-config", "@no-such-file.json"], "names the file no-such-file.json"),
        (["pipeline", "run", "--qpu-target", "aria-9"], "'aria-9'; known: "),
        (["pipeline", "run", "--threshold", "95"], "give an accuracy from 0 to 1"),
        (["pipeline", "run", "--threshold", "nan"], "give an accuracy from 0 to 1"),
        (["pipeline", "run", "--seed", "-1"], "seed must be an integer from 0"),
        (["pipeline", "run", "--n-components", "-2"], "--n-components is -2"),
        (["pipeline", "run", "--registered-name", " "], "name"),
        (["pipeline", "run", "--label-column", " "], "--label-column is empty"),
        (["pipeline", "run", "--missing", "guess"], "unknown missing 'guess'; choose one of: refuse, drop"),
        (["pipeline", "run", "--duplicates", "no"], "unknown duplicates 'no'; choose one of: keep, drop"),
        (["pipeline", "run", "--constant-features", "no"], "choose one of: drop, refuse"),
        (["pipeline", "run", "--scaling", "log"], "choose one of: minmax, standard, none"),
        (["pipeline", "run", "--test-fraction", "1"], "test fraction must lie between 0 and 1"),
        (["pipeline", "run", "--tracking-uri", "http://me:secret@host"], "MLFLOW_TRACKING_USERNAME"),
        (["pipeline", "run", "--model-config", '{"seed": 1, "seed": 2}'], "sets 'seed' twice, to 1 and to 2"),
        (["pipeline", "run", "--model-config", '{"encoder_options": {"a": 1, "a": 1}}'], "sets 'a' twice"),
        (["pipeline", "run", "--model-config", '{"n_qubits": 60}'], "simulating 60 qubits with 32 row(s) at once"),
        (["pipeline", "run", "--dry-run", "--model-config", '{"n_qubits": 60}'], "qubits fit"),
        (["pipeline", "run", "--dry-run", "--qpu-target", "trajectories", "--model-config", '{"n_qubits": 60}'], "fit"),
        (["pipeline", "run", "--output", "/proc/x"], "--output /proc/x cannot be written"),
        (["pipeline", "run", "--output", os.devnull], f"{os.devnull} is not a folder"),
        (["pipeline", "run", "--dry-run", "--output", os.devnull + "/below"], f"{os.devnull} is not a folder"),
        (
            ["stage", "train", "--encoded-data", "a", "--model", "b", "--model-config", "@no-such-file.json"],
            "names the file no-such-file.json",
        ),
        (["pipeline", "run", "--project", "no-such-folder"], "--project no-such-folder is no Q-Store checkout"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_two(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_where_an_error_came_from(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["pipeline", "run", "--dataset", "builtin:nope", "--debug"]) == 2
    assert "Traceback (most recent call last):" in capsys.readouterr().err


def test_an_operating_system_error_is_one_line_and_exit_code_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--dataset", "builtin:iris", "--train-data", "train", "--test-data", "test", "--report-html", "/proc/x/y"]
    monkeypatch.chdir(tmp_path)
    assert cli.main(["stage", "preprocess", *given]) == 1
    assert capsys.readouterr().err.startswith("error: [Errno")


def test_a_stage_prints_its_report_as_json(tmp_path: Path) -> None:
    done = run(
        "stage", "preprocess", "--dataset", "builtin:iris", "--train-data", "train", "--test-data", "test", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["n_train"] == 120
    assert (tmp_path / "train" / "manifest.json").is_file()


def test_dry_run_says_what_would_be_run_and_writes_nothing(tmp_path: Path) -> None:
    config = tmp_path / "model.json"
    config.write_text('{\n  "n_qubits": 4\n}\n')
    done = run("pipeline", "run", "--dry-run", "--model-config", f"@{config}", "--output", "out dir", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    plan = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert plan["model_config"] == '{"n_qubits": 4}'
    assert plan["output"] == str(tmp_path / "out dir")
    assert plan["tracking_uri"] == f"sqlite:///{tmp_path / 'out dir' / 'mlflow.db'}"
    assert plan["pipeline"] == str(ROOT / "pipelines" / "compiled" / "training.yaml")
    assert list(tmp_path.iterdir()) == [config]


def test_dry_run_as_json_is_one_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://from-the-environment:5000")
    given = ["--label-column", "kind", "--missing", "drop", "--test-fraction", "0.3", "--scaling", "standard"]
    assert cli.main(["pipeline", "run", "--dry-run", "--json", *given]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["output"] == str(tmp_path / "runs" / "digits")
    parameters = plan["parameters"]
    assert (parameters["label_column"], parameters["missing"], parameters["scaling"]) == ("kind", "drop", "standard")
    assert (parameters["test_fraction"], parameters["duplicates"], parameters["constant_features"]) == (
        0.3, "keep", "drop",
    )  # fmt: skip
    assert parameters["tracking_uri"] == "http://from-the-environment:5000"
    assert cli.main(["pipeline", "run", "--dry-run", "--json", "--tracking-uri", "sqlite:///my.db"]) == 0
    assert json.loads(capsys.readouterr().out)["parameters"]["tracking_uri"] == f"sqlite:///{tmp_path / 'my.db'}"
    assert list(tmp_path.iterdir()) == []


def test_every_parameter_of_the_pipeline_is_given() -> None:
    compiled = (ROOT / "pipelines" / "compiled" / "training.yaml").read_text()
    parameters = checked_parameters(PipelineRunOptions())
    known = next(yaml.safe_load_all(compiled))["root"]["inputDefinitions"]["parameters"]
    assert set(parameters) | {"tracking_uri", "checkpoints"} == set(known)


def test_settings_for_a_noisy_target_are_checked_with_that_target() -> None:
    options = PipelineRunOptions(qpu_target="noisy_simulator", model_config='{"noise_model": "aria-1", "n_qubits": 3}')
    assert json.loads(checked_parameters(options)["model_config"]) == {"n_qubits": 3, "noise_model": "aria-1"}


def test_a_stage_takes_its_model_configuration_from_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    given = ["--dataset", "builtin:iris", "--train-data", "train", "--test-data", "test"]
    assert cli.main(["stage", "preprocess", *given]) == 0
    Path("model.json").write_text('{"n_qubits": 3}')
    given = ["--train-data", "train", "--test-data", "test", "--encoded-data", "encoded"]
    capsys.readouterr()
    assert cli.main(["stage", "quantum-encode", *given, "--model-config", "@model.json"]) == 0
    assert json.loads(capsys.readouterr().out)["n_qubits"] == 3


def test_compile_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["pipeline", "compile", "--help"])
    assert "examples:\n  qstore pipeline compile" in capsys.readouterr().out


def test_paths_of_data_are_absolute_before_another_process_sees_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("flowers.csv").write_text("a,label\n1,x\n2,y\n")
    parameters = checked_parameters(PipelineRunOptions(dataset="flowers.csv"))
    assert parameters["dataset"].endswith(str(tmp_path / "flowers.csv"))
    assert short_name(parameters["dataset"]) == "flowers"
    with pytest.raises(StageInputError):
        checked_parameters(PipelineRunOptions(dataset="trees.csv"))


@pytest.mark.parametrize(
    ("dataset", "name"),
    [("builtin:digits", "digits"), ("csv:/data/a.b.csv", "a"), ("s3://bucket/folder/", "folder"), ("images:/", "data")],
)
def test_the_output_folder_is_named_after_the_data(dataset: str, name: str) -> None:
    assert short_name(dataset) == name


def test_the_checkout_is_found_from_below_and_from_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT / "tests")
    assert find_checkout(None) == ROOT
    monkeypatch.chdir(tmp_path)
    assert find_checkout(None) == ROOT
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "local_run.py").touch()
    assert find_checkout(None) == tmp_path
    with pytest.raises(ConfigurationError, match="is no Q-Store checkout"):
        find_checkout(tmp_path / "pipelines")


def test_compile_writes_where_it_is_told(tmp_path: Path) -> None:
    done = run("pipeline", "compile", "--output", "yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "pipelineInfo" in (tmp_path / "yaml" / "training.yaml").read_text()


def started_run(tmp_path: Path, checkout: Path, *before: str) -> subprocess.Popen[str]:
    """A pipeline run whose program has started its tasks."""
    command = [*before, sys.executable, "-m", "quantum_db.cli", "pipeline", "run", "--project", str(checkout)]
    process = subprocess.Popen([*command, "--output", "out"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    while not (checkout / "started").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    return process


def wait_for_end_of(group: int) -> None:
    deadline = time.monotonic() + 20
    while is_running(group):
        assert time.monotonic() < deadline, "the group is still there"
        time.sleep(0.05)


def is_running(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


TWO_PROCESSES = (
    "import subprocess, time\n"
    "subprocess.Popen(['sleep', '60'])\n"  # a stage's process
    "open('started', 'w').close()\n"
    "time.sleep(60)"
)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_interrupting_ends_the_whole_run(number: int, tmp_path: Path, checkout_that: Callable[[str], Path]) -> None:
    checkout = checkout_that(TWO_PROCESSES)
    process = started_run(tmp_path, checkout)
    process.send_signal(number)
    assert process.wait(timeout=20) == 128 + number
    lines = process.communicate()[1].splitlines()
    assert "stopping ..." in lines
    assert lines[-1] == "interrupted"
    with pytest.raises(ProcessLookupError):
        os.killpg(int((checkout / "group").read_text()), 0)


def test_a_run_under_nohup_survives_the_end_of_its_terminal(tmp_path: Path, checkout_that: Callable) -> None:
    process = started_run(tmp_path, checkout_that(TWO_PROCESSES), "nohup")
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.5)
    process.terminate()
    assert process.wait(timeout=20) == 143
    process.communicate()


WATCH = (
    "import importlib.util, sys, signal\n"
    f"spec = importlib.util.spec_from_file_location('parent', {str(ROOT / 'pipelines' / 'parent.py')!r})\n"
    "parent = importlib.util.module_from_spec(spec)\n"
    "spec.loader.exec_module(parent)\n"
    "assert '--end-with-parent' in sys.argv\n"
    "parent._PATIENCE_S = 0.3\n"
    "parent.end_with_parent()\n"
)


@pytest.mark.parametrize("stubborn", [False, True])
def test_a_run_does_not_outlive_its_command_when_that_is_killed(
    stubborn: bool, tmp_path: Path, checkout_that: Callable
) -> None:
    ignore = "signal.signal(signal.SIGINT, signal.SIG_IGN)\n" if stubborn else ""
    checkout = checkout_that(WATCH + ignore + TWO_PROCESSES)
    process = started_run(tmp_path, checkout)
    process.kill()
    wait_for_end_of(int((checkout / "group").read_text()))
    process.communicate()


def test_a_run_in_the_background_of_a_script_ends_at_once_when_told_to(tmp_path: Path, checkout_that: Callable) -> None:
    ignoring = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")  # what a shell does to its background processes
    process = started_run(tmp_path, checkout_that(WATCH + TWO_PROCESSES), *ignoring)
    process.terminate()
    assert process.wait(timeout=5) == 143  # killing what does not listen would take ten seconds
    process.communicate()


def test_tasks_do_not_outlive_the_program_that_runs_them(tmp_path: Path, checkout_that: Callable) -> None:
    checkout = checkout_that(TWO_PROCESSES)
    process = started_run(tmp_path, checkout)
    group = int((checkout / "group").read_text())
    os.kill(group, signal.SIGKILL)  # the leader alone
    assert process.wait(timeout=20) == 1
    assert "before it could report" in process.communicate()[1]
    wait_for_end_of(group)


def test_a_runner_that_cannot_report_is_an_error_with_a_hint(tmp_path: Path, checkout_that: Callable) -> None:
    checkout = checkout_that("raise SystemExit(3)")
    done = run("pipeline", "run", "--project", str(checkout), "--output", "out", cwd=tmp_path)
    assert done.returncode == 1
    assert "ended with exit code 3 before it could report" in done.stderr
    assert "pip install 'quantum-db[pipelines]'" in done.stderr


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (
            {"type": "quantum_db.errors.StoreError", "message": "model.json is corrupt"},
            2,
            "error: train: model.json is",
        ),
        ({"type": "quantum_db.errors.BackendError", "message": "down"}, 1, "error: train: down"),
        ({"type": "quantum_db.tracking.tracker.TrackingError", "message": "away"}, 1, "error: train: away"),
        (
            {"type": "ValueError", "message": "bad"},
            1,
            "    epoch 3\nerror: train: ValueError: bad; the whole output",
        ),
        (None, 1, "    epoch 3\nerror: train: its process ended without an error message; the whole output"),
    ],
)
def test_the_error_of_a_stage_comes_out_with_its_message_and_code(
    error: dict[str, str] | None, code: int, message: str, tmp_path: Path, checkout_that: Callable
) -> None:
    report = {"status": "failed", "failed_task": "train", "error": error, "last_lines": ["epoch 3"], "tasks": []}
    checkout = checkout_that(
        f"import pathlib, sys\nout = pathlib.Path(sys.argv[2])\n(out / 'run.json').write_text({json.dumps(report)!r})\n"
        "raise SystemExit(1)"
    )
    done = run("pipeline", "run", "--project", str(checkout), "--output", "out", cwd=tmp_path)
    assert done.returncode == code
    assert done.stderr.startswith(message)
    assert "Traceback" not in done.stderr


@pytest.fixture
def checkout_that(tmp_path: Path) -> Callable[[str], Path]:
    """A checkout whose program for local runs is the given text."""

    def make(program: str) -> Path:
        folder = tmp_path / "checkout"
        (folder / "pipelines").mkdir(parents=True)
        first = "import os\nopen('group', 'w').write(str(os.getpgrp()))\n"
        (folder / "pipelines" / "local_run.py").write_text(first + program + "\n")
        return folder

    return make
