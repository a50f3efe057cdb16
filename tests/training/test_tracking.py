"""Trackers: what they were told is read back with their own readers, and their failures never reach the run."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from synthgen.config.loading import load_config
from synthgen.errors import StoppedError, UsageError
from synthgen.history import flat
from synthgen.reporting import NullReporter
from synthgen.runs import checkpoint_path, peek
from synthgen.training import tracking as module
from synthgen.training.metrics import read_metrics
from synthgen.training.run import train
from synthgen.training.tracking import BackgroundTracker, check_tracker, numbers, tracking
from tests.conftest import TINY, TINY_SERIES, TINY_TABLE


class Listener(NullReporter):
    """Keeps the warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def trained(settings: list[str], source: Path, out: Path, steps: int, track: str, **more: Any) -> Listener:
    listener = Listener()
    flags = {"data.source": str(source), "training.steps": steps, "training.track": track}
    train(load_config(None, settings, flags), out, device="cpu", reporter=listener, **more)
    return listener


def test_mlflow_has_the_run_and_goes_on_with_it(
    corners_npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracking_module = pytest.importorskip("mlflow.tracking", reason="needs the extra mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    out = tmp_path / "runs" / "corners"
    assert trained(TINY, corners_npz, out, 12, "mlflow").warnings == []

    client = tracking_module.MlflowClient(f"sqlite:///{tmp_path / 'runs' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("synthgen")
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status) == ("corners", "FINISHED")
    header, _ = peek(checkpoint_path(out, 12))
    assert run.data.params == {key: str(value) for key, value in flat(header["config"])}
    assert run.data.tags["checkpoint_sha256"] == header["sha256"]
    assert Path(run.data.tags["checkpoint"]) == checkpoint_path(out, 12).resolve()
    told = {metric.step: metric.value for metric in client.get_metric_history(run.info.run_id, "loss")}
    rows = {row["step"]: row["loss"] for row in read_metrics(out / "metrics.jsonl")}
    assert told == {step: pytest.approx(loss, rel=1e-5) for step, loss in rows.items()}
    assert "images_per_second" in run.data.metrics

    def artifact(name: str) -> bytes:
        return Path(client.download_artifacts(run.info.run_id, name, str(tmp_path))).read_bytes()

    preview = "previews/step-00000012.png"
    assert artifact(preview) == (out / preview).read_bytes()
    assert artifact("config.yaml") == (out / "config.yaml").read_bytes()
    assert json.loads(artifact("cards/model_card.json"))["sha256"] == header["sha256"]

    trained(TINY, corners_npz, out, 20, "mlflow", resume=True)
    (run,) = client.search_runs([experiment.experiment_id])  # the same one
    assert run.info.status == "FINISHED"
    assert run.data.tags["resumed.training.steps"] == "20"
    assert run.data.tags["checkpoint_sha256"] == peek(checkpoint_path(out, 20))[0]["sha256"]
    assert {metric.step for metric in client.get_metric_history(run.info.run_id, "loss")} > told.keys()


@pytest.mark.parametrize("modality", ["images", "tables", "series"])
def test_tensorboard_has_the_run(modality: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="needs the extra tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    settings, fixture = {
        "images": (TINY, "corners_npz"),
        "tables": (TINY_TABLE, "table_csv"),
        "series": (TINY_SERIES, "series_csv"),
    }[modality]
    out = tmp_path / modality
    assert trained(settings, request.getfixturevalue(fixture), out, 6, "tensorboard").warnings == []
    events = EventAccumulator(str(out / "tensorboard")).Reload()
    rows = {row["step"]: row["loss"] for row in read_metrics(out / "metrics.jsonl")}
    assert {event.step: event.value for event in events.Scalars("loss")} == pytest.approx(rows, rel=1e-5)
    tags = events.Tags()
    texts = {name for name in tags["tensors"] if name.endswith("/text_summary")}
    assert {"settings/text_summary", "checkpoint/text_summary", "model_card/text_summary"} <= texts
    assert ("preview" in tags["images"]) == (modality != "tables")
    assert ("preview/text_summary" in texts) == (modality == "tables")
    (checkpoint,) = [event.tensor_proto.string_val[0].decode() for event in events.Tensors("checkpoint/text_summary")]
    assert peek(checkpoint_path(out, 6))[0]["sha256"] in checkpoint


def test_a_server_that_is_gone_costs_one_warning(
    corners_npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow", reason="needs the extra mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:9")  # the port `discard`: nobody is there
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    (warning,) = trained(TINY, corners_npz, tmp_path / "run", 4, "mlflow").warnings
    assert "mlflow failed" in warning
    assert "training goes on" in warning
    assert "secret" not in warning
    assert checkpoint_path(tmp_path / "run", 4).is_file()


class Recorder:
    """A tracker that keeps what it hears, and fails or waits where it is told to."""

    def __init__(self, fails: str = "", gate: threading.Event | None = None) -> None:
        self.fails, self.gate, self.heard = fails, gate, []  # type: ignore[var-annotated]

    def _hear(self, what: str, value: object) -> None:
        if self.gate is not None:
            self.gate.wait(60)
        if what == self.fails:
            raise RuntimeError(f"no {what}\nand more lines")
        self.heard.append((what, value))

    def begin(self, settings: dict[str, Any]) -> None:
        self._hear("begin", settings)

    def metrics(self, row: dict[str, Any]) -> None:
        self._hear("metrics", row["step"])

    def saved(self, step: int, previews: list[Path], checkpoint: Path, header: dict[str, Any]) -> None:
        self._hear("saved", (step, header))

    def end(self, status: str) -> None:
        self._hear("end", status)


@pytest.mark.parametrize("fails", ["begin", "metrics", "saved", "end"])
def test_the_first_failure_is_the_last_and_one_warning(fails: str, tmp_path: Path) -> None:
    listener, recorder = Listener(), Recorder(fails)
    tracker = BackgroundTracker(recorder, "mlflow", listener)
    tracker.begin({})
    for step in range(3):
        tracker.metrics({"step": step})
        tracker.saved(step, [], tmp_path / "none.safetensors")
    tracker.close("finished")
    assert listener.warnings == [
        f"mlflow failed (RuntimeError: no {fails}); training goes on, and the run folder has everything"
    ]
    assert fails not in [what for what, _ in recorder.heard]


def test_a_tracker_that_hangs_is_left_behind() -> None:
    listener, gate = Listener(), threading.Event()
    tracker = BackgroundTracker(Recorder(gate=gate), "mlflow", listener, flush_seconds=0.05)
    tracker.begin({})
    tracker.metrics({"step": 1})
    tracker.close("finished")
    gate.set()
    (warning,) = listener.warnings
    assert "not answered" in warning


@pytest.mark.parametrize(
    ("error", "status"), [(None, "finished"), (StoppedError("stop"), "stopped"), (ValueError(), "failed")]
)
def test_how_a_run_ended_is_told(
    error: Exception | None, status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder()
    monkeypatch.setattr(module, "_load", lambda name, run, step: recorder)
    try:
        with tracking("mlflow", tmp_path, {"a": 1}, 0, NullReporter()):
            if error is not None:
                raise error
    except (StoppedError, ValueError) as raised:
        assert raised is error
    assert recorder.heard == [("begin", {"a": 1}), ("end", status)]


def test_a_card_that_came_after_the_last_step_is_told(tiny_run: Path) -> None:
    from synthgen.checkpoints import load_checkpoint, save_checkpoint

    recorder = Recorder()
    tracker = BackgroundTracker(recorder, "mlflow", Listener())
    path = tiny_run.parent / "copy.safetensors"
    header, tensors = load_checkpoint(checkpoint_path(tiny_run, 300))
    save_checkpoint(path, tensors, header)
    tracker.saved(300, [], path)
    save_checkpoint(path, tensors, header | {"sampler_card": {"points": []}})
    tracker.close("finished")
    cards = [value[1].get("sampler_card") for what, value in recorder.heard if what == "saved"]
    assert cards == [header.get("sampler_card"), {"points": []}]


def test_a_missing_extra_is_named_before_anything_is_written(
    corners_npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(module.TRACKERS, "mlflow", ("no_such_package",))
    with pytest.raises(UsageError) as caught:
        trained(TINY, corners_npz, tmp_path / "run", 4, "mlflow")
    assert caught.value.hint == 'pip install "synthgen[mlflow]"'
    assert not (tmp_path / "run").exists()
    check_tracker("none")


def test_only_finite_numbers_are_drawn() -> None:
    row = {"step": 3, "loss": float("nan"), "epoch": 1, "bad_rows": [1, 2], "finished": True, "rate": None, "norm": 2.5}
    assert numbers(row) == {"epoch": 1.0, "norm": 2.5}
