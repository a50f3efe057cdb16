"""Evidence against a denoiser whose evidence is known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from synthgen.diffusion.denoiser import Denoiser
from synthgen.diffusion.schedule import build_schedule
from synthgen.errors import StoppedError, UsageError
from synthgen.explain.attribution import rank_correlation
from synthgen.explain.images.evidence import evidence

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


def test_planted_corner_gets_all_the_evidence_and_the_known_amount():
    labels = np.array([2, 0])
    result = evidence(oracle(), images(labels), labels, NAMES, keys=np.arange(2), levels=8, draws=2)
    corner = result.values[:, 0, :3, :3]
    assert np.allclose(corner.sum(axis=(1, 2)), result.scalars, rtol=1e-4)
    assert (corner > 0).all() and np.abs(result.values[:, 0, 3:]).max() < 1e-9
    # With eps - eps_hat = -(x0 - x0_hat) / sigma the class's own error is 0 and the rival's is |T_y - T_r|^2 / sigma^2.
    quantiles = (torch.arange(8) + 0.5) / 8
    weight = float((1 / build_schedule("edm").draw(quantiles)[1].double().square()).mean())
    assert result.rivals == ("faint", "faint")  # the nearest other class, not the first one
    assert result.scalars == pytest.approx([9 * 1.1**2 * weight, 9 * 0.3**2 * weight], rel=1e-4)


def test_rival_is_no_class_where_there_is_no_other():
    labels = np.array([0])
    denoiser = oracle(null_label=3)
    result = evidence(denoiser, images(labels), labels, ["only"], keys=np.arange(1), levels=4, draws=2)
    assert result.rivals == ("no class",)


def test_evidence_does_not_depend_on_which_samples_stand_beside():
    labels = np.array([0, 1, 2])
    together = evidence(oracle(), images(labels), labels, NAMES, keys=np.arange(3), levels=4, draws=2)
    alone = evidence(oracle(), images(labels[2:]), labels[2:], NAMES, keys=np.array([2]), levels=4, draws=2)
    assert np.allclose(together.values[2], alone.values[0], atol=1e-6)


def test_stability_check_tells_signal_from_noise():
    labels = np.array([0, 2])
    good = evidence(oracle(), images(labels), labels, NAMES, keys=np.arange(2), levels=4, draws=2)
    assert good.checks[0].value > 0.5 and good.checks[0].sentence.startswith("stable")

    class Guessing(Oracle):
        def forward(self, x: torch.Tensor, time: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
            return torch.randn(x.shape, generator=self.generator)

        generator = torch.Generator().manual_seed(0)

    guessing = Denoiser(Guessing(), build_schedule("edm"), prediction="sample", null_label=3)
    bad = evidence(guessing, images(labels), labels, NAMES, keys=np.arange(2), levels=4, draws=2)
    assert abs(bad.checks[0].value) < 0.3 and "noise" in bad.checks[0].sentence


def test_brightness_check_has_teeth():
    class Brightness(Oracle):
        """Every label's error is the brightness itself, scaled by the label."""

        def forward(self, x: torch.Tensor, time: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
            assert labels is not None
            return self.pictures[labels] + (labels + 1.0).view(-1, 1, 1, 1) * (1.0 + self.pictures[:1])

    denoiser = Denoiser(Brightness(), build_schedule("edm"), prediction="sample", null_label=3)
    labels = np.array([0, 0])
    result = evidence(denoiser, images(labels), labels, NAMES, keys=np.arange(2), levels=4, draws=2)
    assert result.checks[1].value > 0.7 and result.checks[1].sentence.startswith("no more than brightness")


def test_unconditional_model_is_refused_and_a_stop_is_obeyed():
    labels = np.array([0])
    with pytest.raises(UsageError, match="unconditional"):
        evidence(oracle(null_label=None), images(labels), labels, (), keys=np.arange(1))
    with pytest.raises(StoppedError):
        evidence(oracle(), images(labels), labels, NAMES, keys=np.arange(1), should_stop=lambda: True)


def test_rank_correlation_is_spearmans():
    """Textbook example with ties, computed by hand: ranks (1, 2.5, 2.5, 4) against (1, 3, 2, 4)."""
    assert rank_correlation(np.array([1, 5, 5, 9]), np.array([0, 7, 3, 8])) == pytest.approx(4.5 / np.sqrt(4.5 * 5))
    assert rank_correlation(np.arange(5), -np.arange(5)) == pytest.approx(-1)
    assert np.isnan(rank_correlation(np.ones(3), np.arange(3)))
