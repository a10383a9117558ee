from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from sklearn.datasets import load_iris

from quantum_db.models import SavedModel, load_model
from quantum_db.serving.app import Limits, create_app

ROWS = load_iris().data[[0, 70, 140]].tolist()


@pytest.fixture(scope="module")
def model(iris_model: Path) -> SavedModel:
    return load_model(iris_model)


@pytest.fixture(scope="module")
def client(model: SavedModel) -> Iterator[TestClient]:
    with TestClient(create_app(model, name="iris", version="3", limits=Limits(max_rows=20))) as client:
        yield client


def tensor(**changes: Any) -> dict[str, Any]:
    plain = {"name": "features", "shape": [3, 4], "datatype": "FP64", "data": [x for row in ROWS for x in row]}
    return {**plain, **changes}


def test_server_and_model_metadata(client: TestClient) -> None:
    server = client.get("/v2").json()
    assert server["name"] == "q-store"
    assert server["extensions"] == []
    expected = {
        "name": "iris",
        "versions": ["3"],
        "platform": "quantum-db",
        "inputs": [{"name": "features", "datatype": "FP64", "shape": [-1, 4]}],
        "outputs": [
            {"name": "probabilities", "datatype": "FP64", "shape": [-1, 3]},
            {"name": "label", "datatype": "BYTES", "shape": [-1]},
        ],
    }
    assert client.get("/v2/models/iris").json() == expected
    assert client.get("/v2/models/iris/versions/3").json() == expected


def test_health(client: TestClient) -> None:
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get("/v2/models/iris/ready").json() == {"name": "iris", "ready": True}
    assert client.get("/v2/models/iris/versions/3/ready").json() == {"name": "iris", "ready": True}


@pytest.mark.parametrize("path", ["/v2/models/iris/infer", "/v2/models/iris/versions/3/infer"])
@pytest.mark.parametrize("data", [[x for row in ROWS for x in row], ROWS])
def test_inference(client: TestClient, model: SavedModel, path: str, data: list[Any]) -> None:
    body = {"id": "42", "parameters": {"trace": "off"}, "inputs": [tensor(data=data)]}
    answer = client.post(path, json=body).json()
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("42", "iris", "3")
    probabilities, label = answer["outputs"]
    assert (probabilities["name"], probabilities["datatype"], probabilities["shape"]) == (
        "probabilities",
        "FP64",
        [3, 3],
    )
    np.testing.assert_allclose(probabilities["data"], model.predict_proba_raw(ROWS).ravel(), atol=1e-12)
    assert label == {
        "name": "label", "datatype": "BYTES", "shape": [3], "data": ["setosa", "versicolor", "virginica"],
    }  # fmt: skip


def test_without_an_id_there_is_none_in_the_answer_and_outputs_can_be_chosen(client: TestClient) -> None:
    answer = client.post("/v2/models/iris/infer", json={"inputs": [tensor()], "outputs": [{"name": "label"}]}).json()
    assert "id" not in answer
    assert [output["name"] for output in answer["outputs"]] == ["label"]


def test_fp32_means_values_rounded_to_fp32(client: TestClient, model: SavedModel) -> None:
    answer = client.post("/v2/models/iris/infer", json={"inputs": [tensor(datatype="FP32")]}).json()
    rounded = np.asarray(ROWS, dtype=np.float32).astype(np.float64)
    np.testing.assert_allclose(answer["outputs"][0]["data"], model.predict_proba_raw(rounded).ravel(), atol=1e-14)


@pytest.mark.parametrize(
    ("inputs", "status", "message"),
    [
        ([], 400, "exactly one input, 'features'; given: none"),
        ([tensor(name="x")], 400, "given: 'x'"),
        ([tensor(), tensor()], 400, "exactly one input"),
        ([tensor(datatype="INT64")], 400, "datatype 'INT64' is not supported; send features as FP32 or FP64"),
        ([tensor(shape=[3])], 400, "shape [3] does not fit; expected [rows, 4]"),
        ([tensor(shape=[4, 3])], 400, "shape [4, 3] does not fit; expected [rows, 4]"),
        ([tensor(shape=[0, 4], data=[])], 400, "at least one row"),
        ([tensor(shape=[-3, 4])], 400, "at least one row"),
        ([tensor(shape=[10**9, 4])], 413, "send at most 20"),
        ([tensor(shape=[2, 4])], 400, "the data has 12 values; the shape [2, 4] needs 8"),
        ([tensor(data=ROWS[:2])], 400, "the nested data does not have the stated shape [3, 4]"),
        ([tensor(data=[*ROWS[:2], ROWS[2][:3]])], 400, "the nested data does not have the stated shape"),
        ([tensor(data=[*ROWS[0], *ROWS[1], 1, 2, 3, "4"])], 400, "row 2, column 3 is a str, not a number"),
        ([tensor(data=[*ROWS[0], *ROWS[1], 1, True, 3, 4])], 400, "row 2, column 1 is a bool"),
        ([tensor(data=[*ROWS[0], *ROWS[1], 1, [2], 3, 4])], 400, "row 2, column 1 is a list"),
        ([tensor(data=[*ROWS[0], *ROWS[1], 1, 10**400, 3, 4])], 400, "row 2, column 1 (sepal width) is not a finite"),
        ([tensor(datatype="FP32", data=[*ROWS[0], *ROWS[1], 1, 1e39, 3, 4])], 400, "beyond FP32"),
        ([{"name": "features"}], 400, "inputs[0].shape: field required"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(client: TestClient, inputs: list[Any], status: int, message: str) -> None:
    answer = client.post("/v2/models/iris/infer", json={"inputs": inputs})
    assert answer.status_code == status
    assert message in answer.json()["error"]


def test_nan_in_a_tensor_names_its_place(client: TestClient) -> None:
    body = '{"inputs": [{"name": "features", "shape": [1, 4], "datatype": "FP64", "data": [1, 2, NaN, 4]}]}'
    answer = client.post("/v2/models/iris/infer", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert "row 0, column 2 (petal length) is not a finite number" in answer.json()["error"]


def test_unknown_outputs_models_and_versions(client: TestClient) -> None:
    output = client.post("/v2/models/iris/infer", json={"inputs": [tensor()], "outputs": [{"name": "logits"}]})
    assert (output.status_code, output.json()["error"]) == (
        400,
        "unknown output 'logits'; the model has: label, probabilities",
    )
    for path in ("/v2/models/rose", "/v2/models/rose/ready", "/v2/models/rose/versions/3"):
        answer = client.get(path)
        assert (answer.status_code, "this server has the model 'iris'" in answer.text) == (404, True)
    for path in ("/v2/models/iris/versions/4", "/v2/models/iris/versions/4/ready"):
        answer = client.get(path)
        assert (answer.status_code, "this server has '3'" in answer.text) == (404, True)
    assert client.post("/v2/models/rose/infer", json={"inputs": [tensor()]}).status_code == 404
