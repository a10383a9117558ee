"""Compile the pipelines into the YAML files that Kubeflow and the local runner take.

python -m pipelines.compile [FOLDER]
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from kfp import compiler

from pipelines.training import training

COMPILED = Path(__file__).resolve().parent / "compiled"
PIPELINES = {"training": training}


def compile_all(folder: Path = COMPILED) -> list[Path]:
    """Write every pipeline into `folder` and return the files; the same sources give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, pipeline in PIPELINES.items():
        file = folder / f"{name}.yaml"
        compiler.Compiler().compile(pipeline, str(file))
        files.append(file)
    return files


def main(arguments: Sequence[str]) -> int:
    """Compile into the folder given, or into pipelines/compiled; print one line per file."""
    for file in compile_all(Path(arguments[0]) if arguments else COMPILED):
        print(file)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
