import logging
import threading

import numpy as np
import pytest
import torch
from mlflow import MlflowClient

from quantum_db.checkpoints import Checkpoint, LocalCheckpointStore
from quantum_db.errors import ConfigurationError, StageInputError, StoreError, TrainingError
from quantum_db.tracking.address import default_tracking_uri
from quantum_db.tracking.buffered_tracker import BufferedTracker
from quantum_db.tracking.mlflow_tracker import MlflowTracker
from quantum_db.tracking.tracker import TrackingError
from quantum_db.training import trainer as trainer_module
from quantum_db.training.config import QuantumTrainingConfig
from quantum_db.training.trainer import QuantumTrainer
from tests.suites.recording_executor import RecordingExecutor
from tests.training.iris_run import iris_samples, outcome

VALUES, LABELS = iris_samples(2)
METRICS = {"loss", "accuracy", "grad_norm", "circuit_time_ms", "seconds"}


@pytest.fixture
def config(tmp_path):
    """A purely quantum classifier; 75 rows in 5 batches, 3 epochs."""
    return QuantumTrainingConfig(
        model="variational", encoder="reuploading", n_qubits=3, circuit_depth=2, batch_size=16, epochs=3,
        learning_rate=0.1, seed=1, checkpoint_directory=str(tmp_path / "checkpoints"),
    )  # fmt: skip


def fit(config, resume=True, values=VALUES, labels=LABELS, **options):
    """Train a fresh model; return it and the result."""
    trainer = QuantumTrainer(config, progress=False, **options)
    model = trainer.build_model(values.shape[1], 3)
    return model, trainer.fit(model, values, labels, resume=resume)


def store_of(config):
    return LocalCheckpointStore(tmp_root(config))


def tmp_root(config):
    return trainer_module.Path(config.checkpoint_directory)


class RecordingTracker:
    """Keeps every call; `error` is raised by each call named in `fails`."""

    run_id = "tracked-1"

    def __init__(self, fails=(), error=None):
        self.calls, self.fails, self.error = [], fails, error

    def _record(self, name, *given):
        self.calls.append((name, *given))
        if name in self.fails:
            raise self.error

    def start(self, run_name, params, tags, resume_run_id=None):
        self._record("start", run_name, dict(params), dict(tags), resume_run_id)
        return self.run_id

    def log_metrics(self, metrics, step, timestamp_ms=None):
        self._record("metrics", dict(metrics), step)

    def log_artifact(self, path, folder=""):
        self._record("artifact", path, folder)

    def log_text(self, text, name):
        self._record("text", text, name)

    def log_dict(self, content, name):
        self._record("dict", dict(content), name)

    def finish(self, status="FINISHED"):
        self._record("finish", status)

    def of(self, name):
        return [call[1:] for call in self.calls if call[0] == name]


class TestLearning:
    def test_the_loss_falls_and_most_rows_are_told_right(self, config):
        model, result = fit(config.replace(epochs=12), checkpoints=False)
        losses = [record["loss"] for record in result.history]
        assert losses[-1] < 0.6 * losses[0]
        assert result.history[-1]["accuracy"] > 0.85
        outputs = model(torch.as_tensor(VALUES, dtype=torch.float32))
        assert (outputs.argmax(dim=1).numpy() == LABELS).mean() > 0.85

    @pytest.mark.parametrize(
        "settings",
        [{"model": "hybrid", "encoder": "angle", "hidden_in": 8, "hidden_out": 8}, {"model": "quantum", "loss": "mse"}],
    )
    def test_other_models_learn_too(self, config, settings):
        _, result = fit(config.replace(epochs=8, learning_rate=0.05, **settings), checkpoints=False)
        assert result.history[-1]["loss"] < 0.7 * result.history[0]["loss"]

    def test_each_epoch_is_recorded(self, config):
        _, result = fit(config, checkpoints=False)
        assert len(result.history) == 3
        for record in result.history:
            assert set(record) == METRICS
            assert record["circuit_time_ms"] > 0
            assert record["seconds"] * 1000 > record["circuit_time_ms"]
        assert (result.best_epoch, result.stopped_early, result.resumed_at_epoch) == (3, False, 0)

    def test_the_first_record_is_that_of_the_untrained_model(self, config):
        one_batch = config.replace(epochs=1, batch_size=1000)
        trainer = QuantumTrainer(one_batch, progress=False, checkpoints=False)
        outputs = trainer.build_model(4, 3)(torch.as_tensor(VALUES, dtype=torch.float32))
        labels = torch.as_tensor(LABELS)
        _, result = fit(one_batch, checkpoints=False)
        (record,) = result.history
        wanted = torch.nn.functional.cross_entropy(outputs, labels)
        assert record["loss"] == pytest.approx(wanted.item(), rel=1e-5)
        assert record["accuracy"] == (outputs.argmax(dim=1) == labels).double().mean().item()
        (gradient,) = torch.autograd.grad(wanted, trainer_parameters(outputs))
        assert record["grad_norm"] == pytest.approx(gradient.norm().item(), rel=1e-4)

    def test_small_last_batches_count_by_their_rows(self, config):
        slow = config.replace(learning_rate=1e-12, epochs=1)
        means = [fit(slow.replace(batch_size=size), checkpoints=False)[1].history[0]["loss"] for size in (74, 1000)]
        assert means[0] == pytest.approx(means[1], rel=1e-5)

    def test_shifted_circuits_run_on_the_given_executor(self, config):
        executor = RecordingExecutor()
        shifted = config.replace(gradient_method="parameter_shift", epochs=1)
        trainer = QuantumTrainer(shifted, executor=executor, progress=False, checkpoints=False)
        model = trainer.build_model(4, 3)
        trainer.fit(model, VALUES, LABELS)
        layer = model.quantum
        live = layer.parameter_count - len(layer.dead_weights)
        assert executor.n_circuits == 75 * (1 + 2 * live)
        exact = fit(config.replace(epochs=1), checkpoints=False)[0]
        torch.testing.assert_close(model.quantum.weights, exact.quantum.weights, atol=1e-4, rtol=0)

    def test_dead_angles_are_told(self, config, caplog):
        with caplog.at_level(logging.WARNING):
            model, _ = fit(config, checkpoints=False)
        dead = model.quantum.dead_weights
        assert dead
        told = f"{len(dead)} of {model.quantum.parameter_count} angles cannot move any observable"
        assert told in caplog.text

    @pytest.mark.parametrize("method", ["adjoint", "parameter_shift"])
    @pytest.mark.parametrize("precision", ["complex64", "complex128"])
    def test_dead_angles_stay_as_they_were_drawn(self, config, method, precision):
        """Adam would scale a gradient of rounding errors up to full steps."""
        settings = config.replace(gradient_method=method, precision=precision, epochs=2)
        drawn = QuantumTrainer(settings, checkpoints=False).build_model(4, 3).quantum.weights.detach()
        model, _ = fit(settings, checkpoints=False)
        moved = (model.quantum.weights != drawn).nonzero().ravel().tolist()
        dead = model.quantum.dead_weights
        assert moved == [index for index in range(18) if index not in dead]
        assert len(dead) == 3

    def test_epochs_are_logged_where_no_bar_is_shown(self, config, caplog):
        with caplog.at_level(logging.INFO):
            fit(config, checkpoints=False)
        assert [text.split(":")[0] for text in caplog.messages if text.startswith("epoch")] == [
            "epoch 1 of 3", "epoch 2 of 3", "epoch 3 of 3",
        ]  # fmt: skip


def trainer_parameters(outputs):
    """The leaf behind `outputs` of a purely quantum model."""
    seen, waiting = set(), [outputs.grad_fn]
    while waiting:
        node = waiting.pop()
        if hasattr(node, "variable"):
            return [node.variable]
        waiting += [parent for parent, _ in node.next_functions if parent is not None and parent not in seen]
        seen |= set(waiting)
    raise AssertionError("no leaf")


class TestOneSeedOneResult:
    def test_bit_for_bit_and_another_seed_differs(self, config):
        first, again, other = (outcome(*fit(config.replace(seed=seed), checkpoints=False)) for seed in (1, 1, 2))
        assert first == again
        assert first["weights"] != other["weights"]
        assert first["history"] != other["history"]

    def test_whatever_torch_drew_before(self, config):
        torch.manual_seed(1)
        first = outcome(*fit(config, checkpoints=False))
        torch.manual_seed(2)
        assert outcome(*fit(config, checkpoints=False)) == first

    def test_training_leaves_torch_as_it_was(self, config):
        torch.manual_seed(5)
        threads, expected = torch.get_num_threads(), torch.rand(3)
        torch.manual_seed(5)
        fit(config, checkpoints=False)
        assert torch.equal(torch.rand(3), expected)
        assert torch.get_num_threads() == threads

    def test_models_that_draw_random_numbers_themselves(self, config):
        """Dropout draws from torch's own generator, which is seeded, kept in checkpoints and left as it was."""

        def dropping(epochs, before, **options):
            torch.manual_seed(before)
            model = torch.nn.Sequential(torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 3), torch.nn.Dropout(0.5))
            for name, parameter in model.named_parameters():
                torch.nn.init.constant_(parameter, 0.1 * len(name))
            expected = torch.get_rng_state()
            trainer = QuantumTrainer(config.replace(epochs=epochs, batch_size=25), progress=False, **options)
            result = trainer.fit(model, VALUES, LABELS)
            assert torch.equal(torch.get_rng_state(), expected)
            return outcome(model, result)

        alone = dropping(4, before=1, checkpoints=False)
        assert dropping(4, before=2, checkpoints=False) == alone
        dropping(2, before=3, run_id="run")
        assert dropping(4, before=4, run_id="run") == alone

    @pytest.mark.parametrize("limit", [1, 7, 100])
    def test_how_many_circuits_run_at_once_does_not_matter(self, config, limit):
        double = config.replace(precision="complex128", epochs=2)
        whole, chunked = (
            fit(double.replace(max_concurrent_circuits=at_once), checkpoints=False)[0].quantum.weights
            for at_once in (None, limit)
        )
        torch.testing.assert_close(whole, chunked, atol=1e-10, rtol=0)


class TestResume:
    @pytest.mark.parametrize("settings", [{}, {"optimizer": "sgd"}, {"validation_fraction": 0.3}])
    def test_more_epochs_go_on_bit_for_bit(self, config, settings):
        settings = {"epochs": 5, **settings}
        alone = outcome(*fit(config.replace(**settings), checkpoints=False))
        fit(config.replace(**settings | {"epochs": 2}))
        model, result = fit(config.replace(**settings))
        assert result.resumed_at_epoch == 2
        assert outcome(model, result) == alone

    def test_a_finished_run_is_only_read(self, config):
        first = outcome(*fit(config))
        tracker = RecordingTracker()
        model, result = fit(config, tracker=tracker)
        assert outcome(model, result) == first
        assert result.resumed_at_epoch == 3

    def test_the_same_call_is_the_same_run_and_others_are_not(self, config):
        run_id = fit(config)[1].run_id
        changes = [{"epochs": 4}, {"checkpoint_interval": 2}, {"checkpoint_batches": 2}]
        assert {fit(config.replace(**change))[1].run_id for change in changes} == {run_id}
        others = [{"seed": 2}, {"learning_rate": 0.2}, {"circuit_depth": 1}]
        found = {fit(config.replace(epochs=1, **change))[1].run_id for change in others}
        found.add(fit(config.replace(epochs=1), values=VALUES[1:], labels=LABELS[1:])[1].run_id)
        assert len(found | {run_id}) == 5

    def test_anew_means_anew_and_can_be_resumed(self, config):
        fit(config.replace(seed=7), run_id="run")
        wanted = outcome(*fit(config.replace(epochs=2), checkpoints=False))
        model, result = fit(config.replace(epochs=2), resume=False, run_id="run")
        assert outcome(model, result) == wanted
        model, result = fit(config, run_id="run")
        assert result.resumed_at_epoch == 2
        assert outcome(model, result) == outcome(*fit(config, checkpoints=False))

    def test_anew_is_a_new_run_of_the_tracking_store(self, config):
        trackers = [RecordingTracker() for _ in range(3)]
        fit(config, run_id="run", tracker=trackers[0])
        fit(config, run_id="run", tracker=trackers[1])
        fit(config, run_id="run", tracker=trackers[2], resume=False)
        assert [tracker.of("start")[0][3] for tracker in trackers] == [None, "tracked-1", None]

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"learning_rate": 0.2}, r"another configuration \(learning_rate was 0\.1, is 0\.2\)"),
            ({"seed": 9, "loss": "mse"}, r"loss was 'cross_entropy', is 'mse'; seed was 1, is 9"),
            ({"circuit_depth": 3}, "circuit_depth was 2, is 3"),
            ({"entanglement_pattern": "full"}, "entanglement_pattern was 'linear', is 'full'"),
        ],
    )
    def test_a_checkpoint_of_another_configuration(self, config, change, message):
        fit(config.replace(epochs=1), run_id="run")
        with pytest.raises(StoreError, match=message):
            fit(config.replace(**change), run_id="run")

    def test_a_checkpoint_of_other_data(self, config):
        fit(config.replace(epochs=1), run_id="run")
        changed = VALUES.copy()
        changed[0, 0] += 1e-9
        for values, labels in ((changed, LABELS), (VALUES, LABELS[::-1].copy()), (VALUES[1:], LABELS[1:])):
            with pytest.raises(StoreError, match="belongs to another dataset; use another run id, or start anew"):
                fit(config, run_id="run", values=values, labels=labels)

    def test_a_checkpoint_of_another_model(self, config):
        fit(config.replace(epochs=1), run_id="run")
        trainer = QuantumTrainer(config, progress=False, run_id="run")
        other = QuantumTrainer(config.replace(n_qubits=4), progress=False).build_model(4, 3)
        with pytest.raises(StoreError, match="belongs to another model"):
            trainer.fit(other, VALUES, LABELS)

    def test_what_is_no_training_checkpoint(self, config):
        store_of(config).write("run", 1, 0, Checkpoint({"w": np.zeros(2)}, {"model": {}}))
        with pytest.raises(StoreError, match="no training checkpoint"):
            fit(config, run_id="run")

    def damaged(self, config, damage):
        fit(config.replace(epochs=1), run_id="run")
        (reference,) = store_of(config).list("run")
        damage(reference.path)
        kept = sorted(file.name for file in reference.path.iterdir())
        tracker = RecordingTracker()
        with pytest.raises(StoreError, match=r"damaged|cannot be read|does not exist"):
            fit(config, run_id="run", tracker=tracker)
        assert sorted(file.name for file in reference.path.iterdir()) == kept
        assert tracker.calls == []

    @pytest.mark.parametrize("name", ["arrays.safetensors", "manifest.json"])
    def test_a_flipped_byte(self, config, name):
        def flip(path):
            content = bytearray((path / name).read_bytes())
            content[len(content) // 2] ^= 0xFF
            (path / name).write_bytes(bytes(content))

        self.damaged(config, flip)

    @pytest.mark.parametrize("name", ["arrays.safetensors", "manifest.json"])
    def test_a_cut_file(self, config, name):
        self.damaged(config, lambda path: (path / name).write_bytes((path / name).read_bytes()[:-20]))

    @pytest.mark.parametrize("name", ["arrays.safetensors", "manifest.json"])
    def test_a_missing_file(self, config, name):
        self.damaged(config, lambda path: (path / name).unlink())

    def test_the_newest_three_are_kept(self, config):
        _, result = fit(config.replace(epochs=4, checkpoint_batches=2))
        found = [(reference.epoch, reference.batch) for reference in store_of(config).list(result.run_id)]
        assert found == [(3, 2), (3, 4), (4, 0)]

    @pytest.mark.parametrize(("interval", "epochs"), [(2, [2, 4, 5]), (3, [3, 5]), (9, [5])])
    def test_the_interval_and_always_the_end(self, config, interval, epochs):
        _, result = fit(config.replace(epochs=5, checkpoint_interval=interval))
        assert [reference.epoch for reference in store_of(config).list(result.run_id)] == epochs

    def test_nothing_is_written_without_checkpoints(self, config):
        fit(config, checkpoints=False)
        assert not tmp_root(config).exists()

    def test_run_ids_that_are_no_folder_names(self, config):
        with pytest.raises(ConfigurationError, match="a run id is"):
            fit(config, run_id="../elsewhere")


class TestEarlyStopping:
    @pytest.fixture
    def restless(self, config):
        """Learns too fast, so that the validation loss soon rises again."""
        return config.replace(
            epochs=30, learning_rate=0.8, validation_fraction=0.3, early_stopping_patience=3, batch_size=8
        )

    def test_the_best_weights_are_restored(self, restless):
        model, result = fit(restless, checkpoints=False)
        losses = [record["validation_loss"] for record in result.history]
        assert result.stopped_early
        assert len(losses) < 30
        assert result.best_epoch == int(np.argmin(losses)) + 1
        assert len(losses) == result.best_epoch + 3
        until_best = restless.replace(early_stopping_patience=None, epochs=result.best_epoch)
        wanted, _ = fit(until_best, checkpoints=False)
        assert torch.equal(model.quantum.weights, wanted.quantum.weights)
        last, _ = fit(until_best.replace(epochs=len(losses)), checkpoints=False)
        assert not torch.equal(model.quantum.weights, last.quantum.weights)

    def test_a_stopped_run_stays_stopped(self, restless):
        first = outcome(*fit(restless))
        model, result = fit(restless)
        assert outcome(model, result) == first
        assert result.stopped_early

    def test_rows_kept_aside_are_recorded_not_trained_on(self, config):
        _, result = fit(config.replace(validation_fraction=0.2), checkpoints=False)
        for record in result.history:
            assert set(record) == METRICS | {"validation_loss", "validation_accuracy"}
            assert record["accuracy"] * 60 == pytest.approx(round(record["accuracy"] * 60))
            assert record["validation_accuracy"] * 15 == pytest.approx(round(record["validation_accuracy"] * 15))


class TestFailures:
    @pytest.mark.parametrize("validation", [0.0, 0.3])
    @pytest.mark.parametrize("model", ["hybrid", "quantum"])
    def test_a_diverging_loss(self, config, model, validation):
        diverging = config.replace(
            model=model, encoder="angle", n_qubits=2, validation_fraction=validation, epochs=30,
            optimizer="sgd", loss="mse", learning_rate=100.0,
        )  # fmt: skip
        tracker = RecordingTracker()
        with pytest.raises(TrainingError, match=r"diverged|beyond all bounds"):
            fit(diverging, tracker=tracker, run_id="run")
        assert tracker.of("finish") == [("FAILED",)]
        for reference in store_of(config).list("run"):
            arrays = Checkpoint.read(reference.path).arrays
            assert all(np.isfinite(array).all() for array in arrays.values())

    def test_more_classes_than_outputs(self, config):
        with pytest.raises(StageInputError, match="the labels go up to 3, but the model has 3 outputs"):
            fit(config, labels=LABELS + 1)

    def test_values_of_another_width(self, config):
        trainer = QuantumTrainer(config, progress=False)
        for kind in ("variational", "hybrid"):
            model = QuantumTrainer(config.replace(model=kind, encoder="angle", n_qubits=4)).build_model(4, 3)
            with pytest.raises(StageInputError, match="shape"):
                trainer.fit(model, VALUES[:, :3], LABELS)
        assert not tmp_root(config).exists()

    def test_values_outside_the_domain(self, config):
        with pytest.raises(StageInputError, match="outside the domain"):
            fit(config, values=2 * VALUES)

    def test_one_class_alone_can_be_trained_on_but_not_divided_without_rows(self, config):
        with pytest.raises(StageInputError, match="class number 2 has 1 row"):
            fit(config.replace(validation_fraction=0.2), values=VALUES[:51], labels=LABELS[:51])

    def test_an_interrupted_run_is_marked_as_killed_and_goes_on(self, config, monkeypatch):
        alone = outcome(*fit(config, checkpoints=False))
        step, count = trainer_module.optimization_step, iter(range(100))

        def interrupted(*given):
            if next(count) == 7:
                raise KeyboardInterrupt
            return step(*given)

        monkeypatch.setattr(trainer_module, "optimization_step", interrupted)
        tracker = RecordingTracker()
        with pytest.raises(KeyboardInterrupt):
            fit(config, tracker=tracker)
        assert tracker.of("finish") == [("KILLED",)]
        monkeypatch.undo()
        model, result = fit(config)
        assert result.resumed_at_epoch == 1
        assert outcome(model, result) == alone


class TestTracking:
    def test_every_call_once_an_epoch(self, config):
        tracker = RecordingTracker()
        _, result = fit(config, tracker=tracker, tags={"dataset": "iris"})
        ((name, params, tags, resumed),) = tracker.of("start")
        assert (name, resumed) == (result.run_id, None)
        assert tags == {"qstore.run_id": result.run_id, "dataset": "iris"}
        assert params["learning_rate"] == 0.1
        assert not any("key" in name or name == "checkpoint_directory" for name in params)
        metrics = tracker.of("metrics")
        assert [step for _, step in metrics] == [1, 2, 3]
        for (values, _), record in zip(metrics, result.history, strict=True):
            assert values == {
                "train_loss": record["loss"],
                "train_accuracy": record["accuracy"],
                "gradient_norm": record["grad_norm"],
                "quantum_circuit_time": record["circuit_time_ms"],
                "seconds": record["seconds"],
            }
        assert tracker.of("finish") == [("FINISHED",)]
        assert result.tracking_run_id == "tracked-1"

    def test_the_circuit_and_the_configuration_are_kept(self, config):
        tracker = RecordingTracker()
        model, _ = fit(config, tracker=tracker)
        written = {name: content for content, name in tracker.of("dict") + tracker.of("text")}
        assert set(written) == {"quantum_config.json", "entanglement_map_0.json", "circuit_0.txt"}
        assert QuantumTrainingConfig.from_dict(written["quantum_config.json"]) == config
        assert written["entanglement_map_0.json"] == {"pairs": [[0, 1], [1, 2]]}
        assert written["circuit_0.txt"].strip() == str(model.quantum.circuit).strip()

    def test_a_resumed_run_goes_on_in_its_run_of_the_store(self, config):
        first, second = RecordingTracker(), RecordingTracker()
        fit(config.replace(epochs=2), tracker=first)
        fit(config, tracker=second)
        assert second.of("start")[0][3] == "tracked-1"
        assert [step for _, step in second.of("metrics")] == [1, 2, 3]  # the store skips what it has

    def test_a_store_that_tells_its_run_only_at_the_end(self, config):
        class SlowTracker(RecordingTracker):
            @property
            def run_id(self):
                return "late" if self.of("finish") else ""

        assert fit(config.replace(epochs=2), tracker=SlowTracker())[1].tracking_run_id == "late"
        resumed = RecordingTracker()
        fit(config, tracker=resumed)
        assert resumed.of("start")[0][3] == "late"

    def test_a_store_that_is_away_does_not_stop_training(self, config, tmp_path):
        failing = RecordingTracker(fails=("start", "metrics", "finish"), error=TrackingError("the store is away."))
        spool = tmp_path / "unsent.jsonl"
        tracker = BufferedTracker(failing, spool, finish_wait_s=0.2)
        alone = outcome(*fit(config, checkpoints=False))
        assert outcome(*fit(config, checkpoints=False, tracker=tracker)) == alone
        assert spool.read_text().count('"metrics"') >= 3
        for thread in threading.enumerate():
            if thread.name == "tracking":
                thread.join(10)

    def test_a_real_store_holds_the_run(self, config, tmp_path):
        uri = default_tracking_uri(tmp_path)
        _, first = fit(config.replace(epochs=2), tracker=MlflowTracker(uri))
        _, result = fit(config, tracker=MlflowTracker(uri))
        assert result.tracking_run_id == first.tracking_run_id
        client = MlflowClient(tracking_uri=uri)
        run = client.get_run(result.tracking_run_id)
        assert run.info.status == "FINISHED"
        assert run.data.params["n_qubits"] == "3"
        history = client.get_metric_history(result.tracking_run_id, "train_loss")
        assert [(metric.step, metric.value) for metric in history] == [
            (number, record["loss"]) for number, record in enumerate(result.history, start=1)
        ]
        names = {entry.path for entry in client.list_artifacts(result.tracking_run_id)}
        assert names == {"quantum_config.json", "circuit_0.txt", "entanglement_map_0.json"}
