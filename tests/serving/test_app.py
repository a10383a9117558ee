import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_iris

from quantum_db.models import SavedModel, load_model
from quantum_db.serving.app import Limits, create_app

ROWS = load_iris().data[[0, 70, 140]].tolist()
Resealed = Callable[[Path, Path, Callable[[dict[str, Any]], None]], Path]


@pytest.fixture(scope="module")
def model(iris_model: Path) -> SavedModel:
    return load_model(iris_model)


@pytest.fixture(scope="module")
def client(model: SavedModel) -> Iterator[TestClient]:
    with TestClient(create_app(model, limits=Limits(max_rows=20, max_body_bytes=20_000))) as client:
        yield client


def test_predictions_are_those_of_the_model(client: TestClient, model: SavedModel) -> None:
    answer = client.post("/predict", json={"instances": ROWS})
    assert answer.status_code == 200
    body = answer.json()
    np.testing.assert_allclose(body["probabilities"], model.predict_proba_raw(ROWS), atol=1e-12)
    assert body["predictions"] == ["setosa", "versicolor", "virginica"]
    assert body["model_name"] == "q-store"
    assert body["model_version"] == model.digest[:12]


def test_whole_numbers_are_numbers(client: TestClient) -> None:
    assert client.post("/predict", json={"instances": [[5, 3, 1, 0]]}).status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ('{"instances": []}', 400, "there are no rows"),
        ('{"instances": [[]]}', 400, "row 0 has 0 values; expected 4: sepal length, sepal width, petal length"),
        ('{"instances": [[1,2,3,4],[1,2,3]]}', 400, "row 1 has 3 values; expected 4"),
        ('{"instances": [[1,2,3,4,5]]}', 400, "row 0 has 5 values; expected 4"),
        ('{"instances": [[1,2,NaN,4]]}', 400, r"instances[0][2]: input should be a finite number"),
        ('{"instances": [[1,2,-Infinity,4]]}', 400, "instances[0][2]: input should be a finite number"),
        ('{"instances": [[1,2,1e999,4]]}', 400, "instances[0][2]: input should be a finite number"),
        ('{"instances": [[1,2,"3",4]]}', 400, "instances[0][2]: input should be a valid number"),
        ('{"instances": [[1,2,null,4]]}', 400, "instances[0][2]: input should be a valid number"),
        ('{"instances": [[1,2,true,4]]}', 400, "instances[0][2]: input should be a valid number"),
        ('{"instances": [1,2,3,4]}', 400, "instances[0]: input should be a valid list (3 more like this)"),
        ('{"instances": [[[1],2,3,4]]}', 400, "instances[0][0]: input should be a valid number"),
        ('{"instances": {"0": [1,2,3,4]}}', 400, "instances: input should be a valid list"),
        ('{"rows": [[1,2,3,4]]}', 400, "instances: field required"),
        ("[[1,2,3,4]]", 400, "not a JSON object"),
        ('"text"', 400, "not a JSON object"),
        ("", 400, "not a JSON object"),
        ('{"instances": [[1,2,3,4]', 400, "not valid JSON"),
        ("[" * 5000, 400, "not valid JSON|error parsing"),
        ('{"instances": [[1,2,3,' + "9" * 400 + "]]}", 400, "instances[0][3]"),
        ('{"instances": [[1,2,3,' + "9" * 5000 + "]]}", 400, "not valid JSON|error parsing"),
    ],
)
def test_bad_bodies_are_refused_with_a_reason(client: TestClient, body: str, status: int, message: str) -> None:
    answer = client.post("/predict", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["error"]
    assert any(part in answer.json()["error"] for part in message.split("|")), answer.json()
    assert len(answer.text) < 600


def test_too_many_rows_and_too_large_bodies_name_the_limit(client: TestClient) -> None:
    many = client.post("/predict", json={"instances": [[1, 2, 3, 4]] * 21})
    assert many.status_code == 413
    assert "21 rows are more than this server takes at once; send at most 20" in many.json()["error"]
    stated = client.post("/predict", content=b" " * 20_001)
    assert stated.status_code == 413
    assert "20000 bytes" in stated.json()["error"]
    chunked = client.post("/predict", content=(b" " * 1000 for _ in range(30)))
    assert chunked.status_code == 413
    assert "20000 bytes" in chunked.json()["error"]


def test_other_content_types_bytes_and_routes(client: TestClient) -> None:
    form = client.post("/predict", data={"instances": "1"})
    assert (form.status_code, "Content-Type: application/json" in form.text) == (400, True)
    junk = client.post("/predict", content=b"\xff\xfe\x00", headers={"content-type": "application/json"})
    assert junk.status_code == 400
    assert client.get("/predict").status_code == 405
    assert client.get("/nowhere").json() == {"error": "Not Found"}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["instances", "inputs", "a"]), inner)
        ),
        max_leaves=12,
    )
)
def test_no_body_makes_the_server_fail(client: TestClient, content: Any) -> None:
    for path in ("/predict", "/v2/models/q-store/infer"):
        for body in (content, {"instances": content}, {"inputs": content}):
            answer = client.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
            assert answer.status_code in (200, 400, 413), answer.text


def test_many_requests_at_once_get_their_own_answers(client: TestClient, model: SavedModel) -> None:
    rows = load_iris().data
    expected = model.predict_proba_raw(rows)

    def ask(index: int) -> Any:
        return client.post("/predict", json={"instances": [rows[index].tolist()]}).json()["probabilities"][0]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(0, 150, 3)))
    np.testing.assert_allclose(answers, expected[::3], atol=1e-9)


def test_health_and_readiness(client: TestClient) -> None:
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/ready").json() == {"ready": True}


def test_a_model_that_does_not_reproduce_its_golden_predictions_is_live_but_not_ready(
    iris_model: Path, tmp_path: Path, resealed: Resealed
) -> None:
    def shift(manifest: dict[str, Any]) -> None:
        manifest["golden"] = json.loads(json.dumps(manifest["golden"]))
        manifest["golden"]["probabilities"][3][1] += 2e-6

    client = TestClient(create_app(load_model(resealed(iris_model, tmp_path / "model", shift))))
    assert client.get("/health").status_code == 200
    assert client.get("/v2/health/live").json() == {"live": True}
    ready = client.get("/ready")
    assert ready.status_code == 503
    assert "off by 2e-06" in ready.json()["error"]
    assert client.get("/v2/health/ready").status_code == 503
    assert client.get("/v2/models/q-store/ready").status_code == 503
    refused = client.post("/predict", json={"instances": ROWS})
    assert (refused.status_code, "not ready" in refused.text) == (503, True)
    assert "qstore_serving_ready 0.0" in client.get("/metrics").text


def test_a_model_that_fails_is_the_servers_fault_and_its_reason_stays_in_the_log(
    model: SavedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = TestClient(create_app(model), raise_server_exceptions=False)

    def fail(values: Any) -> Any:
        raise RuntimeError("weights at /home/ann are gone")

    monkeypatch.setattr(SavedModel, "predict_proba", lambda self, values: fail(values))
    answer = client.post("/predict", json={"instances": ROWS})
    assert (answer.status_code, answer.json()) == (500, {"error": "the model failed; see the log of the server"})
    assert 'route="/predict",status="500"} 1.0' in client.get("/metrics").text


def test_metadata_tells_what_is_served_and_nothing_of_the_machine(client: TestClient, model: SavedModel) -> None:
    body = client.get("/model").json()
    assert body["classes"] == ["setosa", "versicolor", "virginica"]
    assert body["features"] == ["sepal length", "sepal width", "petal length", "petal width"]
    assert body["digest"] == model.digest
    assert body["parameter_count"] == model.parameter_count
    assert body["max_rows"] == 20
    assert body["dataset"] == {"name": "builtin:iris", "path": "iris.csv"}
    assert "private" not in json.dumps(body)


def test_metrics_count_by_route_status_and_class(model: SavedModel) -> None:
    client = TestClient(create_app(model))
    client.post("/predict", json={"instances": [*ROWS, ROWS[0]]})
    client.post("/predict", json={"instances": []})
    client.get("/v2/models/q-store")
    client.get("/v2/models/other")
    client.get("/secret-token-in-a-path")
    client.request("PROPFIND", "/health")
    text = client.get("/metrics").text
    assert 'qstore_serving_requests_total{method="POST",route="/predict",status="200"} 1.0' in text
    assert 'qstore_serving_requests_total{method="POST",route="/predict",status="400"} 1.0' in text
    assert 'qstore_serving_requests_total{method="GET",route="/v2/models/{name}",status="200"} 1.0' in text
    assert 'qstore_serving_requests_total{method="GET",route="/v2/models/{name}",status="404"} 1.0' in text
    assert 'route="none",status="404"} 1.0' in text
    assert 'method="other"' in text
    assert "secret" not in text
    assert 'qstore_serving_predictions_total{label="setosa"} 2.0' in text
    assert "qstore_serving_rows_sum 4.0" in text
    assert "qstore_serving_inference_seconds_count 1.0" in text
    assert re.search(r'qstore_serving_request_seconds_count\{route="/predict"\} 2\.0', text)
    assert "qstore_serving_ready 1.0" in text


def test_the_interface_is_described(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()
    assert schema["info"]["title"] == "Q-Store model server"
    assert {"/predict", "/ready", "/model", "/metrics", "/v2/models/{name}/infer"} <= set(schema["paths"])
    assert client.get("/docs").status_code == 404
