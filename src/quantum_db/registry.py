"""Tables from a name to the object behind it, imported only when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from quantum_db.errors import ConfigurationError, MissingDependencyError


@dataclass(frozen=True)
class Table:
    """One family of interchangeable members, for example the encoders.

    `rows` maps a public name to "module:attribute". Other distributions add members with an entry point in the
    group `quantum_db.<family>`.
    """

    family: str
    rows: Mapping[str, str]

    def names(self) -> tuple[str, ...]:
        """All known names, sorted."""
        return tuple(sorted({*self.rows, *(point.name for point in self._entry_points())}))

    def require(self, name: str) -> str:
        """Return `name` if it is known; raise ConfigurationError with the known names otherwise."""
        if name not in self.rows and all(point.name != name for point in self._entry_points()):
            raise ConfigurationError(f"unknown {self.family} {name!r}; known: {', '.join(self.names())}")
        return name

    def load(self, name: str) -> Any:
        """Import and return the member `name`; raise ConfigurationError if it is unknown."""
        self.require(name)
        if name in self.rows:
            module, _, attribute = self.rows[name].partition(":")
            return getattr(import_module(module), attribute)
        return next(point for point in self._entry_points() if point.name == name).load()

    @property
    def _group(self) -> str:
        return "quantum_db." + self.family.replace(" ", "_")

    def _entry_points(self) -> Any:
        return entry_points(group=self._group)


def require_package(module: str, extra: str, purpose: str) -> Any:
    """Import an optional package, or raise MissingDependencyError with the line that installs it."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not (module == error.name or module.startswith(error.name + ".")):
            raise
        raise MissingDependencyError(
            f"{purpose} needs the package {error.name!r}, which is not installed. "
            f"Install it with: pip install 'quantum-db[{extra}]'"
        ) from error


def lazy_names(module: str, rows: Mapping[str, str]) -> Callable[[str], Any]:
    """A module's `__getattr__` that imports the public names in `rows` (name -> "module:attribute") when asked for."""

    def load(name: str) -> Any:
        if name not in rows:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        source, _, attribute = rows[name].partition(":")
        return getattr(import_module(source), attribute)

    return load
