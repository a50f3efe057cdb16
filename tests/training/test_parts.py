"""The parts of training: data order, augmentation, learning rate, horizon, weight average, metrics."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from synthgen.config.schema import AugmentConfig, TrainingConfig, parse_duration
from synthgen.data.dataset import ImageData
from synthgen.training.batches import Batches, augment, mix
from synthgen.training.ema import WeightAverage
from synthgen.training.metrics import MetricsLog, read_metrics
from synthgen.training.schedule import Horizon, horizon_of, learning_rate

CPU = torch.device("cpu")


def numbered(count: int) -> ImageData:
    """Images whose one pixel, and whose label, is their row number."""
    rows = np.arange(count)
    return ImageData(rows.astype(np.uint8).reshape(-1, 1, 1, 1), rows, tuple(map(str, rows)), "numbered")


@given(count=st.integers(1, 60), size=st.integers(1, 70), seed=st.integers(0, 2**63 - 1))
def test_every_epoch_shows_every_image_once(count: int, size: int, seed: int) -> None:
    batches = Batches(numbered(count), size, seed, CPU)
    steps = -(-3 * count // size)
    order = np.concatenate([batches.indices(step) for step in range(steps)])[: 3 * count].reshape(3, count)
    for epoch in order:
        assert sorted(epoch) == list(range(count))


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    first, second = Batches(numbered(50), 16, 7, CPU), Batches(numbered(50), 16, 7, CPU)
    expected = [first.indices(step) for step in range(12)]
    for step in (11, 3, 7, 0):
        np.testing.assert_array_equal(second.indices(step), expected[step])
    assert not np.array_equal(Batches(numbered(50), 16, 8, CPU).indices(0), expected[0])


def test_images_and_labels_stay_together_resident_or_mapped(tmp_path: Path) -> None:
    path = tmp_path / "images.npy"
    np.save(path, numbered(50).images)
    data = numbered(50)
    mapped = ImageData(np.load(path, mmap_mode="r"), data.labels, data.class_names, "numbered")
    on_disk = Batches(mapped, 16, 0, CPU)
    on_disk._resident = None  # as if the data were larger than memory
    for step in range(5):
        a, b = Batches(data, 16, 0, CPU)(step), on_disk(step)
        assert a.labels is not None and b.labels is not None
        torch.testing.assert_close(a.images, b.images)
        torch.testing.assert_close(a.images.flatten().long(), a.labels)
        torch.testing.assert_close(a.labels, b.labels)


def test_mixed_seeds_differ_in_their_low_bits() -> None:
    values = {mix(0, "noise", step) & 0xFFFFFFFF for step in range(2000)}
    assert len(values) == 2000


def test_augmentation_is_off_by_default_and_moves_pixels_as_named() -> None:
    images = torch.arange(2 * 6 * 6 * 1, dtype=torch.uint8).view(2, 6, 6, 1)
    generator = torch.Generator().manual_seed(0)
    assert torch.equal(augment(images, AugmentConfig(), generator), images)
    many = images[:1].repeat(200, 1, 1, 1)
    flipped = augment(many, AugmentConfig(horizontal_flip=True), generator)
    same = (flipped == images[0]).flatten(1).all(1)
    mirrored = (flipped == images[0].flip(1)).flatten(1).all(1)
    assert bool((same ^ mirrored).all()) and 60 < int(same.sum()) < 140
    shifted = augment(many, AugmentConfig(shift=1), generator)
    centres = {int(image[2, 2, 0]) for image in shifted}
    assert centres == {int(images[0, y, x, 0]) for y in (1, 2, 3) for x in (1, 2, 3)}


def test_the_learning_rate_rises_peaks_and_ends_at_zero() -> None:
    rates = [learning_rate(p, 1.0, 0.1) for p in np.linspace(0, 1, 201)]
    assert max(rates) == pytest.approx(1.0, abs=1e-3)
    assert int(np.argmax(rates)) == 20
    assert rates[0] > 0 and rates[-1] == pytest.approx(0.0, abs=1e-12)
    assert np.all(np.diff(rates[20:]) < 0)


def test_a_horizon_counts_steps_epochs_or_seconds() -> None:
    assert horizon_of(TrainingConfig(steps=7), 100, 0.0).steps == 7
    assert horizon_of(TrainingConfig(epochs=2.5, batch_size=32), 100, 0.0).steps == 8
    timed = Horizon(None, 100.0, seconds_before=60.0, reserve=10.0, started=time.monotonic())
    assert timed.progress(1) == pytest.approx(60 / 90, abs=0.01)
    assert not timed.finished(1)
    timed.seconds_before = 95.0
    assert timed.finished(1) and not timed.finished(0), "one step is always made"


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("15m", 900), ("1h30m", 5400), ("2h", 7200), ("1.5m", 90)])
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "15", "m", "0s", "-5m", "5 days"])
def test_wrong_durations(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|no time"):
        parse_duration(text)


def test_the_weight_average_has_its_half_life() -> None:
    """A constant jump from 0 to 1: after share * n images, half of it must have arrived."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    average = WeightAverage(model, share=0.1)
    nn.init.ones_(model.weight)
    seen = 100_000
    for _ in range(100):  # 10,000 images in batches of 100, at a point where the half-life is 10,000
        average.update(model, 100, seen)
    assert float(average.model.weight) == pytest.approx(0.5, abs=1e-3)  # type: ignore[arg-type]


def test_a_resumed_log_drops_what_will_be_repeated_and_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    rows = [{"step": step, "loss": 1.0 / step} for step in (10, 20, 30)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"step": 40, "lo')
    with MetricsLog(path, 20) as log:
        assert log.last_loss == pytest.approx(0.05)
        log.write({"step": 25, "loss": 0.04})
    assert [row["step"] for row in read_metrics(path)] == [10, 20, 25]
