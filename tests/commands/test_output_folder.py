"""The folder of a run: earlier results are kept apart, and nothing foreign is touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from quantum_db.commands.output_folder import PREVIOUS, check_output, prepare_output, remove_checkpoints
from quantum_db.errors import ConfigurationError

RESULTS = {
    "model/manifest.json": "{}",
    "model/arrays.safetensors": "",
    "report/index.html": "<html>",
    "report/train.html": "<html>",
    "evaluation.json": json.dumps({"schema_version": 1, "accuracy": 0.9, "model_digest": "ab"}),
    "deployment.json": json.dumps({"schema_version": 1, "deployed": False, "reason": "below"}),
    "run.json": json.dumps({"status": "failed", "tasks": [], "failed_task": "train"}),
    "pipeline.log": "09:40:19.237 - INFO - Running pipeline: 'training'\n",
}


def write(folder: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_earlier_results_are_moved_whole_and_the_rest_stays(tmp_path: Path) -> None:
    rest = {"mlflow.db": "store", "notes.txt": "mine", "artifacts/training-1/train/model/manifest.json": "{}"}
    write(tmp_path, RESULTS | rest)
    moved = prepare_output(tmp_path)
    assert moved is not None
    assert moved.parent == tmp_path / PREVIOUS
    assert contents(moved) == RESULTS
    assert {name: text for name, text in contents(tmp_path).items() if not name.startswith(PREVIOUS)} == rest
    assert prepare_output(tmp_path) is None

    write(tmp_path, RESULTS)  # within the same second
    again = prepare_output(tmp_path)
    assert again is not None
    assert again != moved
    assert contents(moved) == contents(again) == RESULTS


@pytest.mark.parametrize(
    ("foreign", "named"),
    [
        ({"model/weights.pt": "mine"}, "model"),
        ({"model": "a file"}, "model"),
        ({"model/manifest.json": "{}", "model/thesis.tex": "mine"}, "model"),
        ({"report/thesis.tex": "mine"}, "report"),
        ({"report/index.html": "", "report/img/a.png": ""}, "report"),
        ({"evaluation.json": '{"score": 1}'}, "evaluation.json"),
        ({"evaluation.json": "no JSON"}, "evaluation.json"),
        ({"deployment.json": "[]"}, "deployment.json"),
        ({"run.json": '{"run": 1}'}, "run.json"),
        ({"pipeline.log": "built the gas pipeline"}, "pipeline.log"),
        ({"artifacts": "a file"}, "artifacts"),
        ({"checkpoints/mine/weights.pt": ""}, "checkpoints"),
        ({"previous": "a file"}, "previous"),
    ],
)
def test_what_is_not_ours_is_refused_and_left_alone(tmp_path: Path, foreign: dict[str, str], named: str) -> None:
    others = {name: text for name, text in RESULTS.items() if not name.startswith(named)}
    write(tmp_path, others | foreign)
    before = contents(tmp_path)
    with pytest.raises(ConfigurationError, match=rf"/{named} is not a result of Q-Store"):
        check_output(tmp_path)
    with pytest.raises(ConfigurationError):
        prepare_output(tmp_path)
    assert contents(tmp_path) == before


def test_a_link_is_never_moved_or_followed(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere", {"manifest.json": "{}", "arrays.safetensors": ""})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "model").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="is not a result of Q-Store"):
        check_output(tmp_path / "out")


def test_only_checkpoints_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    remove_checkpoints(folder)
    whole, unfinished = "epoch-00003-batch-000000-0123456789ab", ".epoch-00004-batch-000000-0123456789ab.x1.partial"
    names = (f"{whole}/manifest.json", f"{unfinished}/manifest.json", "tracking.json", ".tracking.json.x_1.partial")
    write(folder, {f"run-1/{name}": "{}" for name in names})
    check_output(tmp_path)
    remove_checkpoints(folder)
    assert not folder.exists()
    write(folder, {"run-1/epoch-00003-batch-000000-0123456789ab/manifest.json": "{}", "notes.txt": "mine"})
    remove_checkpoints(folder)
    assert len(contents(folder)) == 2


def test_checking_writes_nothing(tmp_path: Path) -> None:
    check_output(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    for output in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ConfigurationError, match="is not a folder"):
            check_output(output)


def test_what_was_paid_for_outlives_the_checkpoints(tmp_path: Path) -> None:
    run = tmp_path / "out" / "checkpoints" / "variational-1"
    (run / "epoch-00001-batch-000000-0123456789ab").mkdir(parents=True)
    for name in ("tracking.json", "journal.jsonl", "journal.lock", "budget.sqlite", "budget.sqlite-wal"):
        (run / name).write_text("{}")
    check_output(tmp_path / "out")
    remove_checkpoints(run.parent)
    assert {entry.name for entry in run.iterdir()} == {
        "journal.jsonl", "journal.lock", "budget.sqlite", "budget.sqlite-wal",
    }  # fmt: skip
