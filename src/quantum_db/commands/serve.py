"""`qstore serve`: a trained model over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from quantum_db.stages.arguments import parser_for, spec_from

DESCRIPTION = """\
Serve a trained model over HTTP until interrupted: its own JSON interface, the Open
Inference Protocol v2, health and readiness, and Prometheus metrics at /metrics."""

EXAMPLES = ("qstore serve --model runs/digits/model", "qstore serve --model model --host 0.0.0.0 --port 9000")


@dataclass(frozen=True)
class ServeOptions:
    """The options of `qstore serve`."""

    model: Path = field(metadata={"help": "model directory, as the pipeline or the stage train writes it"})
    host: str = field(default="127.0.0.1", metadata={"help": "address to listen on"})
    port: int = field(default=8080, metadata={"help": "port to listen on"})
    name: str = field(default="q-store", metadata={"help": "name of the model in answers and metrics"})
    version: str = field(default="", metadata={"help": "version of the model; none means the start of its digest"})


def main(arguments: Sequence[str]) -> int:
    """Serve until interrupted."""
    options = spec_from(
        parser_for(ServeOptions, "qstore serve", DESCRIPTION, EXAMPLES).parse_args(arguments), ServeOptions
    )
    from quantum_db.serving.server import serve

    serve(options.model, options.host, options.port, options.name, options.version)
    return 0
