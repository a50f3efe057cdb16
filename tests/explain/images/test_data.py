"""What an explanation of images says of the data: influence, what gives images away, what they teach a classifier."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from synthgen.data.dataset import ImageData
from synthgen.diffusion.denoiser import Denoiser
from synthgen.downstream.classifier import ClassifierRecipe
from synthgen.errors import StoppedError
from synthgen.evaluation.domain import WEIGHTS, extractor_from_file
from synthgen.explain.images import augmentation, influence, page_data
from synthgen.explain.images.augmentation import augmented
from synthgen.explain.images.context import Context
from synthgen.explain.images.features import image_features
from synthgen.explain.images.giveaway import drawn_like, told_apart
from synthgen.explain.images.probe import Probe
from synthgen.explain.images.run import Explanation, Request
from synthgen.explain.images.sources import Real, encoded
from synthgen.explain.images.summary import augmentation_part, detector_part, influence_part
from synthgen.generation.model import Model, load
from synthgen.html import escape
from tests.conftest import two_corners

pytestmark = pytest.mark.usefixtures("one_thread")

NAMES = ("top", "bottom")


@pytest.fixture(scope="module")
def model(tiny_run: Path) -> Model:
    return load(tiny_run, device="cpu")


def corners(count: int, seed: int = 0) -> ImageData:
    images, labels = two_corners(count, seed)
    return ImageData(images, labels, NAMES, "corners", "train")


def asked(model: Model, images: np.ndarray, labels: np.ndarray, train: ImageData, held: ImageData) -> Context:
    keys = np.arange(len(images))
    context = Context(model, encoded(model, images), labels, keys, tuple(map(str, keys)), model.recipe())
    context.__dict__["real"] = Real(train, held)
    return context


def test_scores_are_those_of_ridge_regression() -> None:
    """Against least squares with rows added for the penalty."""
    random = np.random.default_rng(0)
    base, query = random.normal(size=(5, 30)) + 3, random.normal(size=(2, 30)) + 3
    rows = base - base.mean(axis=0)
    stacked = np.vstack([rows.T, np.sqrt(0.1 * np.square(rows).sum() / 5) * np.eye(5)])
    targets = np.vstack([rows, query - base.mean(axis=0)])
    found = [np.linalg.lstsq(stacked, np.append(row, np.zeros(5)), rcond=None)[0] for row in targets]
    expected = np.stack(found[5:]) / np.diag(np.stack(found[:5]))
    np.testing.assert_allclose(influence.kernel(base, 0.1)(query), expected, atol=1e-10)
    np.testing.assert_allclose(np.diag(influence.kernel(base, 0.1)(base)), 1.0)


def gradient(denoiser: Denoiser, probe: Probe, image: np.ndarray, label: int) -> np.ndarray:
    """All weights' gradient of the mean squared output over the noises, one noise at a time."""
    network = denoiser.network
    for weight in network.parameters():
        weight.requires_grad_(True)
    views, total = influence._views(probe, image.shape), 0.0
    count = len(views.x)
    with torch.enable_grad():
        for place in range(count):
            alpha, sigma = views.alpha[place], views.sigma[place]
            x = alpha * torch.from_numpy(image)[None] + sigma * views.x[place : place + 1]
            scaled = denoiser.conversion(alpha, sigma).scale * x
            output = network(scaled, views.time[place : place + 1], torch.tensor([label]))
            total = total + output.square().mean() / count
        slopes = torch.autograd.grad(total, list(network.parameters()))
    network.requires_grad_(False)
    return torch.cat([slope.flatten() for slope in slopes]).double().numpy()


def test_sketches_keep_the_angles_of_gradients_and_leave_the_network_alone(model: Model) -> None:
    images, labels = two_corners(6)
    probe, x0 = Probe(model.denoiser), encoded(model, images)
    before = {name: value.clone() for name, value in model.denoiser.state_dict().items()}
    flags = [one.requires_grad for one in model.denoiser.parameters()]
    found = np.stack(list(influence.sketches(probe, x0, labels))).astype(np.float64)
    assert [one.requires_grad for one in model.denoiser.parameters()] == flags
    assert all(one.grad is None for one in model.denoiser.parameters())
    assert all(torch.equal(before[name], value) for name, value in model.denoiser.state_dict().items())
    whole = np.stack([gradient(model.denoiser, probe, *one) for one in zip(x0, labels, strict=True)])
    lengths = [np.linalg.norm(one, axis=1) for one in (found, whole)]
    angles = [one @ one.T / np.outer(length, length) for one, length in zip((found, whole), lengths, strict=True)]
    assert np.abs(angles[0] - angles[1]).max() < 5 / np.sqrt(influence.SKETCH)
    np.testing.assert_allclose(lengths[0], lengths[1], rtol=0.1)


def test_a_copy_of_a_training_image_is_found_and_flagged_and_new_ones_are_not(model: Model) -> None:
    train, new = corners(120), corners(83, seed=9)
    images = np.concatenate([train.images[[5, 44]], new.images[:2]])
    labels = np.concatenate([train.labels[[5, 44]], new.labels[:2]])
    held = new.select(np.arange(2, 83))
    context = asked(model, images, labels, train, held)
    context.__dict__["extractor"] = extractor_from_file(WEIGHTS / "mnist.safetensors", device="cpu")
    found = influence.find(context)
    assert found.index[:2, 0].tolist() == [5, 44] and found.scores[:2, 0].min() > 0.98 > 0.9 > found.scores[2:, 0].max()
    assert found.flagged.tolist() == [True, True, False, False]
    assert found.sentence.startswith("2 of 4 images owe more to one training image than chance explains")
    assert found.works and f"{found.found} had their original on top" in found.sentence
    assert (found.compared, found.whole, found.held_out) == (120, 120, 80)
    whole = Explanation(context, Request(), influence=found)
    part, piece = influence_part(whole), page_data.influence_piece(whole)
    assert [image["flagged"] for image in part["images"]] == found.flagged.tolist() and part["experimental"]
    assert piece.count("<img ") == 4 * 6 and piece.count("too much of one") == 2


def test_altered_copies_are_moved_and_dimmed() -> None:
    image = np.zeros((1, 3, 28, 1), np.uint8)
    image[0, 1, 1] = 200
    found = influence.altered(image)
    assert found[0, 1, 2, 0] == 180 and found.sum(dtype=int) == 180


def test_properties_of_drawn_figures_are_the_known_ones() -> None:
    images = np.zeros((3, 28, 28, 1), np.uint8)
    images[0, 10:18, 10:18] = 255  # a square, then a ring, then two bars
    images[1, 8:20, 8:20] = 255
    images[1, 11:17, 11:17] = 0
    images[2, 5:7, 4:24] = images[2, 20:22, 4:24] = 255
    names, values = image_features(images)
    of = {name: values[:, place] for place, name in enumerate(names)}
    assert of["bright figures"].tolist() == [1, 1, 2] and of["holes"].tolist() == [0, 1, 0]
    assert of["thickest stroke"].tolist() == [4, 2, 1]
    np.testing.assert_allclose(of["mean brightness"], [64 / 784, 108 / 784, 80 / 784])
    np.testing.assert_allclose(of["share of white pixels"], of["mean brightness"])
    np.testing.assert_allclose(of["left and right alike"], 1.0)
    np.testing.assert_allclose(of["centre, from the left"], 13.5 / 28)
    assert of["upright over level edges"][2] < 0 and abs(of["slant of the light"][0]) < 1e-12
    bands = sum(of[f"share of {name} detail"] for name in ("coarse", "middling", "fine"))
    np.testing.assert_allclose(bands, 1.0)
    assert np.isfinite(image_features(np.zeros((2, 8, 8, 3), np.uint8))[1]).all()


def test_a_planted_flaw_gives_images_away_and_none_does_not() -> None:
    """Images whose grain is gone are told apart by their grain; two halves of one set are not."""
    random = np.random.default_rng(0)
    images = random.normal(128, 30, (110, 8, 8, 1)).clip(0, 255).astype(np.uint8)
    same = told_apart(images, refits=19)
    assert not same.found and same.sentence.startswith("No better than chance")
    flawed = images.copy()
    flawed[55:, :, 1::2] = flawed[55:, :, ::2]  # every other column is a copy: no edges there
    found = told_apart(flawed, refits=19)
    assert found.found and found.detection.auc > 0.95
    assert {"upright over level edges", "mean edge", "share of fine detail"} & set(found.detection.found)
    place, chance, why = found.worst(1)[0]
    assert place >= 55 and chance > 0.5 and why
    whole = Explanation(None, Request(), giveaway=found)  # type: ignore[arg-type]
    part, piece = detector_part(whole), page_data.detector_piece(whole)
    assert set(part["found"]) == set(found.detection.found) and part["images_of_each_side"] == 55
    assert found.detection.found[0] in piece and piece.count("<img ") == 2 * 8 + 6
    real, fake = found.ends(found.detection.names.index("upright over level edges"), 3)
    assert (real < 55).all() and (fake >= 55).all()


def test_samples_are_drawn_of_the_same_classes(model: Model) -> None:
    real = corners(7).select(np.array([0, 2, 4, 1, 6]))
    context = asked(model, real.images[:1], real.labels[:1], real, real)
    found = drawn_like(context, real, 2)
    assert found.shape == (10, 8, 8, 1)
    top = found[:, :4, :4, 0].mean(axis=(1, 2)) > found[:, 4:, 4:, 0].mean(axis=(1, 2))
    assert top.tolist() == [True, True, True, False, True] * 2


def test_what_augmentation_changes_is_shared_out(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real images of which a third bear a wrong label: right synthetic ones beside them mend that."""
    random = np.random.default_rng(0)
    train, held = corners(24), corners(60, seed=9)
    wrong = np.where(random.random(24) < 0.35, 1 - train.labels, train.labels)
    train = ImageData(train.images, wrong, NAMES, "corners", "train")
    context = asked(model, held.images[:2], held.labels[:2], train, held)
    monkeypatch.setattr(augmentation, "TIMES", 1)
    recipe = ClassifierRecipe(steps=30, batch_size=16)
    found = augmented(context, recipe)
    assert (found.real, found.fake, found.tested) == (24, 24, 60) and found.maps.shape == (2, 2, 8, 8, 8)
    gains = found.odds[1] - found.odds[0]
    assert (np.diff(gains) <= 0).all()
    assert found.gap < 1e-6 and found.moved > 0 and found.chance > 0
    assert "held-out images right" in found.sentence
    whole = Explanation(context, Request(), change=found)
    part, piece = augmentation_part(whole), page_data.augmentation_piece(whole)
    assert [one["class_name"] for one in part["shown"]] == list(found.names) and part["real_images"] == 24
    assert piece.count("<img ") == 8 * 4 and escape(found.sentence) in piece
    stopped = asked(model, held.images[:2], held.labels[:2], train, held)
    stopped.should_stop = lambda: True
    with pytest.raises(StoppedError):
        augmented(stopped, recipe)


def test_how_far_maps_moved_is_held_to_two_trainings_alike() -> None:
    shares = np.zeros((2, 2, 1, 4))
    shares[0] += 1.0
    shares[1] -= 1.0
    assert augmentation._distances(shares) == (2.0, 0.0)
    shares[:, 1] += 2.0  # real: 1, 3; both: -1, 1
    moved, chance = augmentation._distances(shares)
    size = np.sqrt((1 + 9 + 1 + 1) / 4)
    assert moved == pytest.approx((2 + 0 + 4 + 2) / 4 / size) and chance == pytest.approx(2 / size)
