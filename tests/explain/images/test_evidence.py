"""Evidence against a denoiser whose evidence is known in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from synthgen.diffusion.denoiser import Denoiser
from synthgen.diffusion.schedule import build_schedule
from synthgen.errors import StoppedError, UsageError
from synthgen.explain.attribution import Attribution, Target, rank_correlation
from synthgen.explain.audit import failed_check
from synthgen.explain.images.deletion import Deleter
from synthgen.explain.images.evidence import class_errors, evidence, nearest_rivals
from synthgen.explain.images.probe import Probe

NAMES = ("blank", "faint", "strong")


def templates() -> torch.Tensor:
    """(4, 1, 8, 8): what each class, and at last no class, looks like; they differ in the upper left corner only."""
    shared = torch.linspace(-0.8, 0.8, 64).view(1, 8, 8)
    pictures = shared.repeat(4, 1, 1, 1)
    for label, value in enumerate((-0.5, -0.2, 0.9, 0.1)):
        pictures[label, 0, :3, :3] = value
    return pictures


class Oracle(nn.Module):
    """A network that answers with the class's template (prediction `sample`): its posterior mean is exact."""

    def __init__(self) -> None:
        super().__init__()
        self.pictures = nn.Parameter(templates(), requires_grad=False)

    def forward(self, x: torch.Tensor, time: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        assert labels is not None
        return self.pictures[labels]


def oracle(null_label: int | None = 3) -> Denoiser:
    return Denoiser(Oracle(), build_schedule("edm"), prediction="sample", null_label=null_label)


def images(labels: np.ndarray) -> np.ndarray:
    return templates()[labels].numpy()


def asked(denoiser: Denoiser, labels: np.ndarray, names: Sequence[str] = NAMES, **more: Any) -> Attribution:
    """The evidence map of the classes' own templates."""
    probe, keys = Probe(denoiser), np.arange(len(labels))
    rivals = nearest_rivals(probe, images(labels), keys, labels, len(names))
    return evidence(probe, images(labels), labels, rivals, names, keys=keys, levels=8, draws=2, **more)[0]


def test_planted_corner_gets_all_the_evidence_and_the_known_amount():
    labels = np.array([2, 0])
    result = asked(oracle(), labels)
    corner = result.values[:, 0, :3, :3]
    assert np.allclose(corner.sum(axis=(1, 2)), result.scalars, rtol=1e-4)
    assert (corner > 0).all() and np.abs(result.values[:, 0, 3:]).max() < 1e-9
    # With eps - eps_hat = -(x0 - x0_hat) / sigma the class's own error is 0 and the rival's is |T_y - T_r|^2 / sigma^2.
    quantiles = (torch.arange(8) + 0.5) / 8
    weight = float((1 / build_schedule("edm").draw(quantiles)[1].double().square()).mean())
    assert result.rivals == ("faint", "faint")  # the nearest other class, not the first one
    assert result.scalars == pytest.approx([9 * 1.1**2 * weight, 9 * 0.3**2 * weight], rel=1e-4)
    assert result.details["sum_gap"] < 1e-4 * result.scalars.max()


def test_information_is_the_squared_difference_of_the_two_predictions():
    """Here the own error is 0, so that it equals the evidence; with changed sides, evidence turns its sign."""
    labels, rivals, keys = np.array([2]), np.array([0]), np.arange(1)
    probe = Probe(oracle())
    both = evidence(probe, images(labels), labels, rivals, NAMES, keys=keys, levels=4, draws=2)
    turned = evidence(probe, images(labels), rivals, labels, NAMES, keys=keys, levels=4, draws=2)
    assert np.allclose(both[0].values, both[1].values, rtol=1e-5)
    assert np.allclose(turned[0].values, -both[0].values, rtol=1e-5)
    assert np.allclose(turned[1].values, both[1].values, rtol=1e-5) and both[1].values.min() >= 0


def test_rival_is_no_class_where_there_is_no_other():
    assert asked(oracle(), np.array([0]), ["only"]).rivals == ("no class",)


def test_the_likeliest_class_of_a_given_image_is_its_own():
    labels = np.array([1, 2, 0])
    assert class_errors(Probe(oracle()), images(labels), np.arange(3), 3).argmin(axis=0).tolist() == labels.tolist()


def test_evidence_does_not_depend_on_which_samples_stand_beside():
    together = asked(oracle(), np.array([0, 1, 2]))
    labels, keys = np.array([2]), np.array([2])
    alone = evidence(Probe(oracle()), images(labels), labels, np.array([1]), NAMES, keys=keys, levels=8, draws=2)[0]
    assert np.allclose(together.values[2], alone.values[0], atol=1e-6)


def test_unconditional_model_is_refused_and_a_stop_is_obeyed():
    labels, keys = np.array([0]), np.arange(1)
    with pytest.raises(UsageError, match="unconditional"):
        evidence(Probe(oracle(null_label=None)), images(labels), labels, labels, (), keys=keys)
    with pytest.raises(StoppedError):
        evidence(Probe(oracle(), should_stop=lambda: True), images(labels), labels, labels, NAMES, keys=keys)


class Independent(Oracle):
    """Independent normal pixels of deviation 0.3: the best guess is 0.09 x / (0.09 + sigma^2); x comes scaled to 1."""

    def forward(self, x: torch.Tensor, time: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        sigma = torch.exp(4 * time).view(-1, 1, 1, 1)
        return 0.09 * x * (1 + sigma.square()).sqrt() / (0.09 + sigma.square())


def test_hidden_pixels_are_drawn_by_the_law_and_all_others_stay():
    """Independent pixels of deviation 0.3: what is drawn has it, too, whatever is known beside it."""
    denoiser = Denoiser(Independent(), build_schedule("edm"), prediction="sample", sigma_data=1.0, null_label=3)
    count = 200
    x0 = np.full((count, 1, 8, 8), 0.25, np.float32)
    hidden = np.zeros((count, 8, 8), bool)
    hidden[:, :4] = True
    found = Probe(denoiser).regenerated(x0, np.arange(count), hidden, np.zeros(count, np.int64))
    assert np.allclose(found[:, 0, 4:], 0.25, atol=1e-6)
    assert found[:, 0, :4].std() == pytest.approx(0.3, rel=0.05)
    again = Probe(denoiser).regenerated(x0, np.arange(count), hidden, np.ones(count, np.int64))
    assert np.abs(np.corrcoef(found[:, 0, :4].ravel(), again[:, 0, :4].ravel())[0, 1]) < 0.05


CORNERS = np.zeros((6, 8, 8))
CORNERS[:, :4, :4] = 1.0


def counted(x0: np.ndarray) -> Target:
    """One of which it is known what it rests on: how near the upper left corner is to what it was."""
    return Target(
        "of the target",
        lambda images, rows: np.exp(-np.abs(images - x0[rows])[:, 0, :4, :4].mean(axis=(1, 2)).astype(np.float64)),
    )


def test_deletion_and_insertion_believe_the_planted_corner_and_neither_chance_nor_brightness():
    denoiser = Denoiser(Independent(), build_schedule("edm"), prediction="sample", sigma_data=1.0, null_label=3)
    random = np.random.default_rng(0)
    x0 = random.normal(0, 0.3, (6, 1, 8, 8)).astype(np.float32)
    deleter = Deleter(Probe(denoiser), x0, np.arange(6), counted(x0))
    planted, kept = deleter(CORNERS)
    assert planted.p < 0.05 and kept.p < 0.05
    assert all(margin > 2 * error for margin, error in planted.margins.values())
    for seed in range(4):
        noise = np.random.default_rng(seed).normal(size=CORNERS.shape)
        chance, left = deleter(noise)
        assert chance.p > 0.05 or left.p > 0.05
    bright, _ = deleter(deleter.plain["brightness"])
    assert bright.margins["brightness"] == (0.0, 0.0) and not bright.margins["brightness"][0] > 0
    assert failed_check(kept.check("x")) is False


def test_random_choices_hide_as_many_pixels_in_the_same_shapes():
    deleter = object.__new__(Deleter)
    deleter.seed = 1
    masks = deleter.masks(np.random.default_rng(2).normal(size=(3, 8, 8)))
    assert (masks.sum(axis=(2, 3)) == [13, 22]).all()
    moved = deleter.moved(masks)
    repeated = np.tile(masks, (1, 20, 1, 1))
    assert (moved.sum(axis=(2, 3)) == repeated.sum(axis=(2, 3))).all() and not (moved == repeated).all()

    def edges(one: np.ndarray) -> np.ndarray:  # on the torus, round which the moved ones go
        return sum((one != np.roll(one, 1, axis=axis)).sum(axis=(2, 3)) for axis in (2, 3))

    assert (edges(moved) == edges(repeated)).all()


def test_rank_correlation_is_spearmans():
    """Textbook example with ties, computed by hand: ranks (1, 2.5, 2.5, 4) against (1, 3, 2, 4)."""
    assert rank_correlation(np.array([1, 5, 5, 9]), np.array([0, 7, 3, 8])) == pytest.approx(4.5 / np.sqrt(4.5 * 5))
    assert rank_correlation(np.arange(5), -np.arange(5)) == pytest.approx(-1)
    assert np.isnan(rank_correlation(np.ones(3), np.arange(3)))
