import pytest
import torch

from quantum_db.errors import ConfigurationError
from quantum_db.simulation import memory
from quantum_db.simulation.memory import available_bytes, check_memory, needed_bytes

CPU = torch.device("cpu")


def test_needed_bytes():
    assert needed_bytes(10, 4, 16, 0) == 4 * 1024 * 16 * 3
    assert needed_bytes(10, 4, 16, 5) == 4 * 1024 * 16 * 8
    assert needed_bytes(10, 4, 16, 0, index_arrays=2) == 4 * 1024 * 16 * 3 + 2 * 1024 * 8


def test_the_largest_circuit_is_the_largest_that_fits(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda device: 2**30)
    check_memory(24, 1, 16, 0, CPU)  # 0.75 GiB
    with pytest.raises(
        ConfigurationError, match=r"25 qubits with 1 row\(s\) at once needs 1\.5 GiB, and 1\.0 GiB are free; 24"
    ):
        check_memory(25, 1, 16, 0, CPU)
    with pytest.raises(ConfigurationError, match=r"32 row.*; 19 qubits fit.*smaller batch size"):
        check_memory(24, 32, 16, 0, CPU)


def test_small_circuits_do_not_ask_the_machine(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda device: pytest.fail("asked"))
    check_memory(10, 32, 8, 20, CPU)


def test_a_container_limit_counts(monkeypatch, tmp_path):
    limit, use, stat = tmp_path / "max", tmp_path / "current", tmp_path / "stat"
    limit.write_text("1000000\n")
    use.write_text("700000\n")
    stat.write_text("anon 5\ninactive_file 50000\nactive_file 7\n")
    for name, path in (("_CGROUP_LIMIT", limit), ("_CGROUP_USE", use), ("_CGROUP_STAT", stat)):
        monkeypatch.setattr(memory, name, path)
    assert available_bytes(CPU) == 350_000
    limit.write_text("max\n")
    assert available_bytes(CPU) > 2**20
