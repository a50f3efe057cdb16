"""Runs in MLflow: in a local SQLite file beside the run folder, or wherever MLFLOW_TRACKING_URI points."""

from __future__ import annotations

import json
import logging
import os
import time
from pathlib import Path
from typing import Any

from synthgen.history import flat
from synthgen.training.tracking import cards, numbers, read_note, without_password, write_note

EXPERIMENT = "synthgen"
_PARAM_CHARACTERS = 500
"""The longest value of a parameter that every MLflow server takes."""
_BATCH = 100
"""The most parameters that one request may carry."""
_STATUS = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}

# What MLflow does unless told otherwise: report its use over the network, and ask a server that is gone for minutes.
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


class MlflowTracker:
    """One MLflow run for one run folder. A resumed run goes on with the MLflow run that `tracking.json` names."""

    def __init__(self, run: Path) -> None:
        self.run = run.resolve()
        self.client: Any = None
        self.run_id = ""

    @property
    def uri(self) -> str:
        """MLFLOW_TRACKING_URI, else `mlflow.db` in the folder of runs."""
        return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{self.run.parent / 'mlflow.db'}"

    def begin(self, settings: dict[str, Any]) -> None:
        for variable, value in _QUIET.items():
            os.environ.setdefault(variable, value)
        from mlflow.tracking import MlflowClient

        for name in ("mlflow", "alembic"):  # after the import, which sets a level of its own
            logging.getLogger(name).setLevel(logging.WARNING)
        self.client = MlflowClient(self.uri)
        note, place = read_note(self.run), without_password(self.uri)
        found = self._find(note.get("run_id", "")) if note.get("uri") == place else None
        if found is None:
            tags = {"mlflow.source.name": "synthgen train", "mlflow.source.type": "LOCAL", "run_folder": str(self.run)}
            found = self.client.create_run(self._experiment(), run_name=self.run.name, tags=tags)
        else:
            self.client.update_run(found.info.run_id, status="RUNNING")
        self.run_id = found.info.run_id
        write_note(self.run, {"tracker": "mlflow", "uri": place, "run_id": self.run_id})
        self._settings(dict(flat(settings)), found.data.params)
        self.client.log_artifact(self.run_id, str(self.run / "config.yaml"))

    def metrics(self, row: dict[str, Any]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        found = [Metric(key, value, now, int(row["step"])) for key, value in numbers(row).items()]
        self.client.log_batch(self.run_id, metrics=found)

    def saved(self, step: int, previews: list[Path], checkpoint: Path, header: dict[str, Any]) -> None:
        for path in previews:
            self.client.log_artifact(self.run_id, str(path), "previews")
        # A reference and no copy: the file is in the run folder already, and its sha256 says which one it was.
        self.client.set_tag(self.run_id, "checkpoint", str(checkpoint.resolve()))
        self.client.set_tag(self.run_id, "checkpoint_sha256", str(header.get("sha256")))
        for name, card in cards(header).items():
            self.client.log_text(self.run_id, json.dumps(card, indent=2), f"cards/{name}")

    def end(self, status: str) -> None:
        self.client.set_terminated(self.run_id, _STATUS[status])

    def _find(self, run_id: str) -> Any:
        from mlflow.exceptions import MlflowException

        try:
            found = self.client.get_run(run_id) if run_id else None
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None  # the database was deleted: a new run is told from here on
        return found if found is not None and found.info.lifecycle_stage == "active" else None

    def _experiment(self) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        local = self.uri.startswith("sqlite:")  # a server has a place of its own
        place = (self.run.parent / "mlflow-artifacts").as_uri() if local else None
        return str(self.client.create_experiment(name, artifact_location=place))

    def _settings(self, settings: dict[str, Any], known: dict[str, str]) -> None:
        """Parameters are written once and for all in MLflow: what a resumed run changed becomes a tag."""
        from mlflow.entities import Param, RunTag

        texts = {key: str(value)[:_PARAM_CHARACTERS] for key, value in settings.items()}
        params = [Param(key, text) for key, text in texts.items() if key not in known]
        for start in range(0, len(params), _BATCH):
            self.client.log_batch(self.run_id, params=params[start : start + _BATCH])
        changed = {key: text for key, text in texts.items() if known.get(key, text) != text}
        if changed:
            self.client.log_batch(self.run_id, tags=[RunTag(f"resumed.{key}", text) for key, text in changed.items()])
