"""The process around the application: load the model once, listen, stop cleanly on SIGTERM.

python -m quantum_db.serving.server --model DIR [--host ADDRESS] [--port PORT] [--name NAME] [--version VERSION]
"""

from __future__ import annotations

import argparse
import logging
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from quantum_db.errors import ConfigurationError, QStoreError
from quantum_db.registry import require_package
from quantum_db.settings import log_level

_LOG = logging.getLogger(__name__)
_SECONDS_TO_FINISH = 20
_BACKLOG = 2048


def serve(model_dir: Path, host: str = "127.0.0.1", port: int = 8080, name: str = "q-store", version: str = "") -> None:
    """Serve the model in `model_dir` until the process is told to stop; requests in progress are finished.

    Raises StoreError when the model cannot be loaded, and ConfigurationError for a host or port that cannot be
    listened on, for example because another process does.
    """
    if not 1 <= port <= 65535:
        raise ConfigurationError(f"port {port} is not a TCP port; choose one from 1 to 65535")
    require_package("fastapi", "serve", "The model server")
    uvicorn = require_package("uvicorn", "serve", "The model server")
    from quantum_db.models import load_model
    from quantum_db.serving.app import create_app

    app = create_app(load_model(model_dir), name=name, version=version)
    config = uvicorn.Config(
        app,
        log_level=log_level().lower(),
        access_log=False,  # requests are counted at /metrics
        server_header=False,
        timeout_graceful_shutdown=_SECONDS_TO_FINISH,
    )
    with _listening(host, port) as listener:
        _LOG.info("serving the model %r on http://%s:%d", name, f"[{host}]" if ":" in host else host, port)
        uvicorn.Server(config).run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens on `host` and `port`; ConfigurationError when that cannot be."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(
            f"the host {host!r} is not known here ({error}); give an address of this machine, for example 127.0.0.1"
        ) from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"cannot listen on {host}, port {port}: {error.strerror}; choose another port, or a host of this machine"
        ) from error
    return listener


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and serve; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m quantum_db.serving.server", description="Serve a trained model.")
    parser.add_argument("--model", type=Path, required=True, help="model directory, as the stage train writes it")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="port to listen on (default: %(default)s)")
    parser.add_argument("--name", default="q-store", help="name of the model (default: %(default)s)")
    parser.add_argument("--version", default="", help="version of the model (default: start of its digest)")
    given = parser.parse_args(arguments)
    try:
        logging.basicConfig(level=log_level(), stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
        serve(given.model, given.host, given.port, given.name, given.version)
    except QStoreError as error:
        _LOG.error("%s", error)
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
