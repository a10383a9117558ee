import numpy as np
import pytest

from quantum_db.checkpoints import Checkpoint, LocalCheckpointStore
from quantum_db.errors import ConfigurationError, StoreError


def checkpoint(number):
    return Checkpoint({"w": np.full(3, float(number))}, {"number": number})


def positions(store, run="run"):
    return [(reference.epoch, reference.batch) for reference in store.list(run)]


def test_the_newest_position_is_the_latest(tmp_path):
    store = LocalCheckpointStore(tmp_path, keep=10)
    for number, (epoch, batch) in enumerate([(0, 2), (0, 10), (1, 0), (9, 0), (10, 0)]):
        reference = store.write("run", epoch, batch, checkpoint(number))
        assert reference.path.name == f"epoch-{epoch:05d}-batch-{batch:06d}-{checkpoint(number).digest[:12]}"
    assert positions(store) == [(0, 2), (0, 10), (1, 0), (9, 0), (10, 0)]
    assert store.latest("run").manifest == {"number": 4}


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_the_newest_are_kept(tmp_path, keep):
    store = LocalCheckpointStore(tmp_path, keep=keep)
    for epoch in range(5):
        store.write("run", epoch, 0, checkpoint(epoch))
        store.write("other", epoch, 0, checkpoint(epoch))
        assert len(store.list("run")) == min(keep, epoch + 1)
    assert positions(store) == [(epoch, 0) for epoch in range(5 - keep, 5)]
    assert positions(store, "other") == positions(store)


def test_none_at_all(tmp_path):
    store = LocalCheckpointStore(tmp_path / "absent")
    assert store.list("run") == ()
    assert store.latest("run") is None
    store.discard("run")
    assert not (tmp_path / "absent").exists()


def test_a_damaged_latest_is_not_passed_over(tmp_path):
    store = LocalCheckpointStore(tmp_path)
    store.write("run", 1, 0, checkpoint(1))
    newest = store.write("run", 2, 0, checkpoint(2))
    (newest.path / "arrays.safetensors").unlink()
    with pytest.raises(StoreError, match="is damaged"):
        store.latest("run")


def test_what_a_killed_process_left_is_neither_read_nor_kept(tmp_path):
    store = LocalCheckpointStore(tmp_path)
    store.write("run", 1, 0, checkpoint(1))
    partial = tmp_path / "run" / ".epoch-00002-batch-000000-abcdefabcdef.x1.partial"
    partial.mkdir()
    (partial / "arrays.safetensors").write_bytes(b"half")
    assert positions(store) == [(1, 0)]
    assert store.latest("run").manifest == {"number": 1}
    store.write("run", 2, 0, checkpoint(2))
    assert not partial.exists()
    assert positions(store) == [(1, 0), (2, 0)]


def test_discard_forgets_one_run(tmp_path):
    store = LocalCheckpointStore(tmp_path)
    for run in ("run", "other"):
        store.write(run, 1, 0, checkpoint(1))
    store.discard("run")
    assert store.latest("run") is None
    assert store.latest("other") is not None


def test_find_by_name_and_by_path(tmp_path):
    store = LocalCheckpointStore(tmp_path)
    reference = store.write("run", 1, 0, checkpoint(1))
    assert store.find(f"run/{reference.path.name}").manifest == {"number": 1}
    assert store.find(str(reference.path)).manifest == {"number": 1}
    with pytest.raises(StoreError, match=r"there is no checkpoint 'lost' in .*; runs there: run"):
        store.find("lost")


@pytest.mark.parametrize("run_id", ["", "../up", "a/b", ".hidden", "-x", "a b", "a\n", "x" * 129])
def test_run_ids_that_are_no_folder_names_are_refused(tmp_path, run_id):
    store = LocalCheckpointStore(tmp_path)
    with pytest.raises(ConfigurationError, match="a run id is 1 to 128 letters"):
        store.write(run_id, 0, 0, checkpoint(0))
    with pytest.raises(ConfigurationError):
        store.discard(run_id)
    assert list(tmp_path.iterdir()) == []


def test_at_least_one_must_be_kept(tmp_path):
    with pytest.raises(ConfigurationError, match="at least one checkpoint must be kept, got keep=0"):
        LocalCheckpointStore(tmp_path, keep=0)
