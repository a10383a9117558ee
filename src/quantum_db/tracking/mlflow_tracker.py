"""A tracker that writes to an MLflow store: a SQLite file or a tracking server."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quantum_db.tracking.address import check_tracking_uri
from quantum_db.tracking.mlflow_client import experiment_id, load_mlflow, open_client, reaching
from quantum_db.tracking.tracker import NotStartedError, RunStatus, TrackingError

_LOG = logging.getLogger(__name__)
_PARAM_LENGTH = 6000  # MLflow's limit for the value of a parameter
_TAG_LENGTH = 8000  # and for the value of a tag


class MlflowTracker:
    """Writes one run to the store at `tracking_uri`, in the experiment `experiment`.

    Every call talks to the store and raises TrackingError when that fails; put a `BufferedTracker` in front where
    an outage must not matter. Not safe for use by several threads at once.
    """

    def __init__(self, tracking_uri: str, experiment: str = "q-store") -> None:
        load_mlflow()
        self.tracking_uri = check_tracking_uri(tracking_uri)
        self.experiment = experiment
        self._run_id = ""
        self._client: Any = None
        self._logged: set[tuple[str, int]] = set()

    @property
    def run_id(self) -> str:
        """The MLflow run id; empty before `start`."""
        return self._run_id

    def start(
        self,
        run_name: str,
        params: Mapping[str, object],
        tags: Mapping[str, str],
        resume_run_id: str | None = None,
    ) -> str:
        """Begin a run, or go on with `resume_run_id` if the store has it; return the run id.

        On a resumed run, steps that the store has are remembered and not recorded again, and a parameter whose value
        changed is recorded as the tag "resumed.<name>", since MLflow keeps a parameter's first value. If the store
        does not know the run to resume, a new one begins, tagged "resumed_from". Calling `start` again after a
        failure goes on with the run that the failed call made.
        """
        self._client = self._client or open_client(self.tracking_uri)
        wanted = self._run_id or resume_run_id
        if not (wanted and self._reopen(wanted)):
            extra = {"resumed_from": wanted} if wanted else {}
            self._create(run_name, {**tags, **extra})
        self._log_params(params, tags)
        return self._run_id

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags of the run."""
        entities = load_mlflow().entities
        marks = [entities.RunTag(name, str(text)[:_TAG_LENGTH]) for name, text in tags.items()]
        with reaching(self.tracking_uri, "set the run's tags"):
            self._started().log_batch(self._run_id, tags=marks)

    def log_metrics(self, metrics: Mapping[str, float], step: int, timestamp_ms: int | None = None) -> None:
        """Record metric values at `step`, except those that the store already has at that step."""
        new = {name: float(value) for name, value in metrics.items() if (name, step) not in self._logged}
        if not new:
            return
        metric = load_mlflow().entities.Metric
        moment = int(time.time() * 1000) if timestamp_ms is None else timestamp_ms
        with reaching(self.tracking_uri, f"record the metrics of step {step}"):
            self._started().log_batch(
                self._run_id, metrics=[metric(name, value, moment, step) for name, value in new.items()]
            )
        self._logged.update((name, step) for name in new)

    def log_artifact(self, path: Path, folder: str = "") -> None:
        """Copy a file or a whole directory into the run's artifacts."""
        source = Path(path)
        with reaching(self.tracking_uri, f"take the artifact {source.name!r}"):
            if source.is_dir():
                self._started().log_artifacts(self._run_id, str(source), folder or source.name)
            else:
                self._started().log_artifact(self._run_id, str(source), folder or None)

    def log_text(self, text: str, name: str) -> None:
        """Write the text file `name` into the run's artifacts."""
        with reaching(self.tracking_uri, f"take the text {name!r}"):
            self._started().log_text(self._run_id, text, name)

    def log_dict(self, content: Mapping[str, Any], name: str) -> None:
        """Write `content` as the JSON file `name` into the run's artifacts."""
        self.log_text(json.dumps(content, indent=2, sort_keys=True) + "\n", name)

    def finish(self, status: RunStatus = "FINISHED") -> None:
        """End the run with `status`."""
        with reaching(self.tracking_uri, "end the run"):
            self._started().set_terminated(self._run_id, status=status)

    def _started(self) -> Any:
        if not self._run_id:
            raise NotStartedError
        return self._client

    def _create(self, run_name: str, tags: Mapping[str, str]) -> None:
        experiment = experiment_id(self._client, self.tracking_uri, self.experiment)
        with reaching(self.tracking_uri, f"begin the run {run_name!r}"):
            texts = {name: str(value)[:_TAG_LENGTH] for name, value in tags.items()}
            self._run_id = str(self._client.create_run(experiment, tags=texts, run_name=run_name).info.run_id)
        self._logged.clear()

    def _reopen(self, run_id: str) -> bool:
        """Set the run to running and remember its steps; False when the store does not know it."""
        try:
            with reaching(self.tracking_uri, f"resume the run {run_id}"):
                run = self._client.get_run(run_id)
                self._client.update_run(run_id, status="RUNNING")
                self._logged = {
                    (name, int(metric.step))
                    for name in run.data.metrics
                    for metric in self._client.get_metric_history(run_id, name)
                }
        except TrackingError as error:
            if not error.permanent:
                raise
            _LOG.warning("run %s is not in the tracking store %s; a new run begins", run_id, self.tracking_uri)
            return False
        self._run_id = run_id
        return True

    def _log_params(self, params: Mapping[str, object], tags: Mapping[str, str]) -> None:
        entities = load_mlflow().entities
        texts = {name: str(value) for name, value in params.items()}
        long = {name: text for name, text in texts.items() if len(text) > _PARAM_LENGTH}
        texts |= {name: f"see the artifact params/{name}.txt" for name in long}
        with reaching(self.tracking_uri, "record the parameters"):
            known = self._client.get_run(self._run_id).data.params
            new = [entities.Param(name, text) for name, text in texts.items() if name not in known]
            changed = {f"resumed.{name}": text for name, text in texts.items() if known.get(name, text) != text}
            marks = {**tags, **changed}
            batch = [entities.RunTag(name, str(text)[:_TAG_LENGTH]) for name, text in marks.items()]
            for begin in range(0, max(len(new), 1), 100):  # MLflow takes 100 parameters at once
                self._client.log_batch(self._run_id, params=new[begin : begin + 100], tags=batch if not begin else [])
            for name, text in long.items():
                self._client.log_text(self._run_id, text, f"params/{name}.txt")
