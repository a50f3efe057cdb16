"""The denoiser: from a network's raw output to the posterior mean of the clean data, and the loss that trains it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

from synthgen.diffusion.schedule import NoiseSchedule

Network = Callable[[torch.Tensor, torch.Tensor, torch.Tensor | None], torch.Tensor]
"""(x (B, ...), time (B,), labels (B,) or None) -> raw output shaped like x."""


class Conversion(NamedTuple):
    """x0_hat = skip * x_t + out * raw, with the network fed scale * x_t. Each float32 (B, 1, ...)."""

    scale: torch.Tensor
    skip: torch.Tensor
    out: torch.Tensor


class Denoiser(nn.Module):
    """x0_hat(x_t) for one network, schedule and prediction type.

    Args:
        network: see `Network`.
        schedule: the noise process.
        prediction: `epsilon`, `v`, `sample`, or `edm` (preconditioning of Karras et al. 2022, table 1).
        sigma_data: standard deviation of the encoded data, computed from it.
        null_label: index of the label that means "none", or None for an unconditional network.
        precision: dtype in which the network computes; x_t, x0_hat and the loss stay float32.
    """

    def __init__(
        self,
        network: nn.Module,
        schedule: NoiseSchedule,
        *,
        prediction: str = "edm",
        sigma_data: float = 0.5,
        null_label: int | None = None,
        precision: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.network = network
        self.schedule = schedule
        self.prediction = prediction
        self.sigma_data = sigma_data
        self.null_label = null_label
        self.precision = precision

    def conversion(self, alpha: torch.Tensor, sigma: torch.Tensor) -> Conversion:
        """The linear map from raw output to x0_hat at a noise level; alpha, sigma float32, any shape."""
        if self.prediction == "edm":  # table 1 of Karras et al. in z = x / alpha, with noise sigma / alpha
            ratio = sigma / alpha
            total = ratio.square() + self.sigma_data**2
            scale = 1 / (alpha * total.sqrt())
            return Conversion(scale, self.sigma_data**2 / (alpha * total), ratio * self.sigma_data / total.sqrt())
        scale = torch.ones_like(alpha)
        if self.schedule.scales_input:
            scale = (alpha.square() * self.sigma_data**2 + sigma.square()).rsqrt()
        if self.prediction == "epsilon":  # x0 = (x - sigma eps) / alpha
            return Conversion(scale, 1 / alpha, -sigma / alpha)
        if self.prediction == "v":  # solve x = a x0 + s eps, v = p eps - q x0 for x0
            p, q = self.schedule.velocity(alpha, sigma)
            determinant = alpha * p + sigma * q
            return Conversion(scale, p / determinant, -sigma / determinant)
        return Conversion(scale, torch.zeros_like(alpha), torch.ones_like(alpha))

    def raw(self, x: torch.Tensor, time: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        """The network's answer in float32, computed in `precision`. x is already scaled."""
        enabled = self.precision != torch.float32
        with torch.autocast(x.device.type, dtype=self.precision if enabled else torch.bfloat16, enabled=enabled):
            output: torch.Tensor = self.network(x, time, labels)
        return output.float()

    def forward(
        self,
        x: torch.Tensor,
        alpha: torch.Tensor,
        sigma: torch.Tensor,
        time: torch.Tensor,
        labels: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Posterior mean of x0 given x_t.

        Args:
            x: float32 (B, ...). alpha, sigma, time: float32 (B,) or scalar tensors.
            labels: int64 (B,) or None; None means the null label for a conditional network.
        Returns: float32, shaped like x. With `epsilon` it is clamped to [-1, 1]: dividing by a small alpha
            multiplies the network's error, and the mean of data in [-1, 1] cannot lie outside.
        """
        alpha, sigma = _like(alpha, x), _like(sigma, x)
        map_ = self.conversion(alpha, sigma)
        x0 = map_.skip * x + map_.out * self.raw(map_.scale * x, time.expand(x.shape[0]), self._labels(labels, x))
        return x0.clamp(-1.0, 1.0) if self.prediction == "epsilon" else x0

    def loss(
        self,
        x0: torch.Tensor,
        labels: torch.Tensor | None,
        uniform: torch.Tensor,
        noise: torch.Tensor,
        weight: str = "edm",
        gamma: float = 5.0,
        cells: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Weighted squared error per sample, float32 (B,).

        Args:
            x0: float32 (B, ...). labels: int64 (B,) with nulls already in place, or None.
            uniform: float32 (B,) in [0, 1), turned into noise levels by the schedule.
            noise: standard normal, shaped like x0.
            weight: `edm` (Karras et al. 2022, section 5), `min-snr` (Hang et al. 2023, eq. 4, with cap `gamma`),
                `uniform` (plain error of the raw prediction).
            cells: which entries of x0 count, bool, or how much, float32, shaped like x0; None: all alike. A sample
                without any has the loss 0.
        """
        alpha, sigma, time = self.schedule.draw(uniform)
        alpha, sigma = _like(alpha, x0), _like(sigma, x0)
        x = alpha * x0 + sigma * noise
        map_ = self.conversion(alpha, sigma)
        raw = self.raw(map_.scale * x, time, self._labels(labels, x0))
        # The target is the raw output that would make x0_hat exact; for epsilon that is the noise itself.
        target = noise if self.prediction == "epsilon" else (x0 - map_.skip * x) / map_.out
        factor = self._weight(weight, gamma, alpha, sigma, map_.out)
        error = (factor * (raw - target).square()).flatten(1)
        if cells is None:
            return error.mean(1)
        counted = cells.flatten(1).to(error.dtype)
        return (error * counted).sum(1) / counted.sum(1).clamp(min=1)

    def _weight(
        self, weight: str, gamma: float, alpha: torch.Tensor, sigma: torch.Tensor, out: torch.Tensor
    ) -> torch.Tensor:
        """Weight of the raw error: weight of the x0 error times (d x0_hat / d raw)^2."""
        if weight == "uniform":
            return torch.ones_like(alpha)
        ratio = (sigma / alpha).square()
        if weight == "edm":
            in_x0 = (ratio + self.sigma_data**2) / (ratio * self.sigma_data**2)
        else:
            in_x0 = (1 / ratio).clamp(max=gamma)
        return in_x0 * out.square()

    def _labels(self, labels: torch.Tensor | None, x: torch.Tensor) -> torch.Tensor | None:
        if self.null_label is None:
            return None
        if labels is None:
            return torch.full((x.shape[0],), self.null_label, dtype=torch.long, device=x.device)
        return labels


def _like(value: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Shape a scalar or (B,) so that it multiplies x."""
    return value if value.ndim == 0 else value.view(-1, *(1,) * (x.ndim - 1))
