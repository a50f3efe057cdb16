"""The folder that `synthgen explain` leaves for series, with really trained little models."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from synthgen.cli import app
from synthgen.config.loading import load_config
from synthgen.console.boundary import run
from synthgen.errors import StoppedError, UsageError
from synthgen.explain.series.methods import METHOD_NAMES
from synthgen.explain.series.run import METHODS, SeriesRequest, explain_series, explain_series_to_folder
from synthgen.explain.tables import forest
from synthgen.generation.series.model import SeriesModel, load_series_model
from synthgen.outputs import MARKER
from synthgen.training.run import train

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model(series_run: Path) -> SeriesModel:
    return load_series_model(series_run, device="cpu")


@pytest.fixture(scope="module")
def folder(model: SeriesModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("explain") / "why"
    before = forest.TREES
    forest.TREES = 3
    try:
        explain_series_to_folder(model, out, SeriesRequest(3, seed=4, count=60, invocation="synthgen x"))
    finally:
        forest.TREES = before
    return out


def test_the_folder_holds_what_the_summary_says(model: SeriesModel, folder: Path) -> None:
    summary = json.loads((folder / "summary.json").read_text())
    assert set(summary["files"]) == {path.name for path in folder.iterdir()} - {MARKER}
    assert summary["checkpoint_sha256"] == model.sha256 and summary["notes"] == []
    assert summary["methods"] == list(METHOD_NAMES) == list(METHODS)
    assert summary["channels"] == ["level", "jumps", "state"] and summary["static"] == ["site"]
    assert summary["detector"]["windows_of_each_side"] == 60
    assert summary["evidence"]["sum_gap"] < 1e-4 and summary["shap"]["additivity_gap"] < 1e-6
    for name in ("evidence", "attention", "shap"):
        assert summary[name]["verdict"] and "caveat" in summary[name]
        names = [check["name"] for check in summary[name]["checks"]]
        assert {"learned", "judge", "content", "deletion", "amplitude", "slope", "weights", "stability"} <= set(names)
    assert "not why" in summary["attention"]["question"]


def test_sample_k_is_the_k_th_of_the_sample_command(model: SeriesModel, folder: Path) -> None:
    arrays = load_file(folder / "explanation.safetensors")
    expected = model.sample(3, seed=4)
    np.testing.assert_allclose(arrays["values"], expected, atol=1e-3)  # batches of another size round otherwise
    assert arrays["lengths"].tolist() == [12, 12, 12]


def test_arrays_and_summary_agree(folder: Path) -> None:
    summary = json.loads((folder / "summary.json").read_text())
    arrays = load_file(folder / "explanation.safetensors")
    for name in ("evidence", "shap"):
        np.testing.assert_allclose(arrays[name].sum((1, 2)), arrays[f"{name}_total"], atol=1e-4)
        totals = [window["total"] for window in summary[name]["windows"]]
        np.testing.assert_allclose(arrays[f"{name}_total"], totals, rtol=1e-5)
    shares = np.array(summary["shap"]["opinion"]) - summary["shap"]["opinion_of_windows_drawn_anew"]
    np.testing.assert_allclose(arrays["shap_pieces"].sum(1), shares, rtol=1e-4, atol=1e-4)
    made = load_file(folder / "trajectory.safetensors")
    np.testing.assert_array_equal(made["x"][-1], arrays["x0"])
    assert len(made["x0_hat"]) == summary["trajectory"]["rows"] >= summary["sampler_steps"] == 5
    maps = load_file(folder / "attention.safetensors")["maps"]
    np.testing.assert_allclose(maps.sum(-1), 1.0, rtol=1e-4)


def test_real_windows_speak_for_their_class(model: SeriesModel, series_csv: Path) -> None:
    found = explain_series(model, SeriesRequest(12, rows=str(series_csv), methods=("evidence",))).maps["evidence"]
    assert (found.totals > 0).all() and found.details["sum_gap"] < 1e-4


def test_the_page_needs_no_network_and_shows_every_window(folder: Path) -> None:
    text = (folder / "index.html").read_text(encoding="utf-8")
    for found in re.findall(r'(?:src|href)="([^"]*)"', text):
        assert found.startswith(("data:", "#"))
    assert "NaN" not in text and "nan" not in re.findall(r'points="([^"]*)"', text)
    for number in range(3):
        assert f"<b>sample {number}, " in text
    assert "What this does not say" in text and "synthgen x" in text and len(text) < 600_000


def test_the_same_request_writes_the_same_bytes(model: SeriesModel, tmp_path: Path) -> None:
    request = SeriesRequest(2, methods=("evidence", "attention", "trajectory", "neighbours"))
    for name in ("a", "b"):
        explain_series_to_folder(model, tmp_path / name, request)
    for path in (tmp_path / "a").iterdir():
        assert (tmp_path / "b" / path.name).read_bytes() == path.read_bytes(), path.name


def test_series_of_a_file_are_explained_and_not_their_trajectory(
    model: SeriesModel, series_csv: Path, tmp_path: Path
) -> None:
    request = SeriesRequest(2, rows=str(series_csv), methods=("evidence", "neighbours"), rival="none")
    found = explain_series(model, request)
    assert found.names == ("window 0, up", "window 1, down")
    assert [pair[1] for pair in found.maps["evidence"].names] == ["no class", "no class"]
    assert found.neighbours is not None and found.neighbours.flagged.all()  # they are training windows
    assert found.neighbours.distances[:, 0].max() < 0.05
    with pytest.raises(UsageError, match="not drawn by the model"):
        explain_series(model, SeriesRequest(2, rows=str(series_csv), methods=("trajectory",)))


def test_without_the_training_series_the_rest_is_explained_and_said(
    model: SeriesModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = model.config.data.model_copy(update={"source": "gone.csv"})
    monkeypatch.setattr(model, "config", model.config.model_copy(update={"data": data}))
    found = explain_series(model, SeriesRequest(1))
    assert found.methods == ["evidence", "attention", "trajectory"] and len(found.notes) == 3
    assert all("gone.csv" in note for note in found.notes)
    content = next(check for check in found.maps["evidence"].checks if check.name == "content")
    assert "nats of evidence" in content.sentence  # the model's own, for want of a judge
    with pytest.raises(UsageError, match=r"gone\.csv"):
        explain_series(model, SeriesRequest(1, methods=("neighbours",)))


def test_a_signal_writes_nothing(model: SeriesModel, tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        explain_series_to_folder(model, tmp_path / "why", SeriesRequest(1), should_stop=lambda: True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "level"], "--target is for tables"),
        (["--class", "upp"], "did you mean 'up'"),
        (["--rival", "dawn"], "did you mean 'down'"),
        (["--methods", "evidense"], "did you mean 'evidence'"),
        (["--methods", "likelihood"], "unknown method 'likelihood'"),
        (["--rows", "nothing.csv"], "nothing.csv"),
        (["--data", "nothing.csv"], "nothing.csv"),
        (["--count", "5", "--methods", "detector"], "too few"),
        (["--guidance-scale", "-1"], "--guidance-scale"),
    ],
)
def test_what_cannot_be_done_ends_with_2_and_changes_nothing(
    series_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(app, ["explain", str(series_run), *arguments]) == 2
    shown = capfd.readouterr()
    assert message in shown.err and shown.out == "" and list(tmp_path.iterdir()) == []


def test_a_rival_is_for_images_and_series(table_run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(app, ["explain", str(table_run), "--rival", "x"]) == 2
    assert "--rival is for images and series" in capfd.readouterr().err


def test_people_get_tables_and_a_script_the_summary(
    series_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["explain", str(series_run), "--samples", "2", "--class", "up", "--methods", "evidence,attention"]
    assert run(app, arguments) == 0
    shown = capfd.readouterr()
    for text in ("Evidence", "sample 1, up", "not why", "checked, deletion", "evidence: ", "why/index.html"):
        assert text in shown.out
    assert run(app, [*arguments, "--force", "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    written = json.loads((tmp_path / "why" / "summary.json").read_text())
    assert written == {key: value for key, value in document.items() if key not in ("schema_version", "out")}
    assert run(app, [*arguments, "--force", "--quiet"]) == 0
    assert capfd.readouterr().out == "why\n"


TINY = [
    "modality=series",
    "data.test=0.2",
    "model.width=32",
    "model.blocks=1",
    "model.heads=2",
    "training.batch_size=64",
    "training.learning_rate=0.005",
    "training.precision=fp32",
    "training.checkpoint_every=1h",
]


def planted(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labelled windows (count, 24, 2): a wave in channel 0; in channel 1 the class, in steps 9 to 14 alone, and then a
    louder bump that goes up or down whatever the class."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    noise = random.normal(size=(count, 27, 2))
    x = 0.25 * (noise[:, :-3] + noise[:, 1:-2] + noise[:, 2:-1] + noise[:, 3:])
    x[:, :, 0] += 2.5 * np.sin(2 * np.pi * (np.arange(24) + random.integers(0, 24, (count, 1))) / 12)
    bump = np.array([1.0, 1.8, 2.0, 2.0, 1.8, 1.0])
    x[:, 8:14, 1] += np.where(labels[:, None] == 1, 1, -1) * bump
    x[:, 16:22, 1] += random.choice([-2.0, 2.0], (count, 1)) * bump
    return x, labels


def test_a_trained_model_shows_where_the_class_was_planted(tmp_path: Path) -> None:
    """A model that was trained for seconds: its evidence lies in the planted cells, and every check believes it."""
    x, labels = planted(400, 0)
    np.savez(tmp_path / "planted.npz", X=x, y=np.array(["down", "up"])[labels])
    flags = {"data.source": str(tmp_path / "planted.npz"), "training.steps": 300}
    train(load_config(None, [*TINY, "diffusion.known=0.1"], flags), tmp_path / "run", device="cpu")
    model = load_series_model(tmp_path / "run", device="cpu")
    new, kinds = planted(8, 1)  # windows that nobody has seen
    np.savez(tmp_path / "new.npz", X=new, y=np.array(["down", "up"])[kinds])
    found = explain_series(model, SeriesRequest(8, rows=str(tmp_path / "new.npz"), methods=("evidence", "shap")))
    for name, least in (("evidence", 0.8), ("shap", 0.6)):
        one = found.maps[name]
        positive = np.maximum(one.values, 0)
        share = positive[:, 8:14, 1].sum() / positive.sum()
        assert share > least, (name, share)
        assert one.verdict == "Believe it: every check was passed.", (name, one.verdict, one.checks)
    assert (found.maps["evidence"].totals > 0).all()


def test_an_odd_span_surprises_a_model_without_classes_and_ordinary_samples_do_not(tmp_path: Path) -> None:
    """Held against real windows, a span that goes the wrong way is found and believed."""
    x, _ = planted(300, 0)
    np.savez(tmp_path / "plain.npz", X=x)
    flags = {"data.source": str(tmp_path / "plain.npz"), "training.steps": 200}
    train(load_config(None, [*TINY, "diffusion.known=0.3"], flags), tmp_path / "run", device="cpu")
    model = load_series_model(tmp_path / "run", device="cpu")
    odd, _ = planted(5, 1)
    odd[:, 4:8, 0] *= -1
    np.savez(tmp_path / "odd.npz", X=odd)
    found = explain_series(model, SeriesRequest(5, rows=str(tmp_path / "odd.npz"), methods=("evidence",)))
    one = found.maps["evidence"]
    assert "60 held-out windows" in one.question and one.details["as_surprising"] == [0.0] * 5
    positive = np.maximum(one.values, 0)
    assert positive[:, 3:9, 0].sum() > 0.6 * positive.sum()
    assert one.verdict == "Believe it: every check was passed.", one.checks
    assert [check.name for check in one.checks if check.name in ("content", "judge")] == []
    plain = explain_series(model, SeriesRequest(2, methods=("evidence",))).maps["evidence"]
    assert not plain.verdict.startswith("Believe") and min(plain.details["as_surprising"]) > 0
    with pytest.raises(UsageError, match="this model has none"):
        explain_series(model, SeriesRequest(1, rival="up"))
