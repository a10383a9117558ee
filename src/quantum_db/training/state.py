"""The whole state of a training run as a checkpoint, so that a resumed run goes on bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from quantum_db.checkpoints import Checkpoint
from quantum_db.errors import StoreError
from quantum_db.optimizers.build import AnyOptimizer
from quantum_db.training.config import changed_settings

Arrays = dict[str, npt.NDArray[Any]]


@dataclass
class EpochSums:
    """What has been added up over the finished batches of the current epoch; dollars as text, which is exact."""

    rows: int = 0
    loss: float = 0.0
    correct: int = 0
    grad_norm: float = 0.0
    batches: int = 0
    circuit_seconds: float = 0.0
    seconds: float = 0.0
    cost_usd: str = "0"
    circuits: int = 0
    shots: int = 0
    jobs: int = 0
    queue_s: float = 0.0
    run_s: float = 0.0


def sums_record(sums: EpochSums) -> dict[str, float]:
    """What an epoch measured: means over its rows and batches, and times."""
    return {
        "loss": sums.loss / sums.rows,
        "accuracy": sums.correct / sums.rows,
        "grad_norm": sums.grad_norm / sums.batches,
        "circuit_time_ms": sums.circuit_seconds * 1000,
        "seconds": sums.seconds,
    }


@dataclass
class Progress:
    """Where a run stands: `epoch` epochs are done, and `batch` batches of the next one."""

    epoch: int = 0
    batch: int = 0
    sums: EpochSums = field(default_factory=EpochSums)
    history: list[dict[str, float]] = field(default_factory=list)
    best_loss: float | None = None
    best_epoch: int = 0
    stopped_early: bool = False

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Progress:
        """Read what `asdict` gave."""
        return cls(**{**values, "sums": EpochSums(**values["sums"])})


def capture(
    model: nn.Module,
    optimizer: AnyOptimizer,
    progress: Progress,
    best: Mapping[str, torch.Tensor] | None,
    identity: Mapping[str, Any],
) -> Checkpoint:
    """The checkpoint of the present state; `identity` says which run it belongs to (see `restore`)."""
    arrays: Arrays = {f"model/{name}": _array(tensor) for name, tensor in model.state_dict().items()}
    arrays |= {f"best/{name}": _array(tensor) for name, tensor in (best or {}).items()}
    arrays["generator/torch"] = torch.get_rng_state().numpy()
    state = optimizer.state_dict()
    plain: dict[str, dict[str, Any]] = {}
    for index, entries in state["state"].items():
        for name, value in entries.items():
            if isinstance(value, torch.Tensor):
                arrays[f"optimizer/{index}/{name}"] = _array(value)
            else:
                plain.setdefault(str(index), {})[name] = value
    manifest = {
        **identity,
        "progress": asdict(progress),
        "optimizer": {"groups": state["param_groups"], "plain": plain},
        "torch_version": str(torch.__version__),
    }
    return Checkpoint(arrays, manifest)


def restore(
    checkpoint: Checkpoint, model: nn.Module, optimizer: AnyOptimizer, identity: Mapping[str, Any]
) -> tuple[Progress, dict[str, torch.Tensor] | None]:
    """Put the state of `checkpoint` back; return the progress and the best weights so far.

    Raises StoreError when the checkpoint is of another configuration, model or dataset, and says where they differ.
    """
    _check_identity(checkpoint.manifest, identity)
    try:
        model.load_state_dict(_tensors(checkpoint.arrays, "model/"))
        saved = checkpoint.manifest["optimizer"]
        state: dict[int, dict[str, Any]] = {int(index): dict(entries) for index, entries in saved["plain"].items()}
        for name, tensor in _tensors(checkpoint.arrays, "optimizer/").items():
            index, _, key = name.partition("/")
            state.setdefault(int(index), {})[key] = tensor
        optimizer.load_state_dict({"state": state, "param_groups": saved["groups"]})
        torch.set_rng_state(torch.from_numpy(checkpoint.arrays["generator/torch"].copy()))
        progress = Progress.from_dict(checkpoint.manifest["progress"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise StoreError(f"the checkpoint does not fit this model ({error}); start the run anew") from error
    return progress, _tensors(checkpoint.arrays, "best/") or None


def _check_identity(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    if "progress" not in found:
        raise StoreError("this checkpoint is no training checkpoint; name one that a training run wrote")
    settings = changed_settings(found.get("config", {}), wanted["config"])
    if settings:
        pairs = (f"{n} was {found['config'].get(n)!r}, is {wanted['config'].get(n)!r}" for n in settings)
        raise StoreError(
            f"the checkpoint belongs to another configuration ({'; '.join(pairs)}); use that configuration, another "
            f"run id, or start anew with resume off"
        )
    for name in ("samples_digest", "model"):
        if found.get(name) != wanted[name]:
            raise StoreError(
                f"the checkpoint belongs to another {'dataset' if name == 'samples_digest' else 'model'}; use another "
                f"run id, or start anew with resume off"
            )


def _tensors(arrays: Mapping[str, npt.NDArray[Any]], prefix: str) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(prefix): torch.as_tensor(np.array(array))
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def _array(tensor: torch.Tensor) -> npt.NDArray[Any]:
    return np.array(tensor.detach().cpu().numpy())
