"""Fine-tuning: a run on images whose weights start as those of a trained model, wherever they fit.

What the networks share is taken by name and shape; what only the new one has (another number of classes, a layer more)
is learned from the beginning. A new attention layer starts by adding nothing, so that a model which is given one
answers as it did before.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from torch import nn

from synthgen.checkpoints import load_checkpoint
from synthgen.config.schema import StartConfig
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


def begin_from(path: Path, settings: StartConfig, network: nn.Module) -> Taken:
    """Give `network` the weights of the checkpoint at `path` that have its names and shapes.

    Raises: UsageError when it is not the checkpoint in `settings`, or when hardly anything of it fits.
    """
    header, tensors = load_checkpoint(path)
    check_weights(path, parse_header(path, header), tensors)
    if header["sha256"] != settings.sha256:
        raise UsageError(f"{path} is not the checkpoint that start.sha256 names")
    own = network.state_dict()
    fitting = {name: tensors[name] for name in own if name in tensors and tensors[name].shape == own[name].shape}
    share = sum(own[name].numel() for name in fitting) / sum(tensor.numel() for tensor in own.values())
    if share < LEAST:
        raise UsageError(
            f"{share:.1%} of the network to train fits the weights of {path}: nothing would be gained",
            "leave model.channels and model.layers_per_block as it has them",
        )
    network.load_state_dict(fitting, strict=False)
    new = tuple(name for name in own if name not in fitting)
    _silence_new_attention(network, set(new))
    return Taken(share, new)


def _silence_new_attention(network: nn.Module, new: set[str]) -> None:
    """Attention layers that took nothing over add nothing to what they see until they have learned to."""
    for name, module in network.named_modules():
        if isinstance(module, (Attention, CrossAttention)) and all(
            f"{name}.{inner}" in new for inner, _ in module.named_parameters()
        ):
            last = module.to_out[0] if isinstance(module, Attention) else module.proj_out
            for parameter in last.parameters():
                nn.init.zeros_(parameter)
