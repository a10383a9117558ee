"""The training pipeline: preprocess, quantum-encode, plan, train, evaluate, and deploy if the gate says so."""

from kfp import dsl, kubernetes

from components.deploy import deploy
from components.evaluate import evaluate
from components.gate import gate
from components.plan import plan
from components.preprocess import preprocess
from components.quantum_encode import quantum_encode
from components.train import train

# cpu request, cpu limit, memory request, memory limit: enough for data sets of some ten thousand samples and for
# circuits of up to about 20 qubits; the limits leave room for the evaluation's baselines and for torch's threads.
_SMALL = ("250m", "2", "512Mi", "2Gi")
# The secret of the key for IonQ or a gateway. It may be missing: only machines need it.
_SECRET = "q-store-ionq"
_SECRET_KEYS = {"api-key": "IONQ_API_KEY", "api-url": "IONQ_API_URL"}
_LARGE = ("1", "4", "1Gi", "8Gi")


def _present(task: dsl.PipelineTask, name: str, resources: tuple[str, str, str, str], repeatable: bool) -> None:
    """Give a task its name in the user interface, its resources, and retries if running it twice does no harm.

    Nothing is taken from Kubeflow's cache. Its key holds the arguments and the *names* of the input artifacts, not
    their content: data that changed at its address, a machine with another calibration, or the evaluation of a newly
    trained model would be answered with an old result.

    Preprocess, quantum-encode, plan, evaluate and the gate read artifacts and write new ones: they may be repeated.
    Deploy finds the version that it registered before. Train is not repeated: the number of retries is fixed when the
    pipeline is compiled and the target chosen when it is started, and without a folder for checkpoints that outlives
    the container a retry would have no journal, and would pay for circuits twice.
    """
    cpu_request, cpu_limit, memory_request, memory_limit = resources
    task.set_display_name(name).set_caching_options(False)
    task.set_cpu_request(cpu_request).set_cpu_limit(cpu_limit)
    task.set_memory_request(memory_request).set_memory_limit(memory_limit)
    if repeatable:
        task.set_retry(num_retries=2, backoff_duration="10s", backoff_factor=2.0, backoff_max_duration="120s")


@dsl.pipeline(
    name="training",
    description="Train a hybrid quantum-classical model, compare it with classical models, deploy it if it is good.",
)
def training(
    dataset: str = "builtin:digits",
    model_config: str = "{}",
    qpu_target: str = "simulator",
    budget_usd: str = "",
    threshold: float = 0.95,
    seed: int = 0,
    label_column: str = "label",
    test_fraction: float = 0.2,
    missing: str = "refuse",
    duplicates: str = "keep",
    constant_features: str = "drop",
    scaling: str = "minmax",
    n_components: int = 0,
    require_better: bool = False,
    registered_name: str = "q-store",
    tracking_uri: str = "",
    checkpoints: str = "",
) -> None:
    """Train, evaluate and perhaps deploy one model.

    Args:
        dataset: Source of the data, for example builtin:digits.
        model_config: The training configuration as JSON; what it leaves out has its default.
        qpu_target: What runs the circuits: simulator, ionq.simulator, qpu.forte-1, several machines separated by
            commas, or replay:<folder of a run>. Machines need the secret q-store-ionq (api-key, api-url).
        budget_usd: US dollars that the training may cost; empty for no limit. A plan over it stops before training.
        threshold: Least accuracy on the test split for a deployment.
        seed: Seed of the split, the training and the evaluation; the same seed gives the same model.
        label_column: Column with the classes in CSV and Parquet files.
        test_fraction: Part of the samples that is held back for evaluation, between 0 and 1.
        missing: What to do with rows that have missing values, refuse or drop.
        duplicates: What to do with repeated rows, keep or drop.
        constant_features: What to do with features that never change, drop or refuse.
        scaling: Scaling of the features, minmax, standard or none.
        n_components: Number of principal components that the features are reduced to; 0 keeps all features.
        require_better: Deploy only a model that is at least as accurate as the best classical baseline.
        registered_name: Name of the model in MLflow's registry.
        tracking_uri: MLflow store; without one, MLFLOW_TRACKING_URI of the containers.
        checkpoints: Folder for checkpoints, journal and budget that outlives a container; the same training goes on
            from there after a kill and pays for nothing twice. Without one they lie beside the model.
    """
    prepared = preprocess(
        dataset=dataset,
        seed=seed,
        test_fraction=test_fraction,
        scaling=scaling,
        n_components=n_components,
        label_column=label_column,
        missing=missing,
        constant_features=constant_features,
        duplicates=duplicates,
    )
    _present(prepared, "Preprocess", _SMALL, repeatable=True)

    encoded = quantum_encode(
        train_data=prepared.outputs["train_data"],
        test_data=prepared.outputs["test_data"],
        model_config=model_config,
        qpu_target=qpu_target,
        seed=seed,
    )
    _present(encoded, "Quantum encode", _SMALL, repeatable=True)

    planned = plan(
        encoded_data=encoded.outputs["encoded_data"],
        model_config=model_config,
        qpu_target=qpu_target,
        seed=seed,
        budget_usd=budget_usd,
    )
    _present(planned, "Plan", _SMALL, repeatable=True)

    trained = train(
        encoded_data=encoded.outputs["encoded_data"],
        model_config=model_config,
        qpu_target=qpu_target,
        seed=seed,
        budget_usd=budget_usd,
        tracking_uri=tracking_uri,
        checkpoints=checkpoints,
    ).after(planned)
    kubernetes.use_secret_as_env(trained, _SECRET, _SECRET_KEYS, optional=True)
    _present(trained, "Train", _LARGE, repeatable=False)

    evaluated = evaluate(
        model=trained.outputs["model"],
        encoded_data=encoded.outputs["encoded_data"],
        seed=seed,
    )
    _present(evaluated, "Evaluate", _LARGE, repeatable=True)

    decision = gate(
        evaluation=evaluated.outputs["evaluation"],
        threshold=threshold,
        require_better=require_better,
    )
    _present(decision, "Gate", _SMALL, repeatable=True)

    with dsl.If(decision.output == True, name="passed the gate"):  # noqa: E712 - KFP builds the condition from ==
        deployed = deploy(
            model=trained.outputs["model"],
            evaluation=evaluated.outputs["evaluation"],
            threshold=threshold,
            require_better=require_better,
            registered_name=registered_name,
            tracking_uri=tracking_uri,
        )
        _present(deployed, "Deploy", _SMALL, repeatable=True)
