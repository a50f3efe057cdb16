"""Prompts: a model that learned from captions, asked for others than those that it saw."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from synthgen.data.captions import MOST_CAPTIONS, plain_caption
from synthgen.errors import UsageError
from synthgen.models.images import ImageNetwork

if TYPE_CHECKING:
    from synthgen.generation.model import Model


def told(model: Model, prompts: str | Sequence[str]) -> Model:
    """The same model with these prompts for its classes: sample k shows prompt k % K of the K that were given.

    Weights are shared; what labels say to the network is all that changes. Raises UsageError for a model without
    captions, a word that it does not know, too many words, and a prompt that is given twice.
    """
    if model.vocabulary is None:
        known = "name a class, or leave" if model.class_names else "leave"
        raise UsageError(
            "this model did not learn from captions: it understands no prompt",
            f"{known} the prompt out; docs/prompts.md says how a model learns captions",
        )
    wanted = [prompts] if isinstance(prompts, str) else list(prompts)
    if not 1 <= len(wanted) <= MOST_CAPTIONS:
        raise UsageError(f"between 1 and {MOST_CAPTIONS:,} prompts can be given, not {len(wanted):,}")
    table = model.vocabulary.table(wanted)
    names = tuple(map(plain_caption, wanted))
    twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if twice is not None:
        raise UsageError(f"the prompt '{twice:.60}' is given twice", "give it once: prompts take turns")
    network = model.denoiser.network
    assert isinstance(network, ImageNetwork)
    tokens = torch.from_numpy(table.rows).to(model.device)
    denoiser = copy.copy(model.denoiser)
    again = ImageNetwork(network.unet, network.patch_size, tokens).eval()
    denoiser._modules = {**model.denoiser._modules, "network": again}
    denoiser.null_label = len(names)
    return type(model)(model.path, model.header, denoiser, model.codec, model.device, names)
