"""Classifiers by name and by the user's own factory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from synthgen.downstream.classifier import ClassifierRecipe, fit, logits_of
from synthgen.downstream.factories import BUILT_IN, resolve_classifier
from synthgen.errors import UsageError
from tests.downstream.conftest import corners

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("name", list(BUILT_IN))
def test_every_classifier_of_ours_learns(name: str) -> None:
    data, test = corners(100), corners(100, seed=1)
    assert data.labels is not None
    model = resolve_classifier(name).build((1, 8, 8), 2, seed=0)
    recipe = ClassifierRecipe(steps=40, batch_size=32)
    fit(model, data.images, data.labels, 2, recipe=recipe, device="cpu")
    assert np.mean(logits_of(model, test.images).argmax(axis=1) == test.labels) > 0.95


def test_the_seed_decides_the_weights_and_leaves_torch_alone() -> None:
    before = torch.get_rng_state()
    first, again, other = (
        resolve_classifier("logistic").build((3, 8, 8), 4, seed)[1].weight  # type: ignore[index]
        for seed in (0, 0, 1)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(before, torch.get_rng_state())


MINE = """
import torch
from torch import nn

def tiny(image_shape, num_classes):
    channels, height, width = image_shape
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(channels * height * width, num_classes))

def wrong(image_shape, num_classes):
    return nn.Flatten()

def broken(image_shape):
    return nn.Flatten()

def nothing(image_shape, num_classes):
    return None
"""


def test_a_users_own_by_file_and_by_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_nets.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    by_file, by_module = resolve_classifier("my_nets.py:tiny"), resolve_classifier("my_nets:tiny")
    assert by_file.version == by_module.version != ""
    data = corners(60)
    assert data.labels is not None
    recipe, logits = ClassifierRecipe(steps=5, batch_size=16), []
    for classifier in (by_file, by_module):  # the same seed, the same result, dropout and all
        model = classifier.build((1, 8, 8), 2, seed=3)
        logits.append(
            logits_of(fit(model, data.images, data.labels, 2, recipe=recipe, seed=3, device="cpu"), data.images)
        )
    np.testing.assert_array_equal(*logits)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ccn", r"no 'ccn' \(did you mean 'cnn'"),
        ("nets.py:tiny", "there is no file nets.py"),
        ("no_such_module:f", "cannot import no_such_module"),
        ("my_nets:tyny", r"has no function 'tyny' \(did you mean 'tiny'"),
        ("my_nets:wrong", r"gives \(2, 64\), not logits of shape \(2, 5\)"),
        ("my_nets:broken", "failed: TypeError"),
        ("my_nets:nothing", "it returned NoneType"),
    ],
)
def test_what_cannot_be_used_is_refused(name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_nets.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=said):
        resolve_classifier(name).build((1, 8, 8), 5, seed=0)
