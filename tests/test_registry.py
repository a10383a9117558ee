from importlib.metadata import EntryPoint

import pytest

from quantum_db import registry
from quantum_db.errors import ConfigurationError, MissingDependencyError
from quantum_db.registry import Table, require_package

TABLE = Table("test family", {"ordered": "collections:OrderedDict", "path": "pathlib:Path", "gone": "no_such_module:x"})


def test_members_are_loaded_by_name():
    from collections import OrderedDict

    assert TABLE.load("ordered") is OrderedDict
    assert TABLE.require("path") == "path"
    assert TABLE.names() == ("gone", "ordered", "path")


@pytest.mark.parametrize("use", [TABLE.load, TABLE.require])
def test_unknown_names_list_what_exists(use):
    with pytest.raises(ConfigurationError, match=r"unknown test family 'Path'; known: gone, ordered, path$"):
        use("Path")


def test_outsiders_add_members_by_entry_point(monkeypatch):
    points = [EntryPoint("mine", "decimal:Decimal", "quantum_db.test_family")]
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == "quantum_db.test_family" else [])
    from decimal import Decimal

    assert TABLE.names() == ("gone", "mine", "ordered", "path")
    assert TABLE.load("mine") is Decimal
    with pytest.raises(ConfigurationError, match="known: gone, mine, ordered, path"):
        TABLE.load("yours")


def test_required_packages():
    import json

    assert require_package("json", "data", "reading") is json
    with pytest.raises(MissingDependencyError) as caught:
        require_package("no_such_package_here.inner", "data", "reading a table")
    assert str(caught.value) == (
        "reading a table needs the package 'no_such_package_here', which is not installed. "
        "Install it with: pip install 'quantum-db[data]'"
    )
    assert isinstance(caught.value, ConfigurationError)


def test_a_broken_package_is_not_called_missing(tmp_path, monkeypatch):
    (tmp_path / "broken_package.py").write_text("import another_missing_package\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="another_missing_package"):
        require_package("broken_package", "data", "reading")
