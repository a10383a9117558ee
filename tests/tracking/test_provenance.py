import platform
import subprocess
from pathlib import Path

import numpy as np

from quantum_db.tracking.provenance import git_commit, library_versions, provenance_tags


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_versions_are_those_that_run() -> None:
    versions = library_versions()
    assert versions["python"] == platform.python_version()
    assert versions["numpy"] == np.__version__
    assert "quantum-db" in versions


def test_commit_only_of_a_tracked_file_and_marked_when_changed(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    tracked = tmp_path / "tracked.py"
    tracked.write_text("a = 1\n")
    git(tmp_path, "add", "tracked.py")
    git(tmp_path, "commit", "-q", "-m", "one")
    untracked = tmp_path / "untracked.py"
    untracked.write_text("")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert git_commit(tracked) == head
    assert git_commit(untracked) is None
    tracked.write_text("a = 2\n")
    assert git_commit(tracked) == head + "-dirty"


def test_outside_a_checkout_there_is_no_commit(tmp_path: Path) -> None:
    assert git_commit(tmp_path / "file.py") is None


def test_tags_hold_the_versions() -> None:
    tags = provenance_tags()
    assert tags["version.numpy"] == np.__version__
    assert all(isinstance(value, str) and value for value in tags.values())
