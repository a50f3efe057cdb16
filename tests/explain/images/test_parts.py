"""The parts of an explanation of images beside its evidence: attention, Grad-CAM, judge, shares, switches, paths."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from synthgen.config.loading import load_config
from synthgen.config.schema import ModelConfig
from synthgen.data.dataset import ImageData
from synthgen.diffusion.denoiser import Denoiser
from synthgen.diffusion.schedule import build_schedule
from synthgen.errors import StoppedError, UsageError
from synthgen.explain.audit import completeness, failed_check, verdict
from synthgen.explain.images import page_looks
from synthgen.explain.images.attention import attention, clusters, coarser, layers_of, softmax_weights, watched
from synthgen.explain.images.cam import blocks_of, evidence_cam
from synthgen.explain.images.context import Context
from synthgen.explain.images.influence import sketches
from synthgen.explain.images.integrated import integrated
from synthgen.explain.images.journey import _means_of, principal
from synthgen.explain.images.judge import Judge, build_judge, margins
from synthgen.explain.images.neighbours import find, nearest
from synthgen.explain.images.probe import Probe
from synthgen.explain.images.sharing import squares
from synthgen.explain.images.sources import Real, encoded, given_images, real_images
from synthgen.generation.model import load
from synthgen.models.classifier import build_classifier
from synthgen.models.images import build_network
from synthgen.models.unet import Attention
from synthgen.rendering import png_bytes
from synthgen.reporting import NullReporter
from synthgen.stopping import never_stop
from synthgen.training.run import train
from tests.conftest import TINY, two_corners

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def attending() -> Denoiser:
    """A network with attention at both resolutions, its last layer not zero."""
    config = ModelConfig(channels=(8, 16), norm_groups=4, attention_resolutions=(8, 4), attention_head_dim=8)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build_network(config, (8, 8, 1), 2)
        torch.nn.init.normal_(network.unet.conv_out.weight)
    return Denoiser(network, build_schedule("edm"), null_label=2).eval().requires_grad_(False)


def explicit(layer: Attention, x: torch.Tensor) -> torch.Tensor:
    """What the layer puts out, with the softmax written out."""
    batch, channels = x.shape[:2]
    pixels = layer.group_norm(x.flatten(2)).transpose(1, 2)
    value = layer.to_v(pixels).view(batch, -1, layer.heads, channels // layer.heads).transpose(1, 2)
    seen = (softmax_weights(layer, x) @ value).transpose(1, 2).reshape(batch, -1, channels)
    return layer.to_out[0](seen).transpose(1, 2).reshape(x.shape) + x


def test_attention_equals_an_explicit_softmax_and_changes_nothing(attending: Denoiser) -> None:
    x, time, labels = torch.randn(2, 1, 8, 8), torch.zeros(2), torch.tensor([0, 1])
    before = attending.network(x, time, labels)
    inputs: dict[str, torch.Tensor] = {}
    for name, layer in layers_of(attending.network).items():
        layer.register_forward_hook(lambda module, told, output, name=name: inputs.__setitem__(name, (told[0], output)))
    seen: dict[str, torch.Tensor] = {}
    with watched(attending.network, lambda name, weights, side: seen.__setitem__(name, weights)):
        inside = attending.network(x, time, labels)
    assert torch.equal(before, inside) and torch.equal(before, attending.network(x, time, labels))
    assert len(seen) == len(layers_of(attending.network)) >= 4
    for name, layer in layers_of(attending.network).items():
        given, output = inputs[name]
        torch.testing.assert_close(explicit(layer, given), output, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(seen[name].sum(-1), torch.ones_like(seen[name].sum(-1)))


def test_hooks_are_removed_on_an_error(attending: Denoiser) -> None:
    with pytest.raises(ZeroDivisionError), watched(attending.network, lambda *told: 1 / 0):
        attending.network(torch.randn(1, 1, 8, 8), torch.zeros(1), torch.tensor([0]))
    assert not any(layer._forward_hooks for layer in layers_of(attending.network).values())


def test_other_methods_leave_nothing_behind_on_an_error(attending: Denoiser) -> None:
    """Grad-CAM, the paths of the middle block, gradients of training images: hooks and flags are as they were."""
    network, x0 = attending.network, np.zeros((2, 1, 8, 8), np.float32)
    labels, middle = np.array([0, 1]), blocks_of(network)["middle"]
    calls: list[int] = []

    def broken(*told: object) -> None:
        calls.append(1)
        if len(calls) == 2:  # the rival is asked first, without gradients
            raise ZeroDivisionError

    hook = network.unet.conv_out.register_forward_hook(broken)
    with pytest.raises(ZeroDivisionError):
        names = (("a", "b"), ("b", "a"))
        evidence_cam(Probe(attending), x0, labels, labels[::-1].copy(), names, keys=np.arange(2), block="middle")
    hook.remove()
    with pytest.raises(ZeroDivisionError), _means_of(network.unet.mid_block, []):
        raise ZeroDivisionError
    with pytest.raises(StoppedError):
        list(sketches(Probe(attending, should_stop=lambda: True), x0, labels))
    assert not middle._forward_hooks and not middle._forward_pre_hooks and not network.unet.mid_block._forward_hooks
    assert not any(one.requires_grad for one in network.parameters())


def test_the_attention_map_is_the_weight_that_places_get(attending: Denoiser) -> None:
    x0 = np.random.default_rng(0).normal(0, 0.5, (3, 1, 8, 8)).astype(np.float32)
    labels = np.array([0, 1, 0])
    (found,), looks = attention(Probe(attending), x0, labels, ("a", "b", "a"), keys=np.arange(3), draws=2)
    assert found.values.shape == (3, 1, 8, 8)
    np.testing.assert_allclose(found.values.mean(axis=(1, 2, 3)), 1.0, rtol=1e-5)  # even shares
    assert {one.shape[1:] for one in looks.maps} == {(3, 1, 64, 64), (3, 2, 16, 16)}
    assert all((one > 0).all() and (one <= 1 + 1e-6).all() for one in looks.entropy)


def test_gradcam_is_gradient_times_activation_written_out(attending: Denoiser) -> None:
    """Against automatic differentiation by hand, at one noise level of each bin."""
    x0 = np.random.default_rng(1).normal(0, 0.5, (2, 1, 8, 8)).astype(np.float32)
    labels, rivals, keys = np.array([0, 1]), np.array([1, 0]), np.arange(2)
    probe, names = Probe(attending), (("a", "b"), ("b", "a"))
    found, bins = evidence_cam(probe, x0, labels, rivals, names, keys=keys, block="middle", draws=2)
    assert bins.shape == (3, 2, 8, 8) and found.values.min() < 0 < found.values.max()
    np.testing.assert_allclose(bins.mean(axis=0), found.values[:, 0], rtol=1e-4, atol=1e-6)
    layer, total = blocks_of(attending.network)["middle"], np.zeros((2, 8, 8))
    from synthgen.explain.images import cam

    for level in range(6):
        for draw in range(2):

            def by_hand(view: object) -> np.ndarray:
                kept: list[torch.Tensor] = []
                hook = layer.register_forward_hook(lambda module, told, output: kept.append(output.requires_grad_()))
                told = torch.from_numpy(labels), torch.from_numpy(rivals)
                errors = [
                    view.epsilon_error(attending(view.x, view.alpha, view.sigma, view.time, one))
                    .square()
                    .sum((1, 2, 3))
                    for one in told
                ]
                hook.remove()
                (slope,) = torch.autograd.grad((errors[1].detach() - errors[0]).sum(), kept[0])
                one = (slope.mean(dim=(2, 3), keepdim=True) * kept[0]).sum(dim=1, keepdim=True)
                return functional.interpolate(one, (8, 8), mode="bilinear")[:, 0].detach().numpy()

            quantile = 1.0 - (level + 0.5) / 6
            number = cam._DRAW + level * 2 + draw
            total += probe.viewed(x0, keys, quantile, number, by_hand, gradients=True)[0] / 12
    np.testing.assert_allclose(found.values[:, 0], total, rtol=1e-3, atol=1e-6)


def test_places_that_look_at_the_same_things_are_one_cluster() -> None:
    weights = np.full((16, 16), 0.01 / 16)
    groups = np.array([0] * 7 + [1] * 5 + [2] * 3 + [3])
    for place, group in enumerate(groups):
        weights[place, groups == group] += 0.99 / (groups == group).sum()
    order = np.random.default_rng(0).permutation(16)
    np.testing.assert_array_equal(clusters(weights[order][:, order]), groups[order])


def test_the_page_holds_the_weights_of_every_place(attending: Denoiser) -> None:
    x0 = np.random.default_rng(0).normal(0, 0.5, (3, 1, 8, 8)).astype(np.float32)
    _, looks = attention(Probe(attending), x0, np.array([0, 1, 0]), ("a", "b", "a"), keys=np.arange(3), draws=2)
    keys = [(layer, head) for layer, maps in enumerate(looks.maps) for head in range(maps.shape[2])]
    island = page_looks._island(looks, 2, keys)
    assert len(island["weights"]) == 2 and len(island["weights"][0]) == 3 and len(island["weights"][0][0]) == len(keys)
    for place, (layer, head) in enumerate(keys):
        one = island["weights"][1][2][place]
        read = np.frombuffer(base64.b64decode(one["b"]), np.uint8).astype(float) / 255
        expected = looks.maps[layer][1, 2, head]
        np.testing.assert_allclose(one["top"] * read.reshape(expected.shape) ** 2, expected, atol=one["top"] / 200)
    joined = page_looks.joined_places(np.tile(np.arange(196.0), (196, 1)), (14, 14))
    assert joined.reshape(196, 49)[0, 0] == np.arange(196).reshape(14, 14)[:2, :2].sum()


class _Linear(torch.nn.Module):
    """Logits that are weighted sums of pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(2, 64, generator=torch.Generator().manual_seed(0)) / 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1) @ self.weight.T


def test_integrated_gradients_of_a_line_are_its_parts(tiny_run: Path) -> None:
    """Of a linear judge of two classes: (w_y - w_r)(x - x'), mean over beginnings; they add up to its log-odds."""
    model, network = load(tiny_run, device="cpu"), _Linear()
    judge = Judge(network, np.array([0, 1]), 1.0, 1, "")
    x0, labels = encoded(model, two_corners(3)[0]), np.array([0, 1, 0])
    context = Context(model, x0, labels, np.arange(3), ("a", "b", "c"), model.recipe())
    found = integrated(context, judge, draws=2)
    rows, hidden = np.repeat(np.arange(3), 2), np.ones((6, 8, 8), bool)
    starts = context.probe.regenerated(x0[rows], context.keys[rows], hidden, (1 << 13) + np.tile([0, 1], 3))
    slope = (network.weight[0] - network.weight[1]).detach().numpy().reshape(1, 8, 8)
    for row, label in enumerate(labels):
        expected = (1 if label == 0 else -1) * slope * (x0[row] - starts[rows == row]).mean(axis=0)
        np.testing.assert_allclose(found.values[row], expected, atol=1e-5)
    np.testing.assert_allclose(found.maps.sum(axis=(1, 2)), found.scalars, atol=1e-4)
    assert found.details["completeness_gap"] < 1e-4


def test_a_map_that_does_not_add_up_is_said_so() -> None:
    assert not failed_check(completeness(0.01, 1.0, "log-odds"))
    bad = completeness(0.2, 1.0, "log-odds")
    assert failed_check(bad) and verdict([bad]).startswith("With care: its parts do not add up")


def test_the_judge_counts_in_the_models_classes_and_is_none_without_them() -> None:
    network = build_classifier(1, 3)
    judge = build_judge(network, ("x", "y", "z"), ("z", "x"), (0.9, 100), None, "test images")
    assert judge is not None and judge.check.sentence.startswith("the judge knows its subject")
    x = np.random.default_rng(0).normal(0, 0.5, (4, 1, 8, 8)).astype(np.float32)
    with torch.inference_mode():
        logits = network(torch.from_numpy(x).clamp(-1, 1))[:, [2, 0]]
    np.testing.assert_allclose(judge.log_p(x), logits.double().log_softmax(1).numpy(), atol=1e-5)
    odds = margins(judge.log_p(x), np.array([0, 0, 1, 1]))
    difference = (logits[:, 0] - logits[:, 1]).numpy()
    np.testing.assert_allclose(odds, difference * [1, 1, -1, -1], atol=1e-5)
    assert not np.allclose(judge.shuffled(0).log_p(x), judge.log_p(x))
    assert build_judge(network, ("x", "y", "z"), ("z", "w"), (0.9, 100), None, "") is None
    guessing = build_judge(network, ("x", "y", "z"), ("z", "x"), (0.51, 100), None, "test images")
    assert guessing is not None and guessing.check.sentence.startswith("the judge knows no better than chance")


def test_squares_cover_every_pixel_once() -> None:
    place = squares(28, 30)
    assert sorted(np.unique(place)) == list(range(16)) and np.bincount(place.ravel()).min() >= 49
    assert len(np.unique(squares(2, 8))) == 8


def test_principal_components_are_those_of_a_plane() -> None:
    random = np.random.default_rng(0)
    plane, basis = random.normal(size=(5, 4, 2)) * [3.0, 1.0], np.linalg.qr(random.normal(size=(6, 2)))[0]
    paths, shares = principal(plane @ basis.T + 7.0)
    assert sum(shares) == pytest.approx(1.0)
    gaps = [np.linalg.norm(one[:, :, None] - one[:, None], axis=-1) for one in (paths, plane)]
    np.testing.assert_allclose(gaps[0], gaps[1])


def test_nearest_are_the_nearest() -> None:
    base = np.arange(10.0)[:, None] ** 2
    index, distance = nearest(np.array([[17.0], [80.0]]), base, 3)
    assert index.tolist() == [[4, 3, 5], [9, 8, 7]] and distance[0].tolist() == [1.0, 8.0, 8.0]


def test_copies_are_flagged_and_new_images_are_not(tiny_run: Path) -> None:
    model, names = load(tiny_run, device="cpu"), ("top", "bottom")
    images, labels = two_corners()
    new, of_new = two_corners(203, seed=9)
    asked = encoded(model, np.concatenate([images[:3], new[:3]]))
    context = Context(model, asked, None, np.arange(6), tuple("abcdef"), model.recipe())
    learned = ImageData(images, labels, names, "corners", "train")
    context.__dict__["real"] = Real(learned, ImageData(new[3:], of_new[3:], names, "corners", "test"))
    found = find(context)
    assert found.flagged.tolist() == [True] * 3 + [False] * 3
    assert found.sentence.startswith("3 of 6 images lie nearer")
    assert found.index[:3, 0].tolist() == found.twins[:3].tolist() == [0, 1, 2] and found.distances[:3, 0].max() < 1e-3


def test_given_files_are_brought_to_the_models_size(tiny_run: Path, tmp_path: Path) -> None:
    model = load(tiny_run, device="cpu")
    for name, size in (("b.png", 8), ("a.png", 16)):
        (tmp_path / name).write_bytes(png_bytes(np.full((size, size, 3), 255, np.uint8)))
    (tmp_path / "notes.txt").write_text("no image")
    for paths in ([str(tmp_path)], [str(tmp_path / "*.png")], [str(tmp_path / "a.png"), str(tmp_path / "b.png")]):
        x0, names = given_images(model, paths)
        assert x0.shape == (2, 1, 8, 8) and names == ("a.png", "b.png") and (x0 == 1.0).all()
    with pytest.raises(UsageError, match=r"notes\.txt cannot be read as an image"):
        given_images(model, [str(tmp_path / "notes.txt")])
    with pytest.raises(UsageError, match="there is no image"):
        given_images(model, [str(tmp_path / "*.jpg")])


def test_attention_to_tokens_is_watched_as_well() -> None:
    """A network that looks at tokens: weights equal those of an explicit softmax, and its own answer stays the same."""
    config = ModelConfig(
        channels=(8, 16),
        norm_groups=4,
        attention_resolutions=(4,),
        attention_head_dim=8,
        conditioning="cross-attention",
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build_network(config, (8, 8, 1), 2)
        torch.nn.init.normal_(network.unet.conv_out.weight)
    denoiser = Denoiser(network, build_schedule("edm"), null_label=2).eval().requires_grad_(False)
    x, time, labels = torch.randn(2, 1, 8, 8), torch.zeros(2), torch.tensor([0, 1])
    before, layers = network(x, time, labels), layers_of(network)
    inputs: dict[str, tuple[torch.Tensor, ...]] = {}
    hooks = [
        layer.register_forward_hook(lambda module, told, output, name=name: inputs.__setitem__(name, (*told, output)))
        for name, layer in layers.items()
    ]
    seen: dict[str, torch.Tensor] = {}
    with watched(network, lambda name, weights, side: seen.__setitem__(name, weights)):
        assert torch.equal(before, network(x, time, labels))
    for hook in hooks:
        hook.remove()
    assert len(seen) == len(layers) >= 4 and not any(part._forward_pre_hooks for part in network.modules())
    for name, layer in layers.items():
        given, looked, output = inputs[name]
        value = layer.to_v(looked).view(2, looked.shape[1], layer.heads, -1).transpose(1, 2)
        out = layer.to_out[0]((seen[name] @ value).transpose(1, 2).reshape(given.shape))
        torch.testing.assert_close(out, output, atol=1e-5, rtol=1e-5)
    x0 = x.numpy().clip(-1, 1)
    found, looks = attention(
        Probe(denoiser), x0, np.array([0, 1]), ("a", "b"), keys=np.arange(2), draws=2, words=("one", "two")
    )
    assert [one.method for one in found] == ["attention", "attention-to-tokens"]
    assert looks.tokens == (("one", ""), ("two", "")) and sorted(set(looks.told)) == [False, True]
    np.testing.assert_allclose(found[1].maps.mean(axis=(1, 2)), 1.0, rtol=1e-5)
    layer = looks.told.index(True)
    island = page_looks._island(looks, 2, [(layer, 0)])
    assert island["layers"][layer]["words"] == 2 and island["tokens"] == [["one", "nothing"], ["two", "nothing"]]
    read = np.frombuffer(base64.b64decode(island["weights"][0][0][0]["b"]), np.uint8).reshape(2, 16) / 255.0
    np.testing.assert_allclose((read**2 * island["weights"][0][0][0]["top"]).sum(axis=0), 1.0, atol=0.02)


def test_places_of_large_maps_are_joined() -> None:
    weights = torch.rand(1, 1, 36, 36).softmax(-1)
    found, side = coarser(weights, (6, 6), told=False)
    assert side == (3, 3) and found.shape == (1, 1, 9, 9)
    torch.testing.assert_close(found.sum(-1), torch.ones(1, 1, 9))
    first = weights[0, 0].reshape(6, 6, 6, 6)[:2, :2, 2:4, 4:6].sum() / 4
    torch.testing.assert_close(found[0, 0, 0, 5], first)
    tokens, side = coarser(torch.rand(1, 1, 9, 4), (3, 3), told=True)
    assert side == (1, 1) and tokens.shape == (1, 1, 1, 4)


def test_a_model_that_held_images_out_knows_its_training_images_again(tmp_path: Path) -> None:
    images, labels = two_corners(40)
    np.savez(tmp_path / "c.npz", images=images, labels=labels, class_names=np.array(["top", "bottom"]))
    flags = {"data.source": str(tmp_path / "c.npz"), "training.steps": 1, "data.validation": 0.25}
    train(load_config(None, TINY, flags), tmp_path / "run", device="cpu")
    model = load(tmp_path / "run", device="cpu")
    real = real_images(model, None, NullReporter(), never_stop)
    assert real.train is not None and real.holdout is not None and (len(real.train), len(real.holdout)) == (30, 10)
    np.savez(tmp_path / "c.npz", images=images[::-1], labels=labels, class_names=np.array(["top", "bottom"]))
    changed = real_images(model, None, NullReporter(), never_stop)
    assert changed.train is None and changed.why.endswith("has changed since the training")
