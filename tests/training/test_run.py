"""Whole runs of a tiny network: what they leave, how they stop, and that they resume bit for bit."""

from __future__ import annotations

import errno
import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from synthgen import checkpoints, outputs
from synthgen.checkpoints import load_checkpoint, read_header
from synthgen.config.loading import load_config
from synthgen.config.schema import Config
from synthgen.data import load_images
from synthgen.data.dataset import ImageData
from synthgen.errors import StoppedError, SynthgenError, UsageError
from synthgen.generation.compiling import why_not
from synthgen.reporting import NullReporter
from synthgen.runs import list_checkpoints
from synthgen.training.metrics import read_metrics
from synthgen.training.run import load_data, train
from synthgen.training.step import Trainer
from tests.conftest import TINY

pytestmark = pytest.mark.usefixtures("one_thread")


def config(source: Path, *overrides: str, **flags: Any) -> Config:
    settings = {"data.source": str(source), **{name.replace("__", "."): value for name, value in flags.items()}}
    return load_config(None, [*TINY, *overrides], settings)


class Stop:
    """Asks to stop at the n-th poll."""

    def __init__(self, at: int) -> None:
        self.at, self.polls = at, 0

    def __call__(self) -> bool:
        self.polls += 1
        return self.polls >= self.at


class Warnings(NullReporter):
    def __init__(self) -> None:
        self.said: list[str] = []

    def warn(self, message: str) -> None:
        self.said.append(message)


def weights(run: Path, kind: str = "model") -> dict[str, torch.Tensor]:
    return load_checkpoint(list_checkpoints(run, kind)[0], kind=kind)[1]


def test_a_run_folder_explains_itself(tiny_run: Path, corners_npz: Path) -> None:
    names = {path.relative_to(tiny_run).as_posix() for path in tiny_run.rglob("*") if path.is_file()}
    assert {"config.yaml", "metrics.jsonl", "previews/step-00000300.png"} <= names
    assert load_config(tiny_run) == config(corners_npz, training__steps=300)
    header = read_header(list_checkpoints(tiny_run)[0])
    assert header["data"]["fingerprint"] == load_images(str(corners_npz)).fingerprint
    assert header["training"]["steps"] == 300 and header["training"]["finished"] is True
    assert header["class_names"] == ["top", "bottom"]
    pixels = load_images(str(corners_npz)).images / 127.5 - 1
    assert header["sigma_data"] == pytest.approx(pixels.std(ddof=1), rel=1e-4)
    rows = read_metrics(tiny_run / "metrics.jsonl")
    assert rows[-1]["step"] == 300 and rows[-1]["loss"] < rows[0]["loss"]


@pytest.mark.parametrize("stop_at", [1, 7])
def test_stopped_and_resumed_equals_uninterrupted(corners_npz: Path, tmp_path: Path, stop_at: int) -> None:
    settings = config(corners_npz, "model.dropout=0.1", "data.augment.shift=1", training__steps=12)
    train(settings, tmp_path / "whole", device="cpu")
    with pytest.raises(StoppedError, match=f"step {stop_at}"):
        train(settings, tmp_path / "cut", device="cpu", should_stop=Stop(stop_at))
    train(settings, tmp_path / "cut", device="cpu", resume=True)
    for kind in ("model", "state"):
        whole, cut = weights(tmp_path / "whole", kind), weights(tmp_path / "cut", kind)
        assert whole.keys() == cut.keys()
        for name in whole:
            assert torch.equal(whole[name], cut[name]), (kind, name)


def test_a_finished_run_can_be_made_longer(corners_npz: Path, tmp_path: Path) -> None:
    train(config(corners_npz, training__steps=3), tmp_path / "run", device="cpu")
    result = train(config(corners_npz, training__steps=5), tmp_path / "run", device="cpu", resume=True)
    assert result.steps == 5


def test_a_damaged_newest_state_is_named_and_the_one_before_is_used(corners_npz: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    for steps in (3, 6):
        train(config(corners_npz, training__steps=steps), run, device="cpu", resume=steps > 3)
    newest, before = list_checkpoints(run, "state")
    newest.write_bytes(newest.read_bytes()[:1000])
    reporter = Warnings()
    result = train(config(corners_npz, training__steps=6), run, device="cpu", resume=True, reporter=reporter)
    assert result.steps == 6
    assert len(reporter.said) == 1 and newest.name in reporter.said[0] and before.name not in reporter.said[0]
    assert newest.with_suffix(".damaged").is_file()  # set aside, so that two good ones are kept again
    assert [path.name for path in list_checkpoints(run, "state")] == [newest.name, before.name]


def test_resuming_with_other_settings_or_data_is_refused(corners_npz: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(config(corners_npz, training__steps=2), run, device="cpu")
    with pytest.raises(UsageError, match=r"training\.learning_rate"):
        changed = config(corners_npz, "training.learning_rate=0.1", training__steps=4)
        train(changed, run, device="cpu", resume=True)
    data = load_images(str(corners_npz))
    with pytest.raises(UsageError, match="the data changed"):
        train(
            config(corners_npz, training__steps=4),
            run,
            device="cpu",
            resume=True,
            data=data.select(np.arange(100)),
        )
    with pytest.raises(UsageError, match="exists already"):
        train(config(corners_npz, training__steps=4), run, device="cpu")


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_what_was(corners_npz: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(config(corners_npz, training__steps=2), run, device="cpu")
    good = list_checkpoints(run)[0].read_bytes()
    state = list_checkpoints(run, "state")[0]
    header, tensors = load_checkpoint(state, kind="state")
    from synthgen.checkpoints import save_checkpoint

    tensors = {name: value * float("nan") if name.startswith("raw.") else value for name, value in tensors.items()}
    save_checkpoint(state, tensors, header)
    with pytest.raises(SynthgenError, match="the loss became nan"):
        train(config(corners_npz, training__steps=9), run, device="cpu", resume=True)
    assert list_checkpoints(run)[0].read_bytes() == good


def test_a_budget_ends_training(corners_npz: Path, tmp_path: Path) -> None:
    result = train(config(corners_npz, training__budget="2s"), tmp_path / "run", device="cpu")
    assert result.steps >= 1
    assert json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])["learning_rate"] < 0.005


@pytest.mark.slow
def test_a_budget_is_kept_within_five_percent(tmp_path: Path) -> None:
    """Of a preset, with its checkpoints, previews, held-out images and sampler card; loading counts, too."""
    settings = load_config("mnist-mini", ["data.limit=3000", "data.validation=0.1"], {"training.budget": "30s"})
    started = time.monotonic()
    result = train(settings, tmp_path / "run", device="cpu")
    seconds = time.monotonic() - started
    assert result.steps > 5
    assert 28.5 <= seconds <= 31.5 and abs(result.seconds - seconds) < 1


@pytest.mark.slow
@pytest.mark.skipif(why_not(torch.device("cpu")) is not None, reason=str(why_not(torch.device("cpu"))))
def test_a_compiled_network_learns_the_same(corners_npz: Path, tmp_path: Path) -> None:
    """Up to rounding; its checkpoint has the same names, and its previews are drawn."""
    for how in ("never", "always"):
        train(config(corners_npz, training__steps=4, training__compile=how), tmp_path / how, device="cpu")
    plain, compiled = (load_checkpoint(list_checkpoints(tmp_path / how)[0])[1] for how in ("never", "always"))
    assert plain.keys() == compiled.keys()
    for name, tensor in plain.items():
        torch.testing.assert_close(compiled[name], tensor, rtol=0, atol=5e-4)
    assert any(not torch.equal(compiled[name], tensor) for name, tensor in plain.items())
    assert list((tmp_path / "always" / "previews").glob("*.png"))


def test_compiling_for_training_needs_a_compiler(
    corners_npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(UsageError, match="no-such-compiler") as caught:
        train(config(corners_npz, training__compile="always"), tmp_path / "run", device="cpu")
    assert caught.value.hint == "set training.compile to never"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("schedule", "prediction", "weight"),
    [
        ("linear", "epsilon", "min-snr"),
        ("cosine", "v", "min-snr"),
        ("flow", "v", "uniform"),
        ("cosine", "sample", "edm"),
    ],
)
def test_every_process_learns(corners_npz: Path, tmp_path: Path, schedule: str, prediction: str, weight: str) -> None:
    """Trained on two kinds of images, the samples of each class light up the right corner."""
    from synthgen.generation.model import load

    names = {"schedule": schedule, "prediction": prediction, "loss_weight": weight}
    overrides = [f"diffusion.{key}={value}" for key, value in names.items()]
    run = tmp_path / "run"
    train(config(corners_npz, *overrides, "sampling.steps=10", training__steps=250), run, device="cpu")
    images = load(run, device="cpu").sample(32).astype(float)[..., 0]
    bottom = images[:, 4:, 4:].mean((1, 2)) > images[:, :4, :4].mean((1, 2))
    assert (bottom == (np.arange(32) % 2 == 1)).mean() > 0.9


def test_unlabelled_data_trains_unconditionally(corners_npz: Path, tmp_path: Path) -> None:
    from synthgen.generation.model import load

    data = load_images(str(corners_npz))
    plain = ImageData(data.images, None, (), "plain")
    train(config(corners_npz, training__steps=2), tmp_path / "run", device="cpu", data=plain)
    model = load(tmp_path / "run", device="cpu")
    assert model.class_names == ()
    assert model.sample(3).shape == (3, 8, 8, 1)
    with pytest.raises(UsageError, match="unconditional"):
        model.sample(3, labels=0)
    with pytest.raises(UsageError, match="has no labels"):
        settings = config(corners_npz, "model.conditioning=class", training__steps=2)
        train(settings, tmp_path / "other", device="cpu", data=plain)


def test_a_full_disk_is_found_out_before_the_first_step(
    corners_npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_write = outputs.atomic_write

    def full(path: Path, data: bytes) -> None:
        if len(data) > 10_000:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        real_write(path, data)

    monkeypatch.setattr(checkpoints, "atomic_write", full)
    steps: list[int] = []
    monkeypatch.setattr(Trainer, "train_step", lambda self, batches, progress: steps.append(1))
    with pytest.raises(OSError, match="No space"):
        train(config(corners_npz, training__steps=3), tmp_path / "run", device="cpu")
    assert steps == []
    assert list((tmp_path / "run").rglob("*.safetensors")) == []


def test_room_for_all_checkpoints_is_asked_for_before_the_first_step(
    corners_npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = shutil.disk_usage(tmp_path)._replace(free=100_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: room)
    with pytest.raises(SynthgenError, match=r"will take up to \d\.\d MB more, and .* has 0\.1 MB free"):
        train(config(corners_npz, training__steps=3), tmp_path / "run", device="cpu")
    assert list((tmp_path / "run").rglob("*.safetensors")) == []


def test_an_odd_size_is_fitted_unless_it_was_asked_for(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 11, 30, 3), dtype=np.uint8)
    path = tmp_path / "odd.npz"
    np.savez(path, images=images)
    assert load_data(config(path, "model.channels=[8, 8, 8]")).shape == (12, 32, 3)
    with pytest.raises(UsageError, match="divisible by 4"):
        settings = config(path, "model.channels=[8, 8, 8]", "data.image_size=[11, 30]", training__steps=1)
        train(settings, tmp_path / "run", device="cpu")


def test_flat_images_are_refused(corners_npz: Path, tmp_path: Path) -> None:
    flat = ImageData(np.full((8, 8, 8, 1), 7, np.uint8), None, (), "flat")
    with pytest.raises(UsageError, match="same flat colour"):
        train(config(corners_npz, training__steps=2), tmp_path / "run", device="cpu", data=flat)
    assert not (tmp_path / "run").exists()
