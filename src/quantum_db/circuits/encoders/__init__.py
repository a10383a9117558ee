"""Encoders: how the features of a sample enter a circuit."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from quantum_db.circuits.encoders.encoder import Encoder
from quantum_db.errors import ConfigurationError
from quantum_db.registry import Table

ENCODERS = Table(
    "encoder",
    {
        "angle": "quantum_db.circuits.encoders.angle:AngleEncoder",
        "amplitude": "quantum_db.circuits.encoders.amplitude:AmplitudeEncoder",
        "basis": "quantum_db.circuits.encoders.basis:BasisEncoder",
        "iqp": "quantum_db.circuits.encoders.iqp:IQPEncoder",
        "reuploading": "quantum_db.circuits.encoders.reuploading:ReuploadingEncoder",
    },
)


def encoder_from_spec(spec: Mapping[str, Any]) -> Encoder:
    """Make the encoder that `Encoder.spec()` described; raise ConfigurationError on an unknown name or option."""
    options = {key: value for key, value in spec.items() if key != "name"}
    kind = ENCODERS.load(str(spec.get("name", "")))
    try:
        encoder: Encoder = kind(**options)
    except TypeError as error:
        known = ", ".join(option.name for option in fields(kind))
        raise ConfigurationError(f"wrong options for the {kind.name} encoder ({error}); it knows: {known}") from error
    return encoder


__all__ = ["ENCODERS", "Encoder", "encoder_from_spec"]
