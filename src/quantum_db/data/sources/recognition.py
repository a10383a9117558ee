"""Which format a path has, from its name and, for directories, from what lies in it."""

from __future__ import annotations

import re
from pathlib import Path

IDX_NAME = re.compile(r"(?P<stem>.*)(?P<what>images|labels)(?P<kind>[-.]idx[13]-ubyte)(?P<packed>\.gz)?")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm")
_SUFFIXES = {".csv": "csv", ".parquet": "parquet", ".npz": "npz"}


def kind_of_name(name: str) -> str | None:
    """Return the format that a file of this name has, or None when the name does not tell."""
    if IDX_NAME.fullmatch(Path(name).name):
        return "idx"
    return _SUFFIXES.get(Path(name).suffix.lower())


def kind_of_path(path: Path) -> str | None:
    """Return the format of an existing file or directory, or None when it has none of the known ones."""
    if not path.is_dir():
        return kind_of_name(path.name)
    if any(IDX_NAME.fullmatch(entry.name) for entry in path.iterdir()):
        return "idx"
    return "images" if class_folders(path) else None


def class_folders(path: Path) -> list[Path]:
    """Return the visible folders in `path`, sorted by name."""
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def images_in(folder: Path) -> list[Path]:
    """Return the image files in `folder`, recognised by their suffix, sorted by name."""
    files = (entry for entry in folder.iterdir() if entry.is_file() and not entry.name.startswith("."))
    return sorted(entry for entry in files if entry.suffix.lower() in IMAGE_SUFFIXES)
