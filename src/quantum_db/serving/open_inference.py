"""The REST form of the Open Inference Protocol v2, also known as the KServe v2 protocol.

Source: https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
One input tensor "features" of shape [rows, features]; two output tensors: "probabilities" of shape [rows, classes]
and "label" of shape [rows]. Tensor data may be flat in row-major order or nested; answers are flat.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Path
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

from quantum_db.serving.predictor import Prediction, Predictor, RequestError

INPUT = "features"
PLATFORM = "quantum-db"
DATATYPES = ("FP32", "FP64")
_FP32_MAX = float(np.finfo(np.float32).max)


class RequestInput(BaseModel):
    """One input tensor."""

    name: str = Field(description=f'must be "{INPUT}"')
    shape: list[int] = Field(description="[rows, features]")
    datatype: str = Field(description="FP32 or FP64")
    parameters: dict[str, Any] | None = None
    data: list[Any] = Field(description="numbers, flat in row-major order or one list per row")


class RequestOutput(BaseModel):
    """One output tensor that is asked for."""

    name: str
    parameters: dict[str, Any] | None = None


class InferenceRequest(BaseModel):
    """The body of an inference request."""

    id: str | None = Field(default=None, description="repeated in the answer")
    parameters: dict[str, Any] | None = None
    inputs: list[RequestInput]
    outputs: list[RequestOutput] | None = None


ModelName = Annotated[str, Path(description="name of the served model")]
Version = Annotated[str, Path(description="version of the served model")]


def open_inference_router(
    predictor: Predictor, server_version: str, observe: Callable[[Prediction], None]
) -> APIRouter:
    """Return the routes below /v2; `observe` is called with every prediction."""
    router = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])

    @router.get("", summary="Server metadata")
    def server_metadata() -> dict[str, Any]:
        return {"name": "q-store", "version": server_version, "extensions": []}

    @router.get("/health/live", summary="Is the server up?")
    def live() -> dict[str, bool]:
        return {"live": True}

    @router.get("/health/ready", summary="Is the server ready for inference?")
    def ready() -> JSONResponse:
        return JSONResponse({"ready": not predictor.fault}, 503 if predictor.fault else 200)

    @router.get("/models/{name}/versions/{version}", summary="Model metadata, of one version")
    @router.get("/models/{name}", summary="Model metadata")
    def model_metadata(name: ModelName, version: str | None = None) -> dict[str, Any]:
        _check_served(predictor, name, version)
        return {
            "name": predictor.name,
            "versions": [predictor.version],
            "platform": PLATFORM,
            "inputs": [{"name": INPUT, "datatype": "FP64", "shape": [-1, len(predictor.feature_names)]}],
            "outputs": [
                {"name": "probabilities", "datatype": "FP64", "shape": [-1, len(predictor.class_names)]},
                {"name": "label", "datatype": "BYTES", "shape": [-1]},
            ],
        }

    @router.get("/models/{name}/versions/{version}/ready", summary="Is this version of the model ready?")
    @router.get("/models/{name}/ready", summary="Is the model ready?")
    def model_ready(name: ModelName, version: str | None = None) -> JSONResponse:
        _check_served(predictor, name, version)
        return JSONResponse({"name": predictor.name, "ready": not predictor.fault}, 503 if predictor.fault else 200)

    @router.post("/models/{name}/versions/{version}/infer", summary="Infer with this version of the model")
    @router.post("/models/{name}/infer", summary="Infer")
    def infer(name: ModelName, request: InferenceRequest, version: str | None = None) -> dict[str, Any]:
        _check_served(predictor, name, version)
        wanted = _wanted(request)
        prediction = predictor.predict(predictor.rows(_rows(predictor, request)))
        observe(prediction)
        outputs = [output for output in _outputs(prediction) if output["name"] in wanted]
        answer = {"model_name": predictor.name, "model_version": predictor.version, "outputs": outputs}
        return answer if request.id is None else {**answer, "id": request.id}

    return router


def _check_served(predictor: Predictor, name: str, version: str | None) -> None:
    if name != predictor.name:
        raise RequestError(404, f"unknown model {name[:100]!r}; this server has the model {predictor.name!r}")
    if version is not None and version != predictor.version:
        raise RequestError(
            404, f"the model {name!r} has no version {version[:100]!r} here; this server has {predictor.version!r}"
        )


def _outputs(prediction: Prediction) -> list[dict[str, Any]]:
    return [
        {
            "name": "probabilities",
            "datatype": "FP64",
            "shape": list(prediction.probabilities.shape),
            "data": prediction.probabilities.ravel().tolist(),
        },
        {"name": "label", "datatype": "BYTES", "shape": [len(prediction.labels)], "data": prediction.labels},
    ]


def _wanted(request: InferenceRequest) -> set[str]:
    """Names of the output tensors to return: those asked for, or all."""
    known = {"probabilities", "label"}
    names = {output.name for output in request.outputs or ()}
    unknown = sorted(names - known)
    if unknown:
        raise RequestError(400, f"unknown output {unknown[0][:100]!r}; the model has: label, probabilities")
    return names or known


def _rows(predictor: Predictor, request: InferenceRequest) -> list[list[float]]:
    """The numbers of the one input tensor, by row; RequestError 400 or 413 when they do not fit its description."""
    if len(request.inputs) != 1 or request.inputs[0].name != INPUT:
        names = ", ".join(repr(tensor.name[:100]) for tensor in request.inputs[:5]) or "none"
        raise RequestError(400, f"the model takes exactly one input, {INPUT!r}; given: {names}")
    tensor = request.inputs[0]
    if tensor.datatype not in DATATYPES:
        raise RequestError(
            400, f"datatype {tensor.datatype[:20]!r} is not supported; send {INPUT} as {' or '.join(DATATYPES)}"
        )
    rows, width = _shape(predictor, tensor.shape)
    flat = _flat(tensor.data, rows, width)
    if tensor.datatype == "FP32":
        _check_fp32(flat, width)
        flat = np.asarray(flat, dtype=np.float32).astype(np.float64).tolist()
    return [flat[begin : begin + width] for begin in range(0, len(flat), width)]


def _shape(predictor: Predictor, shape: list[int]) -> tuple[int, int]:
    expected = len(predictor.feature_names)
    if len(shape) != 2 or shape[1] != expected or shape[0] < 1:
        raise RequestError(400, f"shape {shape[:8]} does not fit; expected [rows, {expected}] with at least one row")
    if shape[0] > predictor.max_rows:
        raise RequestError(
            413, f"{shape[0]} rows are more than this server takes at once; send at most {predictor.max_rows}"
        )
    return shape[0], shape[1]


def _flat(data: list[Any], rows: int, width: int) -> list[float]:
    if data and all(isinstance(row, list) for row in data):
        if len(data) != rows or any(len(row) != width for row in data):
            raise RequestError(400, f"the nested data does not have the stated shape [{rows}, {width}]")
        data = [value for row in data for value in row]
    if len(data) != rows * width:
        raise RequestError(400, f"the data has {len(data)} values; the shape [{rows}, {width}] needs {rows * width}")
    return [_number(value, index, width) for index, value in enumerate(data)]


def _number(value: Any, index: int, width: int) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RequestError(
            400, f"row {index // width}, column {index % width} is a {type(value).__name__}, not a number"
        )
    try:
        return float(value)
    except OverflowError:
        return math.inf  # an integer beyond float64; refused with its row and column by the check for finite numbers


def _check_fp32(flat: list[float], width: int) -> None:
    for index, value in enumerate(flat):
        if math.isfinite(value) and abs(value) > _FP32_MAX:
            raise RequestError(
                400, f"row {index // width}, column {index % width} is {value:g}, beyond FP32; send it as FP64"
            )
