"""From files to figures, gates and the report; by the command and by its parts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import synthgen
from synthgen.config.series import SeriesDataConfig
from synthgen.data.classes import SAMPLES_KIND
from synthgen.data.series.reading import read_series
from synthgen.errors import UsageError
from synthgen.evaluation.cache import ArrayCache
from synthgen.evaluation.gates import parse_gates
from synthgen.evaluation.series.comparing import (
    GATES,
    METRICS,
    check_metrics,
    evaluate_series_sources,
    evaluate_windows,
)
from synthgen.evaluation.series.measure import Floor, SeriesMetric
from synthgen.evaluation.series.page import render, write_report
from synthgen.evaluation.series.page_verdict import tone_of, verdict
from synthgen.evaluation.series.result import SeriesEvaluation
from synthgen.evaluation.series.scores import encoder_of
from tests.evaluation.series.conftest import MakeParts, autoregressive, recording_windows, window_set

FAST = ["correlational", "marginals", "autocorrelation", "spectrum", "cross_correlation", "forecasting", "copies"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of two channels as CSV, windows of the same law, of another one, and copies."""
    folder = tmp_path_factory.mktemp("series")
    random = np.random.default_rng(0)
    recording = autoregressive(random, 1, 900, 0.9, 2)[0]
    np.savetxt(folder / "real.csv", recording, delimiter=",", header="heat,load", comments="", fmt="%.6f")
    np.savez(folder / "same.npz", X=autoregressive(random, 300, 12, 0.9, 2))
    np.savez(folder / "noise.npz", X=random.standard_normal((300, 12, 2)))
    starts = random.integers(0, 600, 300)
    np.savez(folder / "copies.npz", X=np.stack([recording[one : one + 12] for one in starts]).round(6))
    return folder


def test_several_sets_are_told_apart_at_the_same_n(files: Path) -> None:
    fakes = [str(files / f"{name}.npz") for name in ("same", "noise", "copies")]
    compared = evaluate_series_sources(str(files / "real.csv"), fakes, window=12, metrics=FAST, seeds=2, cache=False)
    same, noise, copies = compared.results
    assert {one.n for one in compared.results} == {300}
    assert same.later is not None
    assert same.later.used <= 180 - 11
    assert same.metrics["spectrum"].value < 0.5 * noise.metrics["spectrum"].value
    assert same.metrics["autocorrelation"].value < 0.5 * noise.metrics["autocorrelation"].value
    assert noise.metrics["forecast_skill"].value < same.metrics["forecast_skill"].value
    assert same.metrics["copies"].value < 0.05
    assert copies.metrics["exact_copies"].value == 1.0
    tones = {one.topic: one.tone for one in verdict(noise)}
    assert tones["Dynamics"] == "bad"
    assert {one.topic: one.tone for one in verdict(copies)}["Copies"] == "bad"
    text = render(compared, command_line="synthgen evaluate ...")
    assert "3 synthetic series against" in text
    assert json.loads(json.dumps(compared.to_dict()))["modality"] == "series"


def test_the_leaky_protocol_takes_everything(files: Path) -> None:
    given: dict[str, Any] = {"window": 12, "metrics": ["spectrum"], "seeds": 1, "cache": False}
    real, fake = str(files / "real.csv"), [str(files / "same.npz")]
    honest, leaky = (
        evaluate_series_sources(real, fake, protocol=one, **given).results[0] for one in ("honest", "leaky")
    )
    assert honest.real.count == 720 - 11
    assert leaky.real.count == 900 - 11
    assert leaky.later is None
    assert "the field's protocol" in leaky.reference


def test_the_command_prints_figures_and_gates(cli: Any, files: Path, tmp_path: Path) -> None:
    words = ["evaluate", "--real", str(files / "real.csv"), "--fake", str(files / "noise.npz"), "--window", "12"]
    metrics = ["--metrics", "spectrum,marginals,copies", "--seeds", "2", "--no-cache"]
    out = tmp_path / "report"
    found = cli(*words, *metrics, "--json", "--fail-if", "spectrum>1", "--out", str(out))
    assert found.returncode == 3, found.stderr
    document = json.loads(found.stdout)
    assert document["gates"][0]["passed"] is False
    assert document["metrics"]["spectrum"]["floors"].keys() == {"halves", "redrawn", "later"}
    page = (out / "report.html").read_text()
    for title in ("Verdict", "Windows", "Dynamics", "Values", "Nearest pairs", "How it was measured"):
        assert f"<h2>{title}</h2>" in page
    assert (out / "evaluation.json").is_file()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"metrics": ["spectrun"]}, "did you mean 'spectrum'"),
        ({"metrics": ["agreement"]}, "has no labels"),
        ({"gates": ["spectrum>much"]}, "no limit that can be read"),
        ({"gates": ["copies>3"]}, "a share between 0 and 1"),
        ({"metrics": ["spectrum"], "gates": ["ks>1%"]}, "--metrics leaves out"),
    ],
)
def test_what_makes_no_sense_is_refused(files: Path, given: dict[str, Any], told: str) -> None:
    real, fake = str(files / "real.csv"), [str(files / "same.npz")]
    with pytest.raises(UsageError, match=told):
        evaluate_series_sources(real, fake, window=12, **given)


@pytest.mark.parametrize(
    ("words", "told"),
    [(["--window", "12", "--features", "inception"], "--features is for images"), (["--seeds", "3"], "is for series")],
)
def test_flags_of_other_data_are_refused(cli: Any, files: Path, words: list[str], told: str) -> None:
    found = cli("evaluate", "--real", files / "real.csv", "--fake", files / "real.csv", *words)
    assert found.returncode == 2
    assert told in " ".join(found.stderr.split())


def test_python_calls_it_alike(files: Path) -> None:
    found = synthgen.evaluate(
        files / "real.csv", files / "noise.npz", window=12, metrics=["spectrum"], seeds=2, gates=["spectrum>1"]
    )
    assert isinstance(found, SeriesEvaluation)
    assert found.seeds == (0, 1)
    assert found.gates[0].passed is False
    assert "spectral distance" in found.headline


def test_whole_numbers_may_be_broken_in_what_others_made(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    values = np.column_stack([random.integers(0, 9, 400), random.random(400).round(3)])
    np.savetxt(tmp_path / "real.csv", values, delimiter=",", header="count,level", comments="", fmt=["%d", "%.3f"])
    np.savez(tmp_path / "fake.npz", X=9 * random.random((100, 8, 2)))
    found = evaluate_series_sources(
        str(tmp_path / "real.csv"), [str(tmp_path / "fake.npz")], window=8, metrics=["marginals"], cache=False
    )
    assert found.results[0].metrics["ks"].value > 0.05


def test_a_file_is_held_against_the_part_that_its_model_was_trained_on(files: Path, tmp_path: Path) -> None:
    real, made = str(files / "real.csv"), tmp_path / "made.npz"
    np.savez(made, X=np.load(files / "same.npz")["X"])
    train = read_series(real, SeriesDataConfig(test=0.4), split="train")
    facts = {"name": train.name, "split": "train", "count": 1, "fingerprint": train.fingerprint}
    about = {"data": facts, "reading": SeriesDataConfig(test=0.4).model_dump(mode="json", exclude={"source"})}
    document = {"kind": SAMPLES_KIND, "modality": "series", "schema": train.schema.to_dict(), "model": about}
    (tmp_path / "made.npz.manifest.json").write_text(json.dumps(document))
    (found,) = evaluate_series_sources(real, [str(made)], window=12, metrics=["spectrum"], seeds=1, cache=False).results
    assert found.real.count == 540 - 11
    assert "exactly this real part" in found.origin


@pytest.mark.parametrize("text", ["discriminative>10", "predictive>=5", "copies>3"])
def test_a_gate_that_would_never_fail_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="says the same of all series"):
        parse_gates([text], None, GATES)
    assert parse_gates([f"{text}%"], None, GATES)[0].limit <= 0.1


def test_better_than_the_floor_is_not_off() -> None:
    floors = (Floor("halves", 0.90, 50),)
    one = SeriesMetric("agreement", "label agreement", 0.95, 100, "higher", "", floors, 0.001, (), True)
    assert tone_of(one) is None


def test_the_document_has_no_nan(files: Path, tmp_path: Path) -> None:
    values = np.random.default_rng(1).standard_normal((60, 12, 2))
    values[..., 1] = np.nan
    np.savez(tmp_path / "none.npz", X=values)
    compared = evaluate_series_sources(
        str(files / "real.csv"),
        [str(tmp_path / "none.npz")],
        window=12,
        metrics=["marginals", "autocorrelation"],
        seeds=2,
        cache=False,
    )
    write_report(tmp_path / "report", compared)
    text = (tmp_path / "report" / "evaluation.json").read_text()
    assert "NaN" not in text
    assert json.loads(text)["details"]["marginals"]["channels"][1]["wasserstein"] is None


def test_metrics_keep_their_order() -> None:
    assert check_metrics(["copies", "context_fid"]) == ("context_fid", "copies")
    assert check_metrics(None) == METRICS
    with pytest.raises(UsageError, match="no metric"):
        check_metrics([])


def test_too_few_windows_are_refused() -> None:
    few = window_set(np.random.default_rng(0).random((5, 6, 1)))
    with pytest.raises(UsageError, match="5 windows a side are too few"):
        evaluate_windows(few, [few])


def test_an_encoder_is_fitted_once_and_kept(tmp_path: Path, make_parts: MakeParts) -> None:
    real = window_set(np.random.default_rng(2).random((30, 6, 2)))
    digests = []
    for _ in range(2):
        parts = make_parts(real, real)
        object.__setattr__(parts, "cache", ArrayCache(tmp_path))
        digests.append(encoder_of(parts, 0).sha256)
    assert digests[0] == digests[1]
    assert len(list(tmp_path.glob("*.safetensors"))) == 1


def test_windows_are_drawn_as_points_with_a_colour_for_each_side() -> None:
    random = np.random.default_rng(4)
    sides = [window_set(random.random((count, 6, 2))) for count in (30, 25)]
    compared = evaluate_windows(sides[0], [sides[1]], metrics=["context_fid"], seeds=1, cache=False)
    text = render(compared)
    assert "<h2>Map</h2>" in text and "PCA, fitted on the real windows" in text and "t-SNE of features" in text
    assert "25 real and 25 synthetic windows" in text
    encoder = compared.results[0].details["context_fid"]["encoders"][0]
    assert encoder["seed"] == 0 and len(encoder["sha256"]) == 64


def test_a_recording_of_many_channels_shows_the_worst_few() -> None:
    random = np.random.default_rng(3)
    recording = autoregressive(random, 1, 400, 0.8, 12)[0]
    fake = autoregressive(random, 200, 8, 0.8, 12)
    fake[:, :, 7] *= 3
    real = recording_windows(recording, 8)
    metrics = ["marginals", "spectrum", "autocorrelation"]
    compared = evaluate_windows(real, [window_set(fake)], metrics=metrics, seeds=1, cache=False)
    text = render(compared)
    assert "Of 12 channels the 6 that differ most" in text
    rows = compared.results[0].details["marginals"]["channels"]
    assert max(rows, key=lambda row: row["ks"])["name"] == "c7"
