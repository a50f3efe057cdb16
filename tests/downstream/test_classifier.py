"""The classifier: it learns, follows its seed alone, and comes back from its file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from synthgen.downstream.classifier import (
    ClassifierRecipe,
    _Batches,
    classify,
    load_classifier,
    predict,
    save_classifier,
    train_classifier,
)
from synthgen.errors import StoppedError, SynthgenError, UsageError
from synthgen.models.classifier import build_classifier
from tests.downstream.conftest import QUICK, corners

pytestmark = pytest.mark.usefixtures("one_thread")


def test_it_learns_what_can_be_learned() -> None:
    data, test = corners(200), corners(200, seed=1)
    assert data.labels is not None
    model = train_classifier(data.images, data.labels, 2, recipe=QUICK, device="cpu")
    assert np.mean(predict(model, test.images) == test.labels) > 0.97
    untrained = build_classifier(1, 2).eval()
    assert np.mean(predict(untrained, test.images) == test.labels) < 0.97


def test_the_seed_decides_everything_and_nothing_else_does() -> None:
    data = corners(64)
    assert data.labels is not None
    recipe = replace(QUICK, steps=3, shift=1, horizontal_flip=True)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    models = []
    for seed in (1, 1, 2):
        models.append(train_classifier(data.images, data.labels, 2, recipe=recipe, seed=seed, device="cpu"))
        np.random.seed(len(models))
    assert torch.equal(before, torch.get_rng_state())
    first, again, other = (classify(model, data.images).logits for model in models)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_every_training_takes_the_same_number_of_steps_whatever_the_number_of_images() -> None:
    for count in (5, 64, 300):
        data = corners(count)
        assert data.labels is not None
        recipe = ClassifierRecipe(steps=4, batch_size=32)
        stream = _Batches(data.images, data.labels, recipe, seed=0)
        batches = [stream.next() for _ in range(4)]
        assert all(len(pixels) == len(labels) == 32 for pixels, labels in batches)


def test_one_pass_shows_every_image_once_before_any_comes_again() -> None:
    images = np.arange(70, dtype=np.uint8).reshape(70, 1, 1, 1).repeat(8, 1).repeat(8, 2)
    stream = _Batches(images, np.arange(70), ClassifierRecipe(steps=1, batch_size=32), seed=0)
    seen = np.concatenate([stream.next()[1].numpy() for _ in range(5)])
    assert sorted(seen[:70]) == list(range(70))
    assert sorted(seen[70:140]) == list(range(70))


def test_augmentation_moves_and_mirrors_and_changes_nothing_else() -> None:
    image = np.zeros((1, 9, 9, 1), np.uint8)
    image[0, 4, 3] = 255
    recipe = ClassifierRecipe(steps=1, batch_size=400, shift=2, horizontal_flip=True)
    stream = _Batches(image, np.zeros(1, np.int64), recipe, seed=0)
    pixels = (stream.next()[0] > 0).numpy()[:, 0]
    places = {tuple(int(side) for side in np.argwhere(one)[0]) for one in pixels}
    assert all(one.sum() == 1 for one in pixels)
    assert places == {(row, column) for row in range(2, 7) for column in range(1, 8)}
    plain = _Batches(image, np.zeros(1, np.int64), ClassifierRecipe(steps=1, batch_size=8), seed=0)
    assert (plain.next()[0] > 0).numpy()[:, 0].argmax(axis=None) == 4 * 9 + 3


@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (19, 33, 3), (64, 64, 3), (40, 150, 3)])
def test_any_size_and_mode_goes_through(shape: tuple[int, int, int]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, *shape), dtype=np.uint8)
    recipe = ClassifierRecipe(steps=1, batch_size=4)
    model = train_classifier(images, np.arange(4), 4, recipe=recipe, device="cpu")
    features, logits = classify(model, images)
    assert features.shape == (4, 64) and logits.shape == (4, 4)
    assert np.isfinite(logits).all()


def test_a_classifier_comes_back_from_its_file(tmp_path: Path) -> None:
    data = corners(64)
    assert data.labels is not None
    model = train_classifier(data.images, data.labels, 2, recipe=replace(QUICK, steps=3), device="cpu")
    path = tmp_path / "judge.safetensors"
    save_classifier(path, model, data.class_names, {"seed": 0})
    again, header = load_classifier(path)
    np.testing.assert_array_equal(classify(model, data.images).logits, classify(again, data.images).logits)
    assert header["class_names"] == ["top", "bottom"] and header["card"] == {"seed": 0}
    damaged = bytearray(path.read_bytes())
    damaged[-50] ^= 1
    path.write_bytes(bytes(damaged))
    with pytest.raises(SynthgenError, match="do not match its sha256"):
        load_classifier(path)


def test_what_cannot_be_trained_on_is_refused() -> None:
    data = corners(64)
    assert data.labels is not None
    with pytest.raises(UsageError, match="two images and two classes"):
        train_classifier(data.images[:1], data.labels[:1], 2, recipe=QUICK)
    with pytest.raises(UsageError, match="two images and two classes"):
        train_classifier(data.images, data.labels * 0, 1, recipe=QUICK)
    with pytest.raises(UsageError, match="4 x 4 pixels are too small"):
        train_classifier(data.images[:, :4, :4], data.labels, 2, recipe=QUICK)
    with pytest.raises(SynthgenError, match="do not fit"):
        train_classifier(data.images, data.labels + 1, 2, recipe=QUICK)


def test_a_stop_is_heeded() -> None:
    data, calls = corners(64), iter([False, False, True])
    assert data.labels is not None
    with pytest.raises(StoppedError, match="after 2 of 25 steps"):
        train_classifier(data.images, data.labels, 2, recipe=QUICK, device="cpu", should_stop=lambda: next(calls))
