"""Command-line arguments made from a stage's spec, so that a stage's options are written once.

A spec is a frozen dataclass whose fields carry `metadata={"help": "..."}`. Field `train_data: Path` becomes
`--train-data PATH`; a field without a default is required. Types: str, int, float, bool, Path, and each of these
`| None` (absent means None). A bool becomes `--resume` / `--no-resume`.
"""

from __future__ import annotations

import argparse
import dataclasses
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

from quantum_db.errors import ConfigurationError

Spec = TypeVar("Spec")

_METAVARS: dict[type, str] = {str: "TEXT", int: "NUMBER", float: "NUMBER", Path: "PATH"}


class ArgumentParser(argparse.ArgumentParser):
    """An argparse parser that raises ConfigurationError instead of printing its usage and leaving the process."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", _HelpFormatter)
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Raise ConfigurationError with argparse's message and where the help is."""
        raise ConfigurationError(f"{message}; see: {self.prog} --help")


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the line breaks of description and examples; gives the option names a wide column."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=32, width=110)


def parser_for(spec_class: type, prog: str, description: str, examples: Sequence[str] = ()) -> ArgumentParser:
    """Return the parser with one option per field of the dataclass `spec_class`.

    `prog` is how the command is called, `examples` whole command lines for the end of the help.
    Raises ConfigurationError for a field of a type that has no form on a command line.
    """
    epilog = "examples:\n" + "\n".join(f"  {example}" for example in examples) if examples else None
    parser = ArgumentParser(prog=prog, description=description, epilog=epilog)
    types_of = get_type_hints(spec_class)
    for field in dataclasses.fields(spec_class):
        _add_option(parser, field, types_of[field.name], spec_class)
    return parser


def spec_from(namespace: argparse.Namespace, spec_class: type[Spec]) -> Spec:
    """Return the `spec_class` with the values that its parser found.

    A validation error of the spec itself passes through.
    """
    names = [field.name for field in dataclasses.fields(spec_class)]  # type: ignore[arg-type]
    return spec_class(**{name: getattr(namespace, name) for name in names})


def _add_option(parser: ArgumentParser, field: dataclasses.Field[Any], hint: Any, spec_class: type) -> None:
    kind = _kind_of(hint)
    if kind is None:
        raise ConfigurationError(
            f"field {spec_class.__name__}.{field.name} has type {hint!r}, which has no form on a command line; "
            "use str, int, float, bool, Path, or one of these | None"
        )
    default = _default_of(field)
    required = default is dataclasses.MISSING
    options: dict[str, Any] = {"dest": field.name, "required": required, "help": _help_of(field, default)}
    if not required:
        options["default"] = default
    if kind is bool:
        options["action"] = argparse.BooleanOptionalAction
    else:
        options.update(type=kind, metavar=_METAVARS[kind])
    parser.add_argument("--" + field.name.replace("_", "-"), **options)


def _kind_of(hint: Any) -> type | None:
    """The plain type behind a field's annotation, None if it is not one that a command line can carry."""
    if get_origin(hint) in (Union, types.UnionType):
        members = [member for member in get_args(hint) if member is not type(None)]
        hint = members[0] if len(members) == 1 else None
    return hint if hint is bool or hint in _METAVARS else None


def _default_of(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _help_of(field: dataclasses.Field[Any], default: Any) -> str:
    text = str(field.metadata.get("help", "")).strip().replace("%", "%%")
    if text.endswith(".") and not text.endswith(".."):
        text = text[:-1]
    if default is dataclasses.MISSING:
        note = "required"
    elif default is None or default == "":
        note = "default: none"
    elif isinstance(default, bool):
        note = "default: yes" if default else "default: no"
    else:
        note = f"default: {default}".replace("%", "%%")
    return f"{text} ({note})".strip()
