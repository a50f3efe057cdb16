"""Where a network looks at what it was told: recomputed beside it, against diffusers with the softmax written out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from synthgen.config.schema import ModelConfig
from synthgen.data.captions import Vocabulary
from synthgen.diffusion.denoiser import Denoiser
from synthgen.diffusion.schedule import build_schedule
from synthgen.explain.images.attention import attention, layers_of, watched
from synthgen.explain.images.probe import Probe
from synthgen.models.images import ImageNetwork, build_network, unet_arguments

CONFIG = ModelConfig(
    channels=(8, 16), norm_groups=4, attention_resolutions=(8,), attention_head_dim=8, conditioning="cross-attention"
)
WORDS = Vocabulary(("red", "blue", "square"), 4)
TABLE = WORDS.table(["red square", "blue"])


@pytest.fixture
def network() -> ImageNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        found = build_network(CONFIG, (8, 8, 1), 2, TABLE)
        torch.nn.init.normal_(found.unet.conv_out.weight)
    return found.eval().requires_grad_(False)


class Written:
    """An attention processor of diffusers that writes the softmax out and keeps it."""

    def __init__(self) -> None:
        self.weights: torch.Tensor | None = None

    def __call__(self, attn: Any, hidden: torch.Tensor, encoder_hidden_states: Any = None, **more: Any) -> torch.Tensor:
        seen = hidden if encoder_hidden_states is None else encoder_hidden_states
        pairs = ((attn.to_q, hidden), (attn.to_k, seen), (attn.to_v, seen))
        query, key, value = (attn.head_to_batch_dim(part(one)) for part, one in pairs)
        weights = attn.get_attention_scores(query, key)
        self.weights = weights.view(len(hidden), attn.heads, *weights.shape[1:])
        output: torch.Tensor = attn.to_out[0](attn.batch_to_head_dim(weights @ value))
        return output


def test_weights_and_output_are_those_of_a_written_out_softmax(network: ImageNetwork) -> None:
    from diffusers import UNet2DConditionModel

    theirs = UNet2DConditionModel(**unet_arguments(CONFIG, (8, 8, 1), 2, TABLE)).eval()
    weights = dict(network.unet.state_dict())
    tables = [weights.pop(f"token_embedding.{part}.weight") for part in ("token", "place")]
    weights |= {"encoder_hid_proj.weight": torch.cat(tables).T, "encoder_hid_proj.bias": torch.zeros(len(tables[0][0]))}
    theirs.load_state_dict(weights)
    processors = {name: Written() for name in theirs.attn_processors}
    theirs.set_attn_processor(dict(processors))  # it takes them out of what it is given
    x, time, labels = torch.randn(3, 1, 8, 8), torch.zeros(3), torch.tensor([0, 1, 2])
    assert network.tokens is not None
    tokens = network.tokens[labels]
    told = torch.cat([functional.one_hot(tokens, 4), torch.eye(4, dtype=torch.long).expand(3, 4, 4)], -1).float()
    seen: dict[str, torch.Tensor] = {}
    before = network(x, time, labels)
    with watched(network, lambda name, found, side: seen.__setitem__(name, found)), torch.no_grad():
        inside = network(x, time, labels)
        expected = theirs(x, time, encoder_hidden_states=told, return_dict=False)[0]
    assert torch.equal(before, inside) and torch.equal(before, network(x, time, labels))
    torch.testing.assert_close(inside, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))
    assert len(seen) == len(processors) == len(layers_of(network)) == 8  # 1 layer down, 1 in the middle, 2 up, 2 kinds
    for name, found in seen.items():
        other = processors[f"{name.removeprefix('unet.')}.processor"].weights
        assert other is not None and found.shape[-1] == (4 if name.endswith("attn2") else found.shape[-2])
        torch.testing.assert_close(found, other, rtol=1e-5, atol=1e-5)


def test_hooks_are_removed_on_an_error(network: ImageNetwork) -> None:
    with pytest.raises(ZeroDivisionError), watched(network, lambda *told: 1 / 0):
        network(torch.randn(1, 1, 8, 8), torch.zeros(1), torch.tensor([0]))
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in network.modules())


def test_every_image_is_told_its_own_words(network: ImageNetwork) -> None:
    denoiser = Denoiser(network, build_schedule("edm"), null_label=2).eval()
    x0 = np.random.default_rng(0).normal(0, 0.5, (3, 1, 8, 8)).astype(np.float32)
    asked = (Probe(denoiser), x0, np.array([0, 1, 0]), ("red square", "blue", "red square"))
    found, looks = attention(*asked, keys=np.arange(3), draws=2, words=WORDS.words)
    assert [one.method for one in found] == ["attention", "attention-to-tokens"]
    assert looks.tokens[0] == ("red", "square", "", "") and looks.tokens[1] == ("blue", "", "", "")
    words = [one for one, told in zip(looks.maps, looks.told, strict=True) if told]
    assert len(words) == 4 and all(one.shape[-1] == 4 for one in words)
    np.testing.assert_allclose(words[0].sum(axis=-1), 1.0, rtol=1e-4)
