"""Whether the circuits of a configuration can be simulated on this machine, asked before anything is started."""

from __future__ import annotations

from quantum_db.training.config import QuantumTrainingConfig

_COMPLEX_BYTES = {"complex64": 8, "complex128": 16}
_SMALL = 2**28  # such a simulation fits wherever torch can be loaded at all


def check_circuit_memory(config: QuantumTrainingConfig) -> None:
    """Raise ConfigurationError, with the GiB needed and how many qubits fit, when the states do not fit into memory.

    The exact simulator holds two states for each row that is simulated at once. The simulators with noise decide
    themselves how many rows they take at once, so one state is asked for. On other devices than the processor nothing
    is checked here: the machine that trains need not be this one.
    """
    if config.device != "cpu":
        return
    amplitude = _COMPLEX_BYTES[config.precision]
    exact = config.qpu_target == "simulator"
    rows = min(config.batch_size, config.max_concurrent_circuits or config.batch_size) if exact else 1
    if 2 * rows * amplitude * 2**config.n_qubits <= _SMALL:
        return
    import torch

    from quantum_db.simulation.memory import check_kernel_memory, check_memory

    if exact:
        check_kernel_memory(config.n_qubits, rows, rows, amplitude)
    else:
        check_memory(config.n_qubits, rows, amplitude, 0, torch.device("cpu"))
