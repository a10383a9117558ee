"""Where a result comes from: versions of the libraries, and the commit when the wheel runs from a git checkout."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_DISTRIBUTIONS = ("quantum-db", "numpy", "torch", "scikit-learn", "safetensors", "mlflow-skinny", "cirq-core")


def library_versions() -> dict[str, str]:
    """Versions of Python and of the installed libraries that take part in a result; absent ones are left out."""
    versions = {"python": platform.python_version()}
    for name in _DISTRIBUTIONS:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def git_commit(source: Path | None = None) -> str | None:
    """The commit that `source` (a file of this wheel by default) belongs to, with "-dirty" after local changes.

    None when the file is not tracked by git (an installed wheel) or git is not there.
    """
    file = Path(__file__) if source is None else Path(source)
    tracked = _git(file.parent, "ls-files", "--error-unmatch", file.name)
    commit = _git(file.parent, "rev-parse", "HEAD") if tracked else None
    if not commit:
        return None
    changed = _git(file.parent, "status", "--porcelain", "--untracked-files=no")
    return commit + ("-dirty" if changed else "")


def provenance_tags() -> dict[str, str]:
    """Tags for a run: "version.<library>" and, in a checkout, "git.commit"."""
    tags = {f"version.{name}": number for name, number in library_versions().items()}
    commit = git_commit()
    return tags if commit is None else {**tags, "git.commit": commit}


def _git(folder: Path, *arguments: str) -> str | None:
    """The trimmed answer of a git command, or None when git is absent, fails or hangs."""
    try:
        answer = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
