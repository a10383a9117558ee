"""The public face of the wheel: every promised name is there, and nothing more."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import quantum_db


def test_every_public_name_can_be_imported() -> None:
    assert len(set(quantum_db.__all__)) == len(quantum_db.__all__)
    for name in quantum_db.__all__:
        assert getattr(quantum_db, name) is not None, name


def test_dir_shows_exactly_the_public_names() -> None:
    modules = {info.name for info in pkgutil.iter_modules(quantum_db.__path__)}
    shown = {name for name in dir(quantum_db) if not name.startswith("_")}
    assert shown - modules == {name for name in quantum_db.__all__ if not name.startswith("_")}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = quantum_db.no_such_name


@pytest.mark.parametrize("info", list(pkgutil.iter_modules(quantum_db.__path__)), ids=lambda info: info.name)
def test_the_names_a_package_lists_exist(info: pkgutil.ModuleInfo) -> None:
    module = importlib.import_module(f"quantum_db.{info.name}")
    missing = [name for name in getattr(module, "__all__", ()) if not hasattr(module, name)]
    assert missing == []
