from pathlib import Path

import pytest

from quantum_db.backends import BACKENDS
from quantum_db.errors import ConfigurationError
from quantum_db.execution import ExecutionConfig, assemble
from quantum_db.execution.machine_options import MachineOptions, budget
from quantum_db.execution.targets import EmbeddedTarget, IonQTargets, ReplayTarget, qpu_target
from quantum_db.training.config import QuantumTrainingConfig

MACHINE = {"qpu_target": "qpu.forte-1", "gradient_method": "parameter_shift", "shots_per_circuit": 200}


def test_targets_by_name():
    for name in BACKENDS.names():
        assert qpu_target(name) == EmbeddedTarget(name)
    assert qpu_target("ionq.simulator") == IonQTargets("ionq.simulator", ("simulator",))
    assert not qpu_target("ionq.simulator").draw_shots
    assert qpu_target("qpu.forte").wire_names == ("qpu.forte-1",)
    assert qpu_target("qpu.tempo-1").wire_names == ("qpu.tempo-1",)  # the service says whether it has it
    both = qpu_target("qpu.forte-1, qpu.forte-enterprise-1")
    assert both.wire_names == ("qpu.forte-1", "qpu.forte-enterprise-1")
    assert both.draw_shots
    assert qpu_target("replay:runs/a") == ReplayTarget("replay:runs/a", Path("runs/a"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("abacus", "unknown qpu target 'abacus'; known: .*simulator.*ionq.simulator, qpu.forte-1"),
        ("qpu.aria-1", "qpu.aria-1 is retired; use 'qpu.forte-1'"),
        ("qpu.forte-1,qpu.harmony", "qpu.harmony is retired"),
        ("qpu.forte,qpu.forte-1", "names a target twice"),
        ("qpu.forte-1,ionq.simulator", "puts a simulator beside a machine"),
        ("qpu.forte-1,simulator", "'simulator' stands in a list of targets"),
        ("replay:", "names no run"),
    ],
)
def test_impossible_targets_say_what_to_use(name, message):
    with pytest.raises(ConfigurationError, match=message):
        ExecutionConfig(qpu_target=name)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gradient_method": "adjoint", "shots_per_circuit": None}, "use gradient_method 'parameter_shift'"),
        ({"gradient_method": "backprop", "shots_per_circuit": None}, "use gradient_method 'parameter_shift'"),
        ({"shots_per_circuit": None}, "'qpu.forte-1' draws shots; set it, for example to 200"),
        ({"noise_model": "forte-1"}, "a machine with noise of its own"),
        ({"noise_seed": 1}, "noise_seed is 1, but qpu_target 'qpu.forte-1' has no such option"),
        ({"trajectories": 5, "shots_per_circuit": None}, "trajectories is 5, but"),
        ({"max_concurrent_circuits": 4}, "max_concurrent_circuits is 4, but"),
        ({"budget_usd": "ten"}, "budget_usd must be US dollars from 0 on as text"),
        ({"budget_usd": "-1"}, "budget_usd must be US dollars"),
        ({"budget_usd": "NaN"}, "budget_usd must be US dollars"),
        ({"budget_usd": "5", "session_id": "s"}, "the session has a limit of its own"),
        ({"native": True, "mitigation": {"factors": [1, 3]}}, "leave native or the factors out"),
        ({"native": 1}, "native is true or false"),
        ({"mitigation": {"factor": [1, 3]}}, "unknown option 'factor' of mitigation; known: factors"),
        ({"mitigation": {"factors": 3}}, "mitigation factors must be a list"),
        ({"mitigation": {"factors": [1, "3"]}}, "must be a list of numbers"),
        ({"mitigation": {"readout": [[0.1]]}}, r"list of \[one_from_zero, zero_from_one\]"),
        ({"mitigation": {"factors": [1, 3], "fit": "magic"}}, "magic"),
        ({"balance": {"down_s": 3}}, "'qpu.forte-1' is one target; name several"),
        ({"qpu_target": "qpu.forte-1,qpu.forte-enterprise-1", "balance": {"error_usd": 3}}, "error_usd must be US dol"),
        ({"qpu_target": "ionq.simulator", "debiasing": True}, "debiasing is for machines"),
        ({"qpu_target": "ionq.simulator", "noise_model": "forte-1", "shots_per_circuit": None}, "noise model draws"),
        ({"qpu_target": "ionq.simulator", "noise_model": "abacus"}, "unknown noise model 'abacus'; IonQ has"),
        ({"qpu_target": "simulator", "native": True}, "runs in this process and would ignore it"),
        ({"qpu_target": "simulator", "session_id": "s"}, "runs in this process and would ignore it"),
    ],
)
def test_what_a_target_cannot_do_is_refused_before_anything_is_asked(changes, message):
    with pytest.raises(ConfigurationError, match=message):
        QuantumTrainingConfig.from_dict({**MACHINE, **changes})


def test_the_defaults_are_the_cheapest():
    machine = QuantumTrainingConfig.from_dict(MACHINE).execution.machine
    assert (machine.debiasing, machine.native, machine.budget_usd, dict(machine.mitigation)) == (False, False, None, {})
    options = machine.ionq_options("qpu.forte-1", "ideal")
    assert options.for_results() == {"noise_model": "ideal", "debiasing": False, "optimization": None, "native": None}


def test_options_reach_the_jobs():
    asked = MachineOptions(native=True, debiasing=True, session_id="s-1", budget_usd=None)
    forte = asked.ionq_options("qpu.forte-1", "ideal")
    assert (forte.native, forte.debiasing, forte.session_id) == ("zz", True, "s-1")
    noisy = MachineOptions(native=True).ionq_options("simulator", "aria-1")
    assert (noisy.native, noisy.noise_model) == ("ms", "aria-1")
    mitigation = {"factors": [1, 3], "folding": "gates", "fit": "richardson", "readout": [[0.1, 0.2], [0.0, 0.1]]}
    found = MachineOptions(mitigation=mitigation).mitigation_options()
    assert (found.factors, found.folding, found.fit) == ((1, 3), "gates", "richardson")
    assert [qubit.zero_from_one for qubit in found.readout.qubits] == [0.2, 0.1]
    balance = MachineOptions(balance={"error_usd": "2.50", "mix_targets": True}).balance_options()
    assert (str(balance.error_usd), balance.mix_targets) == ("2.50", True)
    assert str(budget("0.10")) == "0.10"
    assert budget("") is None


def test_a_budget_may_be_given_where_nothing_costs_anything():
    config = QuantumTrainingConfig(budget_usd="0")
    assert assemble(config.execution).name == "simulator"


def test_machines_need_a_connection_and_a_folder():
    config = QuantumTrainingConfig.from_dict(MACHINE).execution
    with pytest.raises(ConfigurationError, match="needs a connection"):
        assemble(config)


def test_mitigation_also_works_in_this_process():
    from quantum_db.execution.mitigated import MitigatedExecutor

    machine = MachineOptions(mitigation={"factors": [1, 3]})
    executor = assemble(ExecutionConfig(qpu_target="noisy_simulator", noise_model="forte-1", machine=machine))
    assert isinstance(executor, MitigatedExecutor)
    assert executor.options.factors == (1, 3)
