"""Fine-tuning: a run on images whose weights start as those of a trained model, wherever they fit.

What the networks share is taken by name and shape, what they are told by its name: class 3 of one may be class 5 of the
other. What only the new one has (a class, a word, a layer more) is learned from the beginning. A new attention layer
starts by adding nothing, so that a model which is given one answers as it did before.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from synthgen.checkpoints import load_checkpoint, read_header
from synthgen.config.schema import StartConfig
from synthgen.data.captions import Vocabulary
from synthgen.errors import UsageError
from synthgen.generation.headers import check_weights, parse_header
from synthgen.models.cross_attention import CrossAttention
from synthgen.models.unet import Attention

LEAST = 0.1
"""Share of a network's parameters below which two networks have nothing in common but names."""


class Taken(NamedTuple):
    """What a network took over. share: of its parameters, in (0, 1]; new: the names of tensors that it did not."""

    share: float
    new: tuple[str, ...]

    def __str__(self) -> str:
        if not self.new:
            return "all weights taken over"
        parts = list(dict.fromkeys(_layer(name) for name in self.new))
        more = f" and {len(parts) - 3} more" if len(parts) > 3 else ""
        return f"{self.share:.0%} of the weights taken over; learned anew: {', '.join(parts[:3])}{more}"


def _layer(name: str) -> str:
    """What a tensor belongs to: an attention layer as a whole, else the module that holds it."""
    before, attention, rest = name.partition("attentions.")
    return before + attention + rest.split(".")[0] if attention else name.rpartition(".")[0] or name


def begin_from(
    path: Path, settings: StartConfig, network: nn.Module, classes: Sequence[str], vocabulary: Vocabulary | None
) -> Taken:
    """Give `network` the weights of the checkpoint at `path` that have its names and shapes.

    classes, vocabulary: what the network is told; None for one that learns no captions.
    Raises: UsageError when it is not the checkpoint in `settings`, or when hardly anything of it fits.
    """
    header, tensors = load_checkpoint(path)
    known = parse_header(path, header)
    check_weights(path, known, tensors)
    if header["sha256"] != settings.sha256:
        raise UsageError(f"{path} is not the checkpoint that start.sha256 names")
    own = network.state_dict()
    mine, theirs = _rows(classes, vocabulary), _rows(known.class_names, known.words)
    fitting, parts = {}, {}
    for name, tensor in own.items():
        given = tensors.get(name)
        if given is not None and name in mine and mine[name] != theirs[name] and given.shape[1:] == tensor.shape[1:]:
            parts[name] = _by_name(tensor, mine[name], given, theirs[name])
        elif given is not None and given.shape == tensor.shape:
            fitting[name] = given
    taken = sum(own[name].numel() for name in fitting) + sum(
        own[name][0].numel() * rows for name, (_, rows) in parts.items()
    )
    share = taken / sum(tensor.numel() for tensor in own.values())
    if share < LEAST:
        raise UsageError(
            f"{share:.1%} of the network to train fits the weights of {path}: nothing would be gained",
            "leave model.channels and model.layers_per_block as it has them",
        )
    network.load_state_dict({**fitting, **{name: rows for name, (rows, _) in parts.items()}}, strict=False)
    whole = {name for name, (rows, found) in parts.items() if found == len(rows)}
    new = tuple(name for name in own if name not in fitting and name not in whole)
    _silence_new_attention(network, set(new))
    return Taken(share, new)


def check_unseen(path: Path, fingerprint: str, held_out: int) -> None:
    """Raise UsageError when the model at `path` learned from images that are now to be held out.

    fingerprint: of the images that training and held-out ones are taken from; of other images nothing is known. Of the
    same ones fewer are always a part of more (`ImageData.hold_out`).
    """
    header = read_header(path)
    seen = held_out - int(header["data"].get("held_out", 0))
    if header["data"]["fingerprint"] == fingerprint and seen > 0:
        share = header["config"]["data"].get("validation", 0.0)
        raise UsageError(
            f"{path} learned from {seen:,} of the {held_out:,} images that are to be held out: it would be judged by "
            "what it knows",
            f"--set data.validation={share:g} holds out what it never saw",
        )


def _rows(classes: Sequence[str], vocabulary: Vocabulary | None) -> dict[str, list[str | None]]:
    """What each row of an embedding says, by the name of the tensor; None: nothing."""
    words = classes if vocabulary is None else vocabulary.words
    return {"unet.class_embedding.weight": [*classes, None], "unet.token_embedding.token.weight": [None, *words]}


def _by_name(
    own: torch.Tensor, mine: list[str | None], given: torch.Tensor, theirs: list[str | None]
) -> tuple[torch.Tensor, int]:
    """`own` with the rows of `given` that say the same, and how many these are."""
    place = {name: row for row, name in enumerate(theirs)}
    found = [(row, place[name]) for row, name in enumerate(mine) if name in place]
    rows = own.detach().cpu().clone()
    rows[[row for row, _ in found]] = given[[row for _, row in found]].to(rows.dtype)
    return rows, len(found)


def _silence_new_attention(network: nn.Module, new: set[str]) -> None:
    """Attention layers that took nothing over add nothing to what they see until they have learned to."""
    for name, module in network.named_modules():
        if isinstance(module, (Attention, CrossAttention)) and all(
            f"{name}.{inner}" in new for inner, _ in module.named_parameters()
        ):
            last = module.to_out[0] if isinstance(module, Attention) else module.proj_out
            for parameter in last.parameters():
                nn.init.zeros_(parameter)
