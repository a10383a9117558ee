"""The chain of custody of a model: from which data, code, settings and jobs on machines it came, under one hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from quantum_db.errors import StoreError
from quantum_db.training.config import QuantumTrainingConfig
from quantum_db.training.run_executor import MachineUse

SCHEMA_VERSION = 1


def custody_chain(
    config: QuantumTrainingConfig,
    dataset: Mapping[str, str],
    code: Mapping[str, Any],
    run: Mapping[str, str],
    weights_digest: str,
    use: MachineUse | None,
) -> dict[str, Any]:
    """The chain as JSON. `dataset` has name and digest, `code` versions and commit, `run` the names of the run.

    `digest` is the SHA-256 (hex) of all the rest. Jobs have their provider's id, cost (US dollars as text) and
    calibration; a model that no machine has trained has none.
    """
    settings = {name: value for name, value in config.to_dict().items() if name != "checkpoint_directory"}
    machines = {"target": config.qpu_target, "cost_usd": "0", "jobs": [], "journal_head": ""}
    if use is not None:
        kept = ("target", "cost_usd", "circuits", "shots", "journal_head", "jobs")
        told = use.to_json()
        machines = {name: told[name] for name in kept}
    chain = {
        "schema_version": SCHEMA_VERSION,
        "dataset": dict(dataset),
        "code": dict(code),
        "config": settings,
        "seeds": {"seed": config.seed, "noise_seed": config.noise_seed},
        "run": dict(run),
        "weights_digest": weights_digest,
        "machines": machines,
    }
    # what is written and read again must have the same hash
    plain: dict[str, Any] = json.loads(json.dumps(chain, allow_nan=False))
    return {**plain, "digest": chain_digest(plain)}


def chain_digest(chain: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of a chain without its own digest."""
    content = {name: value for name, value in chain.items() if name != "digest"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def checked_chain(manifest: Mapping[str, Any], weights_digest: str, where: str) -> dict[str, Any]:
    """The chain in the manifest of a model with these weights; StoreError when it is missing, changed or another's."""
    chain = manifest.get("custody")
    if not isinstance(chain, dict):
        raise StoreError(f"{where} has no chain of custody; it was written by an older release. Train it again")
    if chain.get("digest") != chain_digest(chain):
        raise StoreError(f"the chain of custody of {where} was changed after it was written; it proves nothing")
    for name, found, told in (
        ("weights", weights_digest, chain["weights_digest"]),
        ("data", manifest["dataset"]["digest"], chain["dataset"]["digest"]),
        ("settings", manifest["config"], chain["config"]),
    ):
        if found != told:
            raise StoreError(f"the chain of custody of {where} belongs to other {name} than the model has")
    return chain
