"""The HTTP application of the model server."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version as distribution_version
from typing import Annotated, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from quantum_db.errors import StageInputError
from quantum_db.serving.middleware import BodyLimit, Observed
from quantum_db.serving.open_inference import open_inference_router
from quantum_db.serving.predictor import Prediction, Predictor, RequestError, ServableModel
from quantum_db.telemetry.prometheus_metrics import PrometheusMetrics

_LOG = logging.getLogger(__name__)
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]


@dataclass(frozen=True)
class Limits:
    """The largest request: rows at once, and bytes of the body."""

    max_rows: int = 1000
    max_body_bytes: int = 16 * 2**20


class PredictRequest(BaseModel):
    """Rows of raw features, in the order that GET /model lists them."""

    instances: list[list[Number]]


class PredictResponse(BaseModel):
    """The most probable class of each row, the probabilities of all classes in the order of GET /model, the model."""

    predictions: list[str]
    probabilities: list[list[float]]
    model_name: str
    model_version: str


def create_app(model: ServableModel, name: str = "q-store", version: str = "", limits: Limits | None = None) -> FastAPI:
    """Return the application that serves `model`.

    `name` and `version` are what the Open Inference Protocol routes call it; without a version the first characters
    of the model's digest are used. The model's golden inputs are predicted here, once: if they are not reproduced,
    the application answers but is not ready, and refuses to predict.
    """
    limits = limits or Limits()
    predictor = Predictor(model, name, version, limits.max_rows)
    metrics = PrometheusMetrics()
    metrics.set("qstore_serving_ready", 0 if predictor.fault else 1)
    if predictor.fault:
        _LOG.error("the model is not ready: %s", predictor.fault)
    own_version = distribution_version("quantum-db")
    app = FastAPI(
        title="Q-Store model server",
        version=own_version,
        description='Predictions of one trained hybrid quantum-classical model. Every error is {"error": <text>}.',
        docs_url=None,  # these pages load scripts from outside
        redoc_url=None,
        responses={code: {"description": text} for code, text in _ERRORS.items()},
    )
    app.add_middleware(BodyLimit, max_bytes=limits.max_body_bytes)
    app.add_middleware(Observed, metrics=metrics)
    _add_error_handlers(app)

    def observe(prediction: Prediction) -> None:
        metrics.observe("qstore_serving_inference_seconds", prediction.seconds)
        metrics.observe("qstore_serving_rows", len(prediction.labels))
        for label in set(prediction.labels):
            metrics.count("qstore_serving_predictions_total", (label,), prediction.labels.count(label))

    app.include_router(open_inference_router(predictor, own_version, observe))

    @app.post("/predict", summary="Predict the classes of rows", tags=["Prediction"])
    def predict(request: PredictRequest) -> PredictResponse:
        prediction = predictor.predict(predictor.rows(request.instances))
        observe(prediction)
        return PredictResponse(
            predictions=prediction.labels,
            probabilities=prediction.probabilities.tolist(),
            model_name=predictor.name,
            model_version=predictor.version,
        )

    @app.get("/health", summary="Is the process up?", tags=["Health"])
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/ready", summary="Does the model reproduce its golden predictions?", tags=["Health"])
    def ready() -> JSONResponse:
        if predictor.fault:
            return JSONResponse({"ready": False, "error": predictor.fault}, 503)
        return JSONResponse({"ready": True})

    @app.get("/model", summary="What is served", tags=["Prediction"])
    def model_metadata() -> dict[str, Any]:
        return predictor.metadata()

    @app.get("/metrics", summary="Metrics for Prometheus", tags=["Health"])
    def prometheus() -> Response:
        content, media_type = metrics.exposition()
        return Response(content, media_type=media_type)

    return app


_ERRORS = {
    400: "the request is malformed or does not fit the model",
    404: "there is no such route, model or version",
    413: "the body or the number of rows is too large",
    503: "the model is not ready",
}


def _add_error_handlers(app: FastAPI) -> None:
    """Every error is a JSON object {"error": text}, as the Open Inference Protocol wants it, without the input."""

    @app.exception_handler(RequestError)
    def refused(_: Request, error: RequestError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, error.status)

    @app.exception_handler(StageInputError)
    def unfit(_: Request, error: StageInputError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, 400)

    @app.exception_handler(RequestValidationError)
    def malformed(_: Request, error: RequestValidationError) -> JSONResponse:
        return JSONResponse({"error": _first(error.errors())}, 400)

    @app.exception_handler(HTTPException)
    def http(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)

    @app.exception_handler(Exception)  # starlette raises it again after the answer, so that the log has it whole
    def broken(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": "the model failed; see the log of the server"}, 500)


def _first(errors: Sequence[Any]) -> str:
    """One sentence on the first of pydantic's errors: where and what, never the value."""
    place, error = "", errors[0]
    for part in error["loc"][1:]:
        place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else str(part)
    if error["type"] == "json_invalid":
        return "the body is not valid JSON; send a JSON object with Content-Type: application/json"
    if not place:
        return "the body is not a JSON object; send one with Content-Type: application/json"
    more = f" ({len(errors) - 1} more like this)" if len(errors) > 1 else ""
    return f"{place}: {error['msg'][0].lower()}{error['msg'][1:]}{more}"
