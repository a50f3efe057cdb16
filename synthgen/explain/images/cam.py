"""Grad-CAM: of the evidence on blocks of the U-Net, at several noise levels, and of a judge on the finished image."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from captum.attr import LayerGradCam
from torch import nn
from torch.nn import functional

from synthgen.explain.attribution import Attribution
from synthgen.explain.images.judge import Judge, Odds
from synthgen.explain.images.probe import Probe, View

BINS = ("high", "middle", "low")
"""Noise, each a third of the levels of training."""

LEVELS, DRAWS = 2, 4
"""Noise levels of a bin, and noises of a level."""

_DRAW = 1 << 17

QUESTION = (
    "Which places of a block's feature maps push the evidence up or down? Gradient of the evidence times activation, "
    "summed over channels and laid over the image."
)
CAVEAT = (
    "Grad-CAM is coarse (the block's maps have {size} places) and takes the network for linear around the image; its "
    "values do not add up to the evidence."
)
JUDGE_QUESTION = (
    "Which places make a judge, a classifier that knows nothing of the model, read the class in the finished image? "
    "Gradient of its log-odds times activation of its last convolution."
)
JUDGE_CAVEAT = (
    "It explains the judge, not the model that made the image: how an image is read, not why it was drawn. It is "
    "coarse ({size} places)."
)


def blocks_of(network: nn.Module) -> dict[str, nn.Module]:
    """The layers that are looked at: the last ones of the way down at its finest and of the middle, and of the way up.

    Residual layers, not whole blocks: a block may return more than one tensor.
    """
    unet: Any = network.unet
    return {
        "down": unet.down_blocks[0].resnets[-1],
        "middle": unet.mid_block.resnets[-1],
        "up": unet.up_blocks[-1].resnets[-1],
    }


class _Evidence(nn.Module):
    """x_t -> the evidence of each row, (B,); the rival's error is a constant of the caller, because the hooked layer
    must run once a call."""

    def __init__(self, probe: Probe, view: View, labels: torch.Tensor, rivals: torch.Tensor) -> None:
        super().__init__()
        self.denoiser, self.view, self.labels = probe.denoiser, view, labels
        with torch.no_grad():
            self.other = self._error(view.x, rivals)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.other - self._error(x, self.labels)

    def _error(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        view = self.view
        guess = self.denoiser(x, view.alpha, view.sigma, view.time, labels)
        return view.epsilon_error(guess).square().sum(dim=(1, 2, 3))


def evidence_cam(
    probe: Probe,
    x0: np.ndarray,
    labels: np.ndarray,
    rivals: np.ndarray,
    names: tuple[tuple[str, ...], tuple[str, ...]],
    *,
    keys: np.ndarray,
    block: str = "up",
    draws: int = DRAWS,
) -> tuple[Attribution, np.ndarray]:
    """Signed Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391, equations 1 and 2 without the rectifier) of the
    evidence at one block, and the same by noise level, float32 (bins, N, H, W).

    names: of labels and rivals. draws: noises per level, even.
    """
    layer = blocks_of(probe.denoiser.network)[block]
    height, width = x0.shape[2:]
    bins = np.zeros((len(BINS), 2, len(x0), height, width))
    size = ""

    def ask(view: View) -> tuple[np.ndarray, str]:
        told = [torch.from_numpy(side[view.rows]).to(probe.device) for side in (labels, rivals)]
        explained = _Evidence(probe, view, *told)
        found = LayerGradCam(explained, layer).attribute(view.x.clone().requires_grad_(True), attr_dim_summation=True)
        return _laid_over(found, height, width), f"{found.shape[2]} x {found.shape[3]}"

    for level in range(len(BINS) * LEVELS):
        quantile = 1.0 - (level + 0.5) / (len(BINS) * LEVELS)
        for draw in range(draws):
            asked = (x0, keys, quantile, _DRAW + level * draws + draw, ask)
            with torch.enable_grad():
                answers = probe.viewed(*asked, gradients=True)
            size = answers[0][1]
            part = np.concatenate([one for one, _ in answers])
            bins[level // LEVELS, draw % 2] += part * (2.0 / (LEVELS * draws))
    halves = bins.mean(axis=0)
    values = halves.mean(axis=0).astype(np.float32)[:, None]
    found = Attribution(
        f"gradcam-{block}",
        QUESTION,
        values,
        np.full(len(x0), np.nan),
        names[0],
        names[1],
        seeds=(probe.seed,),
        caveat=CAVEAT.format(size=size),
        unit="gradient times activation",
        halves=halves,
        details={"block": block, "noise_levels": len(BINS) * LEVELS, "draws_per_level": draws, "places": size},
    )
    return found, bins.mean(axis=1).astype(np.float32)


def judge_cam(judge: Judge, x0: np.ndarray, labels: np.ndarray, names: tuple[str, ...]) -> Attribution:
    """Signed Grad-CAM of the judge's log-odds of the class on the finished images. names: of the classes."""
    device = next(judge.network.parameters()).device
    told = torch.from_numpy(labels).to(device)
    images = torch.from_numpy(x0).to(device).requires_grad_(True)
    with torch.enable_grad():
        found = LayerGradCam(Odds(judge, told), judge.network.body[-1]).attribute(images, attr_dim_summation=True)
    values = _laid_over(found, *x0.shape[2:]).astype(np.float32)[:, None]
    size = f"{found.shape[2]} x {found.shape[3]}"
    return Attribution(
        "judge",
        JUDGE_QUESTION,
        values,
        np.full(len(x0), np.nan),
        names,
        tuple("any other class" for _ in names),
        (),
        JUDGE_CAVEAT.format(size=size),
        unit="gradient times activation",
        details={"places": size},
    )


def _laid_over(found: torch.Tensor, height: int, width: int) -> np.ndarray:
    """(B, 1, h, w) to float64 (B, H, W), between the places in a line."""
    large = functional.interpolate(found.detach().float(), (height, width), mode="bilinear", align_corners=False)
    return np.asarray(large[:, 0].cpu().double().numpy())
