"""The command `qstore`: finds the sub-command, sets up logging, turns errors into one line and an exit code."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Sequence

from quantum_db.commands import COMMANDS
from quantum_db.errors import ConfigurationError, QStoreError
from quantum_db.stages.arguments import ArgumentParser

LOG_LEVELS = ("debug", "info", "warning", "error")

HELP = """\
usage: qstore [--log-level LEVEL] [--debug] COMMAND ...

Train hybrid quantum-classical models, compare them with classical ones, deploy the good ones.

commands:
  pipeline run      run the whole training pipeline on this machine
  pipeline compile  write the pipelines as YAML for Kubeflow
  plan              say what a training run will take and cost, before it starts
  stage NAME        run one stage: preprocess, quantum-encode, plan, train, evaluate or deploy
  serve             serve a trained model over HTTP
  gateway           serve IonQ's API over a queue and workers of your own
  worker            run circuits that gateways have accepted
  journal           show, verify or export what a run submitted and paid
  trace             say where a model comes from, and whether it was changed
  datasets          list where data can come from
  version           print the version

options, before or after the command:
  --log-level LEVEL  debug, info, warning or error (default: QSTORE_LOG_LEVEL, else info)
  --debug            show where an error came from
  -h, --help         show this help, or with a command its own

exit codes: 0 done, 1 failed, 2 wrong input or configuration, 3 the budget is used up,
            130 interrupted, 143 told to end (128 and the number of the signal)

examples:
  qstore pipeline run --dataset builtin:digits --output runs/digits
  qstore stage preprocess --dataset flowers.csv --train-data train --test-data test
  qstore serve --model runs/digits/model"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `qstore` with `arguments` (the process's own without any) and return its exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    debug = "--debug" in given
    try:
        return _run(given)
    except QStoreError as error:
        return _failed(error, error.exit_code, debug)
    except BrokenPipeError:
        # Whoever read the output has gone; keep Python from complaining about it once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _failed(error, 1, debug)
    except KeyboardInterrupt as stop:
        with contextlib.suppress(OSError):  # the terminal may have been closed
            print("interrupted", file=sys.stderr, flush=True)
        code: int = getattr(stop, "exit_code", 130)
        return code


def _run(given: list[str]) -> int:
    parser = ArgumentParser(prog="qstore", add_help=False)
    parser.add_argument("--log-level")
    parser.add_argument("--debug", action="store_true")
    options, rest = parser.parse_known_args(given)
    if not rest or rest[0] in ("-h", "--help"):
        print(HELP, file=sys.stdout if rest else sys.stderr)
        return 0 if rest else 2
    name, *arguments = rest
    if name.startswith("-"):
        raise ConfigurationError(f"unknown option {name!r} before the command; see: qstore --help")
    COMMANDS.require(name)
    _set_up_logging(options.log_level)
    command = COMMANDS.load(name)
    code: int = command(arguments)
    return code


def _set_up_logging(asked: str | None) -> None:
    """Send log records of this process to standard error, from the level that was asked for."""
    from quantum_db.settings import log_level

    if asked is not None and asked.lower() not in LOG_LEVELS:
        raise ConfigurationError(f"--log-level is {asked!r}; choose one of: {', '.join(LOG_LEVELS)}")
    level = asked.upper() if asked else log_level()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("quantum_db").setLevel(level)


def _failed(error: Exception, exit_code: int, debug: bool) -> int:
    if debug:
        import traceback

        traceback.print_exception(error)
    else:
        print(f"error: {error}", file=sys.stderr)
    return exit_code


if __name__ == "__main__":
    raise SystemExit(main())
