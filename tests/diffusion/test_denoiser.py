"""The denoiser: every prediction type means the same x0, and the loss is least where it should be."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from synthgen.diffusion.denoiser import Denoiser
from synthgen.diffusion.schedule import build_schedule

PAIRS = [
    ("edm", "edm"),
    ("edm", "epsilon"),
    ("edm", "v"),
    ("edm", "sample"),
    ("linear", "epsilon"),
    ("linear", "v"),
    ("linear", "edm"),
    ("cosine", "v"),
    ("cosine", "sample"),
    ("flow", "v"),
    ("flow", "edm"),
    ("flow", "epsilon"),
]


class Told(nn.Module):
    """A network that answers what it was told, and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = torch.zeros(())
        self.asked: dict[str, Any] = {}

    def forward(self, x: torch.Tensor, time: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        self.asked = {"x": x, "time": time, "labels": labels}
        return self.answer.expand_as(x)


def target(prediction: str, schedule: str, x0: torch.Tensor, eps: torch.Tensor, a: Any, s: Any, sd: float) -> Any:
    """What a perfect network answers, written from the papers and not from the code."""
    if prediction == "epsilon":
        return eps
    if prediction == "sample":
        return x0
    if prediction == "v":
        return eps - x0 if schedule == "flow" else a * eps - s * x0
    z, ratio = (a * x0 + s * eps) / a, s / a  # EDM, table 1
    skip, out = sd**2 / (ratio**2 + sd**2), ratio * sd / (ratio**2 + sd**2).sqrt()
    return (x0 - skip * z) / out


@pytest.mark.parametrize(("schedule", "prediction"), PAIRS)
def test_a_perfect_network_gives_x0_exactly(schedule: str, prediction: str) -> None:
    torch.manual_seed(0)
    network = Told()
    denoiser = Denoiser(network, build_schedule(schedule), prediction=prediction, sigma_data=0.6)
    x0, eps = torch.rand(64, 1, 4, 4) * 2 - 1, torch.randn(64, 1, 4, 4)
    alpha, sigma, time = denoiser.schedule.draw((torch.arange(64) + 0.5) / 64)
    keep = sigma / alpha < 20  # beyond, float32 cannot hold x0 inside x
    a, s = alpha.view(-1, 1, 1, 1), sigma.view(-1, 1, 1, 1)
    network.answer = target(prediction, schedule, x0, eps, a, s, 0.6)
    found = denoiser(a * x0 + s * eps, alpha, sigma, time)
    torch.testing.assert_close(found[keep], x0[keep], atol=2e-4, rtol=1e-3)


@pytest.mark.parametrize("weight", ["edm", "min-snr", "uniform"])
@pytest.mark.parametrize(("schedule", "prediction"), PAIRS)
def test_the_loss_of_a_perfect_network_is_zero(schedule: str, prediction: str, weight: str) -> None:
    torch.manual_seed(1)
    network = Told()
    denoiser = Denoiser(network, build_schedule(schedule), prediction=prediction, sigma_data=0.6)
    x0, eps, uniform = torch.rand(32, 1, 4, 4) * 2 - 1, torch.randn(32, 1, 4, 4), torch.linspace(0.1, 0.9, 32)
    alpha, sigma, _ = denoiser.schedule.draw(uniform)
    a, s = alpha.view(-1, 1, 1, 1), sigma.view(-1, 1, 1, 1)
    network.answer = target(prediction, schedule, x0, eps, a, s, 0.6)
    assert float(denoiser.loss(x0, None, uniform, eps, weight).max()) < 1e-4
    network.answer = network.answer + 0.5
    assert float(denoiser.loss(x0, None, uniform, eps, weight).min()) > 0


@pytest.mark.parametrize(("prediction", "expected"), [("epsilon", "min/snr"), ("v", "min/(snr+1)"), ("sample", "min")])
def test_min_snr_weights_are_those_of_the_paper(prediction: str, expected: str) -> None:
    """Hang et al. 2023, section 3.4: min(snr, 5) over 1, snr and snr + 1 for x0, epsilon and v."""
    network = Told()
    denoiser = Denoiser(network, build_schedule("cosine"), prediction=prediction)
    x0, eps, uniform = torch.zeros(9, 1, 2, 2), torch.zeros(9, 1, 2, 2), torch.linspace(0.1, 0.9, 9)
    alpha, sigma, _ = denoiser.schedule.draw(uniform)
    snr = (alpha / sigma) ** 2
    capped = snr.clamp(max=5)
    network.answer = torch.ones(())  # x = x0 = eps = 0: the raw error is 1 everywhere
    weights = {"min": capped, "min/snr": capped / snr, "min/(snr+1)": capped / (snr + 1)}[expected]
    torch.testing.assert_close(denoiser.loss(x0, None, uniform, eps, "min-snr"), weights, rtol=1e-4, atol=1e-6)


def test_the_edm_weight_makes_every_level_count_alike() -> None:
    """Karras et al. 2022, section 5: weight times c_out^2 is 1, so the raw error is unweighted."""
    network = Told()
    denoiser = Denoiser(network, build_schedule("edm"), sigma_data=0.5)
    x0, uniform = torch.zeros(9, 1, 2, 2), torch.linspace(0.05, 0.95, 9)
    network.answer = torch.ones(())
    loss = denoiser.loss(x0, None, uniform, torch.zeros_like(x0), "edm")
    torch.testing.assert_close(loss, torch.ones(9), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("schedule", ["edm", "linear", "cosine"])
def test_the_network_sees_unit_scale(schedule: str) -> None:
    torch.manual_seed(0)
    network = Told()
    prediction = "edm" if schedule == "edm" else "v"
    denoiser = Denoiser(network, build_schedule(schedule), prediction=prediction, sigma_data=1.0)
    x0, eps = torch.randn(512, 1, 8, 8), torch.randn(512, 1, 8, 8)
    denoiser.loss(x0, None, (torch.arange(512) + 0.5) / 512, eps)
    scale = network.asked["x"].reshape(16, -1).std(1)  # 2,048 numbers for each sixteenth of the noise levels
    assert float(scale.min()) > 0.9 and float(scale.max()) < 1.1


def test_no_label_means_the_null_label() -> None:
    network = Told()
    denoiser = Denoiser(network, build_schedule("edm"), null_label=10)
    level = (torch.tensor(1.0), torch.tensor(0.5), torch.tensor(0.1))
    denoiser(torch.zeros(3, 1, 2, 2), *level)
    assert network.asked["labels"].tolist() == [10, 10, 10]
    denoiser(torch.zeros(3, 1, 2, 2), *level, torch.tensor([1, 2, 3]))
    assert network.asked["labels"].tolist() == [1, 2, 3]


def test_a_flow_velocity_points_from_data_to_noise() -> None:
    """x0 + v must be eps: the straight path of rectified flow, whatever the level."""
    p, q = build_schedule("flow").velocity(torch.tensor(0.3), torch.tensor(0.7))
    assert (float(p), float(q)) == (1.0, 1.0)
