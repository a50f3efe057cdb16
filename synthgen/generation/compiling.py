"""What samples are drawn with: the denoiser, with its network in the form that is fastest on the device."""

from __future__ import annotations

import copy

import torch

from synthgen.diffusion.denoiser import Denoiser
from synthgen.models.inference import inference_form


def for_sampling(denoiser: Denoiser, device: torch.device) -> Denoiser:
    """A denoiser that gives the same answers up to rounding, faster; the given one stays as it is.

    It holds weights of its own: training may go on. The denoiser itself where its network is not known.
    """
    form = inference_form(denoiser.network, denoiser.precision, device)
    if form is None:
        return denoiser
    twin = copy.copy(denoiser)
    twin._modules = {**denoiser._modules, "network": form}
    twin.precision = torch.float32  # the form casts by itself: no autocast around it
    return twin.eval()
