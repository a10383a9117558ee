import json
import subprocess
import sys
from dataclasses import FrozenInstanceError, fields

import pytest

from quantum_db.backends import BACKENDS
from quantum_db.circuits.ansatz import ANSAETZE
from quantum_db.circuits.encoders import ENCODERS
from quantum_db.circuits.entanglement import PATTERNS
from quantum_db.errors import ConfigurationError
from quantum_db.gradients import GRADIENT_METHODS
from quantum_db.losses import LOSSES
from quantum_db.models import MODELS
from quantum_db.optimizers import OPTIMIZERS
from quantum_db.training.config import QuantumTrainingConfig, changed_settings

# a value other than the default for every field
OTHER = {
    "learning_rate": 0.5,
    "batch_size": 7,
    "epochs": 3,
    "learning_rate_schedule": "cosine",
    "learning_rate_final": 0.1,
    "learning_rate_step_epochs": 5,
    "learning_rate_step_factor": 0.2,
    "optimizer": "sgd",
    "optimizer_options": {"momentum": 0.9},
    "loss": "mse",
    "gradient_method": "spsa",
    "gradient_options": {"perturbation": 0.2, "draws": 3, "seed": 9},
    "validation_fraction": 0.25,
    "early_stopping_patience": 4,
    "seed": 11,
    "model": "variational",
    "n_qubits": 5,
    "circuit_depth": 2,
    "entanglement_pattern": "star",
    "encoder": "iqp",
    "encoder_options": {"repetitions": 1},
    "ansatz": "strongly_entangling",
    "measurement_basis": "X",
    "hidden_in": 12,
    "hidden_out": 13,
    "readout_scale": 2.5,
    "qpu_target": "trajectories",
    "shots_per_circuit": 100,
    "shots_schedule": "linear",
    "shots_final": 300,
    "max_concurrent_circuits": 6,
    "precision": "complex128",
    "device": "cuda",
    "noise_model": "aria-1",
    "noise_seed": 3,
    "trajectories": None,
    "budget_usd": "12.50",
    "price_table": "prices.json",
    "debiasing": False,
    "native": False,
    "session_id": "",
    "mitigation": {"factors": [1, 3], "fit": "linear"},
    "balance": {},
    "checkpoint_interval": 2,
    "checkpoint_batches": 9,
    "checkpoint_directory": "elsewhere",
}
NOT_HERE = {"trajectories", "debiasing", "native", "session_id", "balance"}
"""Fields without a value that the other ones allow; they have tests of their own."""


def test_every_field_is_accepted_and_kept():
    assert set(OTHER) == {item.name for item in fields(QuantumTrainingConfig)}
    config = QuantumTrainingConfig.from_dict(OTHER)
    default = QuantumTrainingConfig()
    for name, value in OTHER.items():
        assert getattr(config, name) == value
        assert name in NOT_HERE or getattr(default, name) != value, name


def test_trajectories_are_for_exact_values_on_their_target():
    options = {"qpu_target": "trajectories", "gradient_method": "parameter_shift"}
    assert QuantumTrainingConfig.from_dict({**options, "trajectories": 40}).trajectories == 40
    with pytest.raises(ConfigurationError, match="trajectories is 40 and shots_per_circuit 10, but with shots"):
        QuantumTrainingConfig.from_dict({**options, "trajectories": 40, "shots_per_circuit": 10})


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("adjoint", {"step": 0.1}, "the gradient method 'adjoint' has no option 'step'; it has none"),
        ("backprop", {"draws": 2}, "the gradient method 'backprop' has no option 'draws'; it has none"),
        ("parameter_shift", {"step": 0.1}, "the gradient method 'parameter_shift' has no option 'step'; it has none"),
        ("finite_diff", {"draws": 2}, "the gradient method 'finite_diff' has no option 'draws'; it has step, scheme"),
        ("spsa", {"step": 0.1}, "gradient method 'spsa' has no option 'step'; it has perturbation, draws, seed"),
        ("finite_diff", {"step": -1}, "the step of differences must be a number above 0, got -1"),
        ("finite_diff", {"scheme": "backward"}, "unknown scheme 'backward' of differences; known: central, forward"),
        ("spsa", {"perturbation": 0}, "the perturbation of SPSA must be a number above 0, got 0"),
        ("spsa", {"draws": 1.5}, "the draws of SPSA must be a positive integer, got 1.5"),
        ("spsa", {"seed": "x"}, "seed must be an integer from 0"),
        ("spsa", [1], r"gradient_options must be an object of options by name, got \[1\]"),
    ],
)
def test_options_that_the_gradient_method_cannot_obey_are_refused(method, options, message):
    with pytest.raises(ConfigurationError, match=message):
        QuantumTrainingConfig.from_dict({"gradient_method": method, "gradient_options": options})


def test_options_of_a_gradient_method_are_checked_without_torch():
    code = (
        "import sys\n"
        "from quantum_db.errors import ConfigurationError\n"
        "from quantum_db.training.config import QuantumTrainingConfig\n"
        "QuantumTrainingConfig(gradient_method='spsa', gradient_options={'draws': 2})\n"
        "QuantumTrainingConfig(gradient_method='finite_diff', gradient_options={'step': 0.1})\n"
        "try:\n"
        "    QuantumTrainingConfig(gradient_options={'draws': 2})\n"
        "except ConfigurationError:\n"
        "    sys.exit('torch' in sys.modules)\n"
        "sys.exit('not refused')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"noise_model": "aria-1"}, "noise_model is 'aria-1', but qpu_target 'simulator' has no such option"),
        ({"noise_seed": 3}, "noise_seed is 3, but qpu_target 'simulator' has no such option"),
        ({"trajectories": 3}, "trajectories is 3, but qpu_target 'simulator' .* use qpu_target 'trajectories'"),
        ({"noise_model": "harmony"}, "unknown noise model 'harmony'; known: ideal, aria-1, aria-2, forte-1"),
        ({"noise_seed": -1}, "seed must be an integer from 0"),
        ({"trajectories": 0}, "trajectories must be a positive integer or None, got 0"),
    ],
)
def test_noise_that_would_be_ignored_is_refused(values, message):
    with pytest.raises(ConfigurationError, match=message):
        QuantumTrainingConfig.from_dict(values)


def test_json_round_trip():
    config = QuantumTrainingConfig.from_dict(OTHER)
    assert QuantumTrainingConfig.from_json(config.to_json()) == config
    assert QuantumTrainingConfig.from_json("{}") == QuantumTrainingConfig()
    assert json.loads(config.to_json()) == {"schema_version": 1, **OTHER}


def test_replace_changes_a_copy_and_checks_it():
    config = QuantumTrainingConfig()
    changed = config.replace(epochs=5, model="quantum")
    assert (changed.epochs, changed.model, config.epochs, config.model) == (5, "quantum", 30, "hybrid")
    assert changed.replace(epochs=30, model="hybrid") == config
    with pytest.raises(ConfigurationError, match="epochs must be a positive integer, got 0"):
        config.replace(epochs=0)
    with pytest.raises(ConfigurationError, match="unknown setting 'epoch'"):
        config.replace(epoch=1)


def test_it_cannot_be_changed():
    config = QuantumTrainingConfig()
    with pytest.raises(FrozenInstanceError):
        config.epochs = 1
    options = {"axis": "X"}
    config = QuantumTrainingConfig(encoder_options=options)
    options["axis"] = "Q"
    config.to_dict()["encoder_options"]["axis"] = "Q"
    assert config.encoder_options == {"axis": "X"}


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_schema_is_refused(version):
    with pytest.raises(ConfigurationError, match=r"has schema version .*, this release reads 1"):
        QuantumTrainingConfig.from_dict({"schema_version": version})


COUNTS = [
    "batch_size", "epochs", "n_qubits", "circuit_depth", "hidden_in", "hidden_out", "checkpoint_interval",
    "shots_per_circuit", "max_concurrent_circuits", "checkpoint_batches", "early_stopping_patience",
]  # fmt: skip


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", [0, -1, 1.0, "3", True, [2], float("nan")])
def test_counts_are_positive_integers(name, value):
    with pytest.raises(ConfigurationError, match=f"{name} must be a positive integer, got"):
        QuantumTrainingConfig.from_dict({name: value})


@pytest.mark.parametrize("name", ["learning_rate", "readout_scale"])
@pytest.mark.parametrize("value", [0, -0.1, float("nan"), float("inf"), "0.1", None, True, 10**400, 1e7])
def test_rates_are_sane_numbers_above_zero(name, value):
    with pytest.raises(ConfigurationError, match=f"{name} must be a number above 0 and at most"):
        QuantumTrainingConfig.from_dict({name: value})


@pytest.mark.parametrize("value", [-0.1, 1, 1.5, float("nan"), "x", None, True])
def test_the_validation_fraction_is_below_one(value):
    with pytest.raises(ConfigurationError, match=r"validation_fraction must be in \[0, 1\), got"):
        QuantumTrainingConfig.from_dict({"validation_fraction": value})


TABLES = {
    "optimizer": OPTIMIZERS,
    "loss": LOSSES,
    "gradient_method": GRADIENT_METHODS,
    "model": MODELS,
    "encoder": ENCODERS,
    "ansatz": ANSAETZE,
    "qpu_target": BACKENDS,
}
KNOWN = {name: table.names() for name, table in TABLES.items()} | {
    "entanglement_pattern": tuple(sorted(PATTERNS)),
    "measurement_basis": ("X", "Y", "Z"),
    "precision": ("complex64", "complex128"),
}


@pytest.mark.parametrize("name", KNOWN)
def test_unknown_names_list_the_known_ones(name):
    with pytest.raises(ConfigurationError, match=f"unknown .*'nonsense'; known: {', '.join(KNOWN[name])}"):
        QuantumTrainingConfig.from_dict({name: "nonsense"})


@pytest.mark.parametrize("name", KNOWN)
def test_every_known_name_is_accepted(name):
    for value in KNOWN[name]:
        assert getattr(QuantumTrainingConfig.from_dict({name: value}), name) == value


TEXTS = [item.name for item in fields(QuantumTrainingConfig) if isinstance(OTHER[item.name], str)]


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("value", [3, None, ["adam"], {}])
def test_names_are_strings(name, value):
    with pytest.raises(ConfigurationError, match=f"{name} must be a string, got"):
        QuantumTrainingConfig.from_dict({name: value})


def test_the_names_of_the_requirement_are_all_texts():
    assert {"optimizer", "qpu_target", "checkpoint_directory", "device"} <= set(TEXTS)


@pytest.mark.parametrize("options", [[1], "axis", None, 3])
def test_encoder_options_are_an_object(options):
    with pytest.raises(ConfigurationError, match="encoder_options must be an object"):
        QuantumTrainingConfig.from_dict({"encoder_options": options})


@pytest.mark.parametrize("name", ["name", "n_qubits", "n_features"])
def test_encoder_options_cannot_overrule_other_settings(name):
    with pytest.raises(ConfigurationError, match=f"encoder_options may not hold '{name}'"):
        QuantumTrainingConfig(encoder_options={name: 3})


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "0", None, True])
def test_seeds(seed):
    with pytest.raises(ConfigurationError, match="seed must be an integer from 0"):
        QuantumTrainingConfig.from_dict({"seed": seed})


def test_too_many_qubits_for_any_target():
    assert QuantumTrainingConfig(n_qubits=64).n_qubits == 64
    with pytest.raises(ConfigurationError, match="n_qubits is 65; no target here has more than 64"):
        QuantumTrainingConfig(n_qubits=65)


def test_early_stopping_needs_rows_to_watch():
    with pytest.raises(ConfigurationError, match=r"set validation_fraction, for example to 0\.1"):
        QuantumTrainingConfig(early_stopping_patience=3)


def test_shots_need_another_method_than_backpropagation():
    with pytest.raises(ConfigurationError, match="'adjoint' needs exact values, but shots_per_circuit is 100"):
        QuantumTrainingConfig(shots_per_circuit=100)
    QuantumTrainingConfig(shots_per_circuit=100, gradient_method="parameter_shift")


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("ionq_api_key", "set IONQ_API_KEY, or IONQ_API_KEY_FILE to a mounted file"),
        ("pinecone_api_key", "set PINECONE_API_KEY, or PINECONE_API_KEY_FILE to a mounted file"),
        ("pinecone_environment", "Pinecone has no environments any more"),
    ],
)
def test_secrets_are_refused_with_advice_and_never_repeated(name, advice):
    for make in (
        lambda: QuantumTrainingConfig(**{name: "hunter2"}),
        lambda: QuantumTrainingConfig.from_dict({name: "hunter2"}),
        lambda: QuantumTrainingConfig.from_json(json.dumps({name: "hunter2"})),
        lambda: QuantumTrainingConfig().replace(**{name: "hunter2"}),
    ):
        with pytest.raises(ConfigurationError, match=f"{name} is no training setting; {advice}") as caught:
            make()
        assert "hunter2" not in str(caught.value)
    assert name not in QuantumTrainingConfig().to_dict()
    assert name not in repr(QuantumTrainingConfig())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "the model configuration is not JSON"),
        ("[1]", "must be a JSON object, got list"),
        ("null", "must be a JSON object, got NoneType"),
        ('{"n_qubit": 4}', "unknown setting 'n_qubit'; known: ansatz, balance, batch_size, .*n_qubits"),
    ],
)
def test_texts_that_are_no_settings(text, message):
    with pytest.raises(ConfigurationError, match=message):
        QuantumTrainingConfig.from_json(text)


def test_what_the_caller_decided_is_not_overruled_in_silence():
    config = QuantumTrainingConfig.from_json('{"epochs": 2}', seed=4, qpu_target="simulator")
    assert (config.seed, config.epochs) == (4, 2)
    assert QuantumTrainingConfig.from_json('{"seed": 4}', seed=4).seed == 4
    with pytest.raises(ConfigurationError, match="sets seed to 3, but this run's own seed is 4; leave it out"):
        QuantumTrainingConfig.from_json('{"seed": 3}', seed=4)


def test_the_dtype_follows_the_precision():
    assert QuantumTrainingConfig(precision="complex64").dtype == "float32"
    assert QuantumTrainingConfig(precision="complex128").dtype == "float64"


def test_changes_that_a_resumed_run_may_not_make():
    first = QuantumTrainingConfig().to_dict()
    of_the_run = {"epochs": 99, "checkpoint_interval": 5, "checkpoint_directory": "x", "max_concurrent_circuits": 3}
    assert changed_settings(first, first | of_the_run | {"checkpoint_batches": 4}) == ()
    assert changed_settings(first, first | {"seed": 1, "learning_rate": 0.5}) == ("learning_rate", "seed")
    assert changed_settings({}, first) != ()
