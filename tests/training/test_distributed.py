"""Gradients from shards on several targets: equal to those of one process, whatever goes down meanwhile."""

from __future__ import annotations

import threading
from decimal import Decimal

import pytest
import torch

from quantum_db.backends.remote import TargetReport
from quantum_db.backends.statevector import StatevectorExecutor
from quantum_db.errors import ConfigurationError, LostJobError, TransientBackendError
from quantum_db.execution.balanced import BalanceOptions, Candidate
from quantum_db.training.config import QuantumTrainingConfig
from quantum_db.training.distributed import DistributedQuantumTrainer, QuantumLoadBalancer
from quantum_db.training.objective import BatchObjective
from quantum_db.training.trainer import QuantumTrainer
from tests.execution.machines import HistogramMachine
from tests.training.iris_run import iris_samples

VALUES, LABELS = iris_samples(4)
MIXED = BalanceOptions(mix_targets=True)
SETTINGS = {
    "model": "variational", "encoder": "reuploading", "n_qubits": 2, "circuit_depth": 1, "batch_size": 10,
    "learning_rate": 0.1, "seed": 3, "gradient_method": "parameter_shift", "precision": "complex128", "epochs": 1,
}  # fmt: skip


def config(**changes):
    return QuantumTrainingConfig(**SETTINGS | changes)


def new_model(settings):
    trainer = QuantumTrainer(settings, checkpoints=False, progress=False)
    return trainer, trainer.build_model(VALUES.shape[1], int(LABELS.max()) + 1)


class Worker(StatevectorExecutor):
    """An exact simulator with a name that counts what it ran; goes down at the calls in `down`, raising `error`."""

    def __init__(self, name, down=(), error=TransientBackendError, meanwhile=None):
        super().__init__(precision="complex128")
        self.own_name, self.down, self.error = name, set(down), error
        self.calls, self.circuits, self._mutex = 0, 0, threading.Lock()
        self.meanwhile = meanwhile

    @property
    def name(self):
        return self.own_name

    def run(self, batch):
        with self._mutex:
            call = self.calls
            self.calls += 1
        if self.meanwhile is not None:
            self.meanwhile()
        if call in self.down:
            raise self.error(f"{self.own_name} is in maintenance")
        self.circuits += batch.n_circuits
        return super().run(batch)


def parts_of(settings, rows):
    parameter = next(new_model(settings)[1].parameters())
    return torch.as_tensor(VALUES[:rows]).to(parameter), torch.as_tensor(LABELS[:rows])


def gradient_of_one(settings, rows):
    trainer, model = new_model(settings)
    found = BatchObjective(model, trainer.loss_function, *parts_of(settings, rows)).gradient()
    return model, found


def distributed(settings, workers, rows, options=MIXED, shards=None):
    _, model = new_model(settings)
    trainer = DistributedQuantumTrainer(settings, QuantumLoadBalancer.of(workers, options), shards=shards)
    return model, trainer.gradient(model, *parts_of(settings, rows))


def assert_equal(one, many, tolerance=1e-12):
    for expected, found in zip(one[0].parameters(), many[0].parameters(), strict=True):
        assert float((expected.grad - found.grad).abs().max()) <= tolerance
        assert float(expected.grad.abs().max()) > 1e-3
    assert many[1].loss == pytest.approx(one[1].loss, abs=tolerance)
    assert many[1].norm == pytest.approx(one[1].gradient_norm, abs=tolerance)
    assert float((one[1].outputs - many[1].outputs).abs().max()) <= tolerance


@pytest.mark.parametrize("settings", [
    config(), config(loss="mse"), config(model="hybrid", encoder="angle", hidden_in=5, hidden_out=4)
], ids=["cross_entropy", "mse", "hybrid"])  # fmt: skip
@pytest.mark.parametrize(("rows", "shards"), [(10, 3), (7, 2), (3, 5), (4, 1)])
def test_the_gradient_of_uneven_shards_is_that_of_one_process(settings, rows, shards):
    one = gradient_of_one(settings, rows)
    many = distributed(settings, [Worker("a"), Worker("b")], rows, shards=shards)
    assert_equal(one, many)
    sizes = [record.rows for record in many[1].shards]
    assert sum(sizes) == rows
    assert len(sizes) == min(rows, shards)
    assert max(sizes) - min(sizes) <= 1


def test_a_target_that_goes_down_in_a_gradient_is_left_and_its_shard_run_whole_elsewhere():
    # both shards have begun before any goes on; b answers the forward circuits and goes down at the shifted ones
    begun = threading.Barrier(2)
    first = threading.local()

    def meet():
        if not getattr(first, "met", False):
            first.met = True
            begun.wait(20)

    a, b = Worker("a", meanwhile=meet), Worker("b", down=(1,), meanwhile=meet)
    many = distributed(config(), [a, b], 9, shards=2)
    assert_equal(gradient_of_one(config(), 9), many)
    by_target = {record.left: record for record in many[1].shards}
    assert set(by_target) == {(), ("b",)}
    assert {record.target for record in many[1].shards} == {"a"}
    # a ran both shards whole: 9 rows and, of each, two shifts for every live angle
    layer = many[0].quantum
    assert a.circuits == 9 * (1 + 2 * (layer.parameter_count - len(layer.dead_weights)))
    assert b.circuits == by_target[("b",)].rows


def test_without_mixing_all_shards_of_a_gradient_run_on_one_target_again_when_it_goes_down():
    a, b = Worker("a", down=(2,)), Worker("b")
    many = distributed(config(), [a, b], 9, BalanceOptions(), shards=3)
    assert_equal(gradient_of_one(config(), 9), many)
    assert [(record.target, record.left) for record in many[1].shards] == [("b", ("a",))] * 3


def test_the_balancer_prefers_what_is_cheaper_and_says_why():
    workers = [Worker("dear"), Worker("cheap")]
    prices = {"dear": Decimal(5), "cheap": Decimal(1)}
    asked = []

    def candidate(worker):
        def quote(batch):
            asked.append(batch.n_circuits)
            return prices[worker.name]

        return Candidate(worker, lambda: TargetReport(worker.name, True, "available"), quote)

    balancer = QuantumLoadBalancer([candidate(worker) for worker in workers])
    _, model = new_model(config())
    found = DistributedQuantumTrainer(config(), balancer, shards=1).gradient(model, *parts_of(config(), 6))
    assert found.shards[0].target == "cheap"
    assert [decision.target for decision in balancer.decisions] == ["cheap"]
    assert balancer.decisions[0].scores["dear"].total_usd == 5
    assert asked == [6, 6]


@pytest.mark.parametrize("options", [MIXED, BalanceOptions()])
def test_all_targets_down_leaves_the_model_as_it_was(options):
    _, model = new_model(config())
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    balancer = QuantumLoadBalancer.of([Worker("a", down=range(9)), Worker("b", down=range(9))], options)
    with pytest.raises(TransientBackendError, match="no target takes the batch now"):
        DistributedQuantumTrainer(config(), balancer).gradient(model, *parts_of(config(), 6))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_job_that_may_be_running_is_never_sent_to_another_target():
    a, b = Worker("a", down=(0,), error=LostJobError), Worker("b")
    with pytest.raises(LostJobError):
        distributed(config(), [a, b], 6, BalanceOptions(), shards=1)
    assert b.calls == 0


def test_training_ends_with_the_weights_of_the_trainer_of_one_process():
    settings = config(epochs=2, learning_rate_schedule="cosine")
    trainer, one = new_model(settings)
    expected = trainer.fit(one, VALUES, LABELS)
    _, many = new_model(settings)
    balancer = QuantumLoadBalancer.of([Worker("a", down=(3,)), Worker("b"), Worker("c")], MIXED)
    found = DistributedQuantumTrainer(settings, balancer).train_distributed(many, VALUES, LABELS)
    for expected_weights, weights in zip(one.parameters(), many.parameters(), strict=True):
        assert float((expected_weights - weights).detach().abs().max()) < 1e-10
    for mine, theirs in zip(found.history, expected.history, strict=True):
        assert mine == pytest.approx({name: theirs[name] for name in mine}, abs=1e-10)
    assert len(found.steps) == 2 * -(-len(LABELS) // 10)


def test_samples_depend_on_step_and_shard_but_not_on_the_target():
    settings = config(shots_per_circuit=40, batch_size=6)
    found = []
    for names in (("a", "b"), ("b", "a")):
        machines = [HistogramMachine() for _ in names]
        for machine, name in zip(machines, names, strict=True):
            machine.name = name
        _, model = new_model(settings)
        trainer = DistributedQuantumTrainer(settings, QuantumLoadBalancer.of(machines, MIXED), shards=2)
        found.append([trainer.gradient(model, *parts_of(settings, 6)).loss for _ in range(2)])
    assert found[0] == found[1]
    assert found[0][0] != found[0][1]


def test_what_cannot_be_distributed_is_refused():
    with pytest.raises(ConfigurationError, match="parameter_shift"):
        distributed(config(gradient_method="adjoint"), [Worker("a")], 4)
    settings = config(optimizer="spsa")
    balancer = QuantumLoadBalancer.of([Worker("a")])
    with pytest.raises(ConfigurationError, match="given a gradient"):
        DistributedQuantumTrainer(settings, balancer).train_distributed(new_model(settings)[1], VALUES, LABELS)
    with pytest.raises(ConfigurationError, match="shards"):
        DistributedQuantumTrainer(settings, balancer, shards=0)
    with pytest.raises(ConfigurationError, match="different names"):
        QuantumLoadBalancer.of([Worker("a"), Worker("a")])
    model = torch.nn.Sequential(torch.nn.BatchNorm1d(4), new_model(config())[1])
    with pytest.raises(ConfigurationError, match="batch normalisation"):
        DistributedQuantumTrainer(config(), balancer).gradient(model, *parts_of(config(), 4))
