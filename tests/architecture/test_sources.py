"""Rules about the sources themselves: sizes, dead options, traces of one machine."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = sorted(file for folder in ("src", "components", "pipelines") for file in (ROOT / folder).rglob("*.py"))
LONGEST = 400

# Files that may be longer, each with its reason.
LONG_FILES: dict[str, str] = {}


def test_no_file_is_longer_than_four_hundred_lines_without_a_reason() -> None:
    long = {
        str(file.relative_to(ROOT)): lines
        for file in PYTHON
        if (lines := len(file.read_text().splitlines())) > LONGEST and str(file.relative_to(ROOT)) not in LONG_FILES
    }
    assert long == {}, "split these, or list them in LONG_FILES with the reason"
    assert all((ROOT / name).is_file() for name in LONG_FILES), "LONG_FILES names files that do not exist"


def is_dataclass(node: ast.ClassDef) -> bool:
    return any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)


def option_classes() -> Iterator[tuple[Path, ast.ClassDef]]:
    """The dataclasses that hold what a user may set."""
    for file in PYTHON:
        for node in ast.walk(ast.parse(file.read_text())):
            if (
                isinstance(node, ast.ClassDef)
                and is_dataclass(node)
                and node.name.endswith(("Config", "Spec", "Options"))
            ):
                yield file, node


def attributes_read(without: ast.ClassDef, in_file: Path) -> set[str]:
    """Names of attributes that are read anywhere in the sources, outside the class `without`."""
    names = set()
    for file in PYTHON:
        tree = ast.parse(file.read_text())
        own: set[int] = set()
        if file == in_file:
            own = {
                id(node)
                for found in ast.walk(tree)
                if isinstance(found, ast.ClassDef) and found.name == without.name
                for node in ast.walk(found)
            }
        names |= {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and id(node) not in own
        }
    return names


@pytest.mark.parametrize(("file", "node"), list(option_classes()), ids=lambda value: getattr(value, "name", None))
def test_every_option_is_read_outside_its_own_class(file: Path, node: ast.ClassDef) -> None:
    fields = {
        item.target.id
        for item in node.body
        if isinstance(item, ast.AnnAssign)
        and isinstance(item.target, ast.Name)
        and not ast.unparse(item.annotation).startswith(("ClassVar", "InitVar"))
    }
    assert fields
    dead = fields - attributes_read(node, file)
    assert dead == set(), f"{node.name} in {file.relative_to(ROOT)} has options that nothing reads"


def test_no_trace_of_one_machine() -> None:
    folders = ("work", "root", "opt/wheels", "opt/pypi", "tmp/env")
    pattern = re.compile(rf"(?<![\w./:-])/(?:{'|'.join(folders)})(?:/|\b)")
    texts = {".py", ".toml", ".md", ".yaml", ".yml", ".json", ".txt", ".cfg", ""}
    found = [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()}"
        for file in tracked_like_files(texts)
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), start=1)
        if pattern.search(line)
    ]
    assert found == []


def tracked_like_files(suffixes: set[str]) -> Iterator[Path]:
    """The project's own text files, without environments, caches and run outputs."""
    for name in ("src", "components", "pipelines", "tests", "benchmarks", "docs", "images", "charts", ".ci"):
        for file in sorted((ROOT / name).rglob("*")):
            generated = any(part.endswith(("__pycache__", ".egg-info")) for part in file.parts)
            if file.is_file() and file.suffix in suffixes and not generated and file != Path(__file__).resolve():
                yield file
    for file in sorted(ROOT.iterdir()):
        if file.is_file() and file.suffix in suffixes and not file.name.startswith(".git"):
            yield file
