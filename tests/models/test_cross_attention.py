"""Our U-Net with cross-attention against diffusers' `UNet2DConditionModel`: the same weights, the same output."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional

from synthgen.config.schema import ModelConfig
from synthgen.data.captions import TokenTable, Vocabulary
from synthgen.errors import UsageError
from synthgen.models.images import ImageNetwork, build_network, unet_arguments
from synthgen.models.inference import inference_form

WORDS = Vocabulary(("red", "blue", "square"), 4).table(["red square", "blue"])
CASES: list[tuple[dict[str, Any], tuple[int, int, int], TokenTable | None]] = [
    (
        {"channels": (16, 32), "attention_resolutions": (7, 14), "attention_head_dim": 8, "layers_per_block": 2},
        (14, 14, 3),
        WORDS,
    ),
    (
        {"channels": (16, 24, 32), "attention_resolutions": (8,), "attention_head_dim": 8, "norm_groups": 4},
        (16, 24, 3),
        None,
    ),
    ({"channels": (16, 32), "dropout": 0.5}, (8, 8, 1), WORDS),
]


def both(settings: dict[str, Any], shape: tuple[int, int, int], table: TokenTable | None) -> tuple[Any, ImageNetwork]:
    """diffusers' network and ours, with the same weights."""
    from diffusers import UNet2DConditionModel

    config = ModelConfig.model_validate({**settings, "conditioning": "cross-attention"})
    torch.manual_seed(0)
    theirs = UNet2DConditionModel(**unet_arguments(config, shape, 2, table))
    torch.nn.init.normal_(theirs.conv_out.weight)
    ours = build_network(config, shape, 2, table)
    weights = dict(theirs.state_dict())
    wide, bias = (weights.pop(f"encoder_hid_proj.{part}") for part in ("weight", "bias"))
    assert ours.tokens is not None
    length = ours.tokens.shape[1]
    weights["token_embedding.token.weight"] = wide[:, :-length].T.contiguous()
    weights["token_embedding.place.weight"] = (wide[:, -length:].T + bias).contiguous()
    ours.unet.load_state_dict(weights)
    return theirs, ours


def asked(theirs: Any, ours: ImageNetwork, x: torch.Tensor, time: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """diffusers' answer, told tokens as two ones among zeros."""
    assert ours.tokens is not None
    tokens = ours.tokens[labels]
    count, length = tokens.shape
    which = functional.one_hot(tokens, theirs.config.encoder_hid_dim - length)
    place = torch.eye(length, dtype=which.dtype).expand(count, -1, -1)
    told = torch.cat([which, place], dim=-1).float()
    found: torch.Tensor = theirs(x, time, encoder_hidden_states=told, return_dict=False)[0]
    return found


@pytest.mark.parametrize(("settings", "shape", "table"), CASES)
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_equal_to_diffusers(
    settings: dict[str, Any], shape: tuple[int, int, int], table: TokenTable | None, precision: torch.dtype
) -> None:
    theirs, ours = both(settings, shape, table)
    theirs.eval(), ours.eval()
    x, time = torch.randn(3, shape[2], *shape[:2]), torch.tensor([-1.5, 0.3, 700.0])
    labels = torch.tensor([0, 1, 2])
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == torch.bfloat16):
        expected, found = asked(theirs, ours, x, time, labels), ours(x, time, labels)
    scale = float(expected.float().abs().max())
    limit = 1e-5 if precision == torch.float32 else 0.03  # bf16 rounds what the two add up in another order
    assert float((found.float() - expected.float()).abs().max()) <= limit * scale


def test_gradients_are_those_of_diffusers() -> None:
    theirs, ours = both(*CASES[1])
    x, time, labels = torch.randn(2, 3, 16, 24), torch.tensor([0.1, 0.9]), torch.tensor([0, 2])
    asked(theirs, ours, x, time, labels).square().sum().backward()
    ours(x, time, labels).square().sum().backward()
    mine = dict(ours.unet.named_parameters())
    for name, one in theirs.named_parameters():
        if not name.startswith("encoder_hid_proj"):
            largest = float(one.grad.abs().max())
            torch.testing.assert_close(mine[name].grad, one.grad, rtol=1e-3, atol=1e-4 * largest + 1e-6, msg=name)
    wide = theirs.encoder_hid_proj.weight.grad.T
    gradients = [part.weight.grad for part in (ours.unet.token_embedding.token, ours.unet.token_embedding.place)]
    torch.testing.assert_close(torch.cat(gradients), wide, rtol=1e-3, atol=1e-4 * float(wide.abs().max()))


def test_the_order_of_words_counts() -> None:
    _, ours = both(*CASES[0])
    torch.manual_seed(1)
    x, time = torch.randn(1, 3, 14, 14).expand(2, -1, -1, -1), torch.zeros(2)
    table = torch.tensor([[1, 2, 0, 0], [2, 1, 0, 0]])
    first, second = ImageNetwork(ours.unet, 1, table).eval()(x, time, torch.tensor([0, 1]))
    assert not torch.allclose(first, second)


def test_the_form_for_sampling_computes_the_same() -> None:
    _, ours = both(*CASES[0])
    form = inference_form(ours.eval(), torch.float32, torch.device("cpu"))
    assert form is not None
    x, time, labels = torch.randn(3, 3, 14, 14), torch.zeros(3), torch.tensor([0, 1, 2])
    with torch.no_grad():
        torch.testing.assert_close(form(x, time, labels), ours(x, time, labels), rtol=1e-4, atol=1e-4)


def test_patches() -> None:
    config = ModelConfig(channels=(8, 16), patch_size=2, attention_head_dim=8, conditioning="cross-attention")
    network = build_network(config, (16, 16, 1), 2)
    assert network(torch.zeros(2, 1, 16, 16), torch.zeros(2), torch.tensor([0, 2])).shape == (2, 1, 16, 16)


def test_tokens_are_no_weights() -> None:
    _, ours = both(*CASES[2])
    assert not [name for name in ours.state_dict() if name.startswith("tokens")]


def test_there_must_be_something_to_look_at() -> None:
    config = ModelConfig(conditioning="cross-attention")
    with pytest.raises(UsageError, match="neither captions nor classes"):
        build_network(config, (28, 28, 1), 0)
    with pytest.raises(UsageError, match="attention_head_dim 24 does not divide the 64 channels"):
        build_network(ModelConfig(conditioning="cross-attention", attention_head_dim=24), (28, 28, 1), 2)
