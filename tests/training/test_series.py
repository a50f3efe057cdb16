"""Runs on series: what is learned and held out, resumption to the bit, data in memory, what cannot be learned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import synthgen
from synthgen.checkpoints import load_checkpoint, read_header
from synthgen.config.loading import load_config
from synthgen.config.series import SeriesConfig, window_for
from synthgen.data.series.reading import read_series
from synthgen.errors import StoppedError, UsageError
from synthgen.generation.series.model import SeriesModel
from synthgen.runs import list_checkpoints
from synthgen.training.choosing import choose_settings, modality_of_data
from synthgen.training.metrics import read_metrics
from synthgen.training.run import describe_plan, train
from synthgen.training.series import SeriesSubject, load_data, settled
from tests.conftest import TINY_SERIES, sensors

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")


def config(source: Path, *overrides: str, steps: int = 12) -> SeriesConfig:
    flags = {"data.source": str(source), "training.steps": steps}
    found = load_config(None, [*TINY_SERIES, *overrides], flags)
    assert isinstance(found, SeriesConfig)
    return found


class Stop:
    """Asks to stop after so many looks."""

    def __init__(self, looks: int) -> None:
        self.left = looks

    def __call__(self) -> bool:
        self.left -= 1
        return self.left <= 0


def weights(run: Path, kind: str) -> dict[str, torch.Tensor]:
    return load_checkpoint(list_checkpoints(run, kind)[0], kind=kind)[1]


def test_what_a_source_is(series_csv: Path, tmp_path: Path) -> None:
    assert modality_of_data(str(series_csv)) == "tables"
    assert modality_of_data(str(series_csv), ["data.window=12"]) == "series"
    assert modality_of_data(str(series_csv), ["modality=series"]) == "series"
    assert modality_of_data("sines") == "series"
    np.savez(tmp_path / "set.npz", X=np.zeros((4, 6, 2)))
    assert modality_of_data(str(tmp_path / "set.npz")) == "series"
    np.savez(tmp_path / "pictures.npz", images=np.zeros((4, 8, 8), np.uint8))
    assert modality_of_data(str(tmp_path / "pictures.npz")) == "images"
    name, found = choose_settings(str(series_csv), overrides=["data.window=12"])
    assert name == "sensors"
    assert isinstance(found, SeriesConfig)
    assert choose_settings("sines").config.modality == "series"
    for flags in ({"data.window": 12}, {"modality": "series", "training.steps": None}):  # of `synthgen.train`
        assert choose_settings(str(series_csv), flags=flags).config.modality == "series"
    np.savez(tmp_path / "whole.npz", X=np.zeros((4, 6, 2), np.int64))
    assert modality_of_data(str(tmp_path / "whole.npz")) == "series"
    np.savez(tmp_path / "digits.npz", X=np.zeros((4, 8, 8), np.int64))
    assert modality_of_data(str(tmp_path / "digits.npz")) == "images"
    np.savez(tmp_path / "one.npz", X=np.zeros((4, 96)))
    assert modality_of_data(str(tmp_path / "one.npz")) == "series"
    for shape, kind in (((4, 6, 2), "series"), ((4, 8, 8), "images"), ((4, 96), "series")):
        np.save(tmp_path / "single.npy", np.zeros(shape))
        assert modality_of_data(str(tmp_path / "single.npy")) == kind


@pytest.mark.parametrize(
    ("asked", "longest", "sequences", "used"),
    [
        (None, 29, 270, 29),
        (None, 256, 10, 256),
        (None, 257, 10, 24),
        (24, 1000, 1, 24),
        (24, 5, 1, 5),
        (None, 240, 1, 24),
        (None, 40, 1, 10),
        (None, 4, 1, 2),
        (None, 1, 1, 1),
    ],
)
def test_windows_follow_from_the_data(asked: int | None, longest: int, sequences: int, used: int) -> None:
    assert window_for(asked, longest, sequences) == used


def test_a_run_folder_explains_itself(series_run: Path, series_csv: Path) -> None:
    header = read_header(list_checkpoints(series_run)[0])
    assert header["modality"] == "series"
    assert header["data"]["count"] == 60
    assert header["data"]["windows"] == 60 * 7
    data = read_series(series_csv, config(series_csv).data, split="train")
    assert header["data"]["fingerprint"] == data.fingerprint
    assert set(header["schema"]["channels"]) >= {"level", "jumps", "state"}
    assert read_metrics(series_run / "metrics.jsonl")[-1]["step"] == 200
    assert (series_run / "previews" / "step-00000200.png").read_bytes().startswith(b"\x89PNG")
    assert isinstance(synthgen.load(series_run), SeriesModel)


def test_training_lowers_the_loss(series_run: Path, series_csv: Path) -> None:
    settings = config(series_csv)
    data = load_data(settings)
    subject = SeriesSubject(settled(settings, data), data, CPU)
    draws = subject.draw(subject.batches()(0), 0, 0.0)
    before = float(subject.loss(subject.denoiser.eval(), *draws.parts).mean().detach())
    assert read_header(list_checkpoints(series_run)[0])["training"]["loss"] < before


@pytest.mark.parametrize("patience", [0, 3])
def test_stopped_and_resumed_equals_uninterrupted(series_csv: Path, tmp_path: Path, patience: int) -> None:
    overrides = ["model.dropout=0.1", "data.validation=0.2", "data.test=0.2", f"training.patience={patience}"]
    settings = config(series_csv, *overrides, steps=60)
    train(settings, tmp_path / "whole", device="cpu")
    with pytest.raises(StoppedError):
        train(settings, tmp_path / "cut", device="cpu", should_stop=Stop(31))
    train(settings, tmp_path / "cut", device="cpu", resume=True)
    for kind in ("model", "state"):
        whole, cut = weights(tmp_path / "whole", kind), weights(tmp_path / "cut", kind)
        assert whole.keys() == cut.keys()
        assert all(torch.equal(whole[name], cut[name]) for name in whole)
    assert read_header(list_checkpoints(tmp_path / "cut")[0])["training"]["validation_loss"] > 0


def test_independent_channels_are_learned_apart(tmp_path: Path) -> None:
    """One group, then two: as many examples in a window, so training is shorter; the model is loaded and sampled."""
    values = np.random.default_rng(0).normal(size=(3000, 8, 2)).cumsum(1)
    settings = {"data.protocol": "leaky", "model.width": 16, "model.blocks": 1, "model.heads": 2}
    found = []
    for place, x in enumerate((values @ [[1.0, 0.5], [0.0, 1.0]], values)):
        np.savez(tmp_path / f"{place}.npz", X=x)
        whole = SeriesConfig.model_validate({"data": {"source": str(tmp_path / f"{place}.npz"), "protocol": "leaky"}})
        used = settled(whole, load_data(whole))
        found.append(used.training.steps)
        facts = SeriesSubject(used, load_data(whole), CPU).describe()
        assert ("in 2 groups that do not depend on each other" in facts["data"]) is bool(place)
        model = synthgen.train(data=x, out=tmp_path / f"run{place}", steps=3, settings=settings)
        assert isinstance(model, SeriesModel)
        assert [part.group for part in model.codec.parts] == [0, place]
        assert model.denoiser.network.groups.count == 1 + place
        assert np.isfinite(model.sample(3)).all()
    assert found == [7500, 3750]


def test_the_later_part_is_never_seen(tmp_path: Path) -> None:
    """With another end of the recording everything that was learned is the same: weights, scalers, lengths."""
    steps = np.arange(400)
    frames = [pd.DataFrame({"a": np.sin(steps / 7), "b": np.cos(steps / 5)}) for _ in range(2)]
    frames[1].iloc[320:] = 1e6
    found = []
    for place, frame in enumerate(frames):
        path = tmp_path / f"recording{place}.csv"
        frame.to_csv(path, index=False)
        overrides = ["data.label=null", "data.test=0.2", "data.scaling=standard"]
        train(config(path, *overrides, steps=5), tmp_path / f"run{place}", device="cpu")
        found.append(weights(tmp_path / f"run{place}", "model"))
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_frames_and_arrays_in_memory(tmp_path: Path) -> None:
    settings = {text.partition("=")[0]: _value(text.partition("=")[2]) for text in TINY_SERIES[1:]}
    model = synthgen.train(data=sensors(12), out=tmp_path / "frame", steps=3, settings=settings)
    assert isinstance(model, SeriesModel)
    assert model.sample_frame(2).columns.tolist() == list(sensors(1).columns)
    values = np.random.default_rng(0).normal(size=(40, 8, 2))
    settings = {name: value for name, value in settings.items() if name not in ("data.label", "data.window")}
    other = synthgen.train(data=values, out=tmp_path / "array", settings=settings | {"training.steps": 3})
    assert isinstance(other, SeriesModel)
    assert other.header["training"]["steps"] == 3  # a length among the settings counts, too
    assert other.sample(5).shape == (5, 8, 2)


def _value(text: str) -> object:
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text


def test_what_cannot_be_learned_is_said_before_the_first_step(tmp_path: Path) -> None:
    path = tmp_path / "flat.csv"
    pd.DataFrame({"a": [1.0] * 50, "b": [None] * 50}).to_csv(path, index=False)
    with pytest.raises(UsageError, match="can be learned"):
        train(config(path, "data.label=null"), tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("odd", ["five steps", "constant", "empty", "unsorted", "mixed rates"])
def test_odd_recordings_are_learned_and_come_out_as_they_are(tmp_path: Path, odd: str) -> None:
    steps = 5 if odd == "five steps" else 60
    frame = pd.DataFrame({"t": pd.date_range("2024-01-01", periods=steps, freq="h"), "a": np.arange(steps) % 7 * 0.5})
    if odd in ("constant", "empty"):
        frame["c"] = 7 if odd == "constant" else None
    elif odd == "unsorted":
        frame = frame.sample(frac=1.0, random_state=0)
    elif odd == "mixed rates":
        frame.loc[30:, "t"] = pd.date_range("2024-01-02 06:00", periods=30, freq="10min")
    frame.to_csv(tmp_path / "odd.csv", index=False)
    train(config(tmp_path / "odd.csv", "data.label=null", steps=2), tmp_path / "run", device="cpu")
    made = synthgen.load(tmp_path / "run", device="cpu").sample_frame(1)  # type: ignore[union-attr]
    assert made.columns.tolist() == frame.columns.tolist() and len(made) == min(steps, 12)
    times = made["t"].diff().dropna()
    assert (times > pd.Timedelta(0)).all() and (odd == "mixed rates" or (times == pd.Timedelta("1h")).all())
    assert made["a"].between(0.0, 3.0).all()
    if odd in ("constant", "empty"):
        assert (made["c"] == 7).all() if odd == "constant" else made["c"].isna().all()


def test_a_plan_in_plain_facts(series_csv: Path) -> None:
    settings = config(series_csv, "data.test=0.25")
    plan = describe_plan(settings, load_data(settings), "cpu")
    assert plan["windows"].endswith("of 12 steps")
    assert plan["classes"] == 2
    assert plan["length"] == "12 steps"
