"""The image that each component runs in, decided once, when a pipeline is compiled."""

import os
import tomllib
from pathlib import Path

_PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"


def stage_image(stage: str) -> str:
    """Return the image of `stage`, for example "q-store-train:0.1.0".

    QSTORE_IMAGE_REGISTRY puts a registry in front; QSTORE_IMAGE_TAG replaces the tag, which otherwise is the version
    of the wheel. Raises ValueError for the tag "latest": a compiled pipeline must keep meaning the same code.
    """
    registry = os.environ.get("QSTORE_IMAGE_REGISTRY", "").strip().rstrip("/")
    tag = os.environ.get("QSTORE_IMAGE_TAG", "").strip() or _wheel_version()
    if tag == "latest":
        raise ValueError("QSTORE_IMAGE_TAG is 'latest', which moves; give a version or a digest's tag")
    name = f"q-store-{stage}:{tag}"
    return f"{registry}/{name}" if registry else name


def _wheel_version() -> str:
    return str(tomllib.loads(_PYPROJECT.read_text())["project"]["version"])
