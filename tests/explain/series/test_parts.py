"""The parts of an explanation of series beside its maps: judge, detector, neighbours, trajectory, attention."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from synthgen.config.series import SeriesModelConfig
from synthgen.data.series.windows import WindowSet
from synthgen.diffusion.series import SeriesDenoiser
from synthgen.errors import UsageError
from synthgen.explain.commitment import commitment
from synthgen.explain.series.attention import attention, watched
from synthgen.explain.series.cells import Layout
from synthgen.explain.series.features import filled, strongest_pairs, window_features
from synthgen.explain.series.giveaway import give_away
from synthgen.explain.series.judge import margin, train_judge
from synthgen.explain.series.neighbours import nearest, neighbours
from synthgen.explain.series.probe import Probe
from synthgen.explain.series.trajectory import Recipe, draw, settling
from synthgen.explain.tables import forest
from synthgen.models.series import SeriesNetwork
from tests.explain.series.exact import CHANNELS, LAYOUT, PARTS, STEPS, ExactDenoiser, Part, scene
from tests.explain.series.test_maps import SEGMENTS

pytestmark = pytest.mark.usefixtures("one_thread")


def windows(values: np.ndarray, labels: np.ndarray | None = None, lengths: np.ndarray | None = None) -> WindowSet:
    count, steps, channels = values.shape
    return WindowSet(
        values=values.astype(np.float64),
        lengths=np.full(count, steps) if lengths is None else lengths,
        labels=labels,
        class_names=("down", "up"),
        channels=tuple(f"c{number}" for number in range(channels)),
        kinds=("number",) * channels,
        sequence=np.arange(count),
        start=np.zeros(count, np.int64),
        name="made",
        fingerprint="",
        split="all",
    )


def waves(count: int, seed: int, rough: float = 0.1) -> np.ndarray:
    random = np.random.default_rng(seed)
    phase = random.random((count, 1, 1)) * 6.28
    steps = np.arange(24)[None, :, None]
    return np.sin(steps / 3 + phase + np.arange(2)) + rough * random.normal(size=(count, 24, 2))


@pytest.fixture
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forest, "TREES", 8)


@pytest.mark.usefixtures("few_trees")
def test_the_planted_fault_gives_windows_away_and_equal_laws_do_not() -> None:
    real, fake = waves(80, 1), waves(80, 2)
    clean = give_away(windows(real), windows(fake), 80, refits=19)
    assert not clean.found and clean.sentence.startswith("No better than chance")
    fake[:, 12:18, 1] = np.round(fake[:, 12:18, 1])  # a third span of one channel loses its decimals
    found = give_away(windows(real), windows(fake), 80, refits=19)
    assert found.found and found.detection.auc > 0.7
    parts = found.by_part()
    assert parts["channels"]["c1"] > 3 * abs(parts["channels"]["c0"])
    assert max(parts["spans"], key=parts["spans"].get) == "steps 13 to 18"
    sample, chance, why = found.worst(1)[0]
    assert 0 <= sample < 80 and chance > 0.5 and why[0][0].startswith("c1")
    with pytest.raises(UsageError, match="too few"):
        give_away(windows(real[:20]), windows(fake), 80)


def test_features_say_what_they_are_called() -> None:
    values = waves(30, 3)
    values[0, 5:8, 0] = np.nan
    lengths = np.full(30, 24)
    lengths[1], values[1, 20:] = 20, np.nan
    features, table = window_features(values, lengths, ("a", "b"), ("number", "number"), [(0, 1)])
    column = {feature.name: table[:, number] for number, feature in enumerate(features)}
    np.testing.assert_allclose(column["b: mean"][2:], values[2:, :, 1].mean(1))
    assert column["a: missing share"][0] == 3 / 24 and column["a: missing share"][1] == 0
    assert column["window: length"][1] == 20
    one = values[4, :, 0] - values[4, :, 0].mean()
    assert column["a: autocorrelation 2"][4] == pytest.approx((one[2:] * one[:-2]).mean() / one.var())
    assert column["a × b: correlation"][5] == pytest.approx(np.corrcoef(values[5].T)[0, 1])
    assert column["a: rise from first to last"][1] == pytest.approx(values[1, 19, 0] - values[1, 0, 0])
    shares = sum(column[f"a: {band} power"][2:] for band in ("slow", "middle", "fast"))
    np.testing.assert_allclose(shares, 1.0)
    ready = filled(np.array([[np.nan], [3.0], [-1.0], [3.0]]))
    assert ready[:, 0].tolist() == [-1, 1, 0, 1]
    assert strongest_pairs(values, ("number", "category")) == []


def test_the_judge_knows_its_subject_or_says_that_it_does_not() -> None:
    values, labels = waves(80, 4), np.arange(80) % 2
    values[labels == 1, 6:10, 1] += 2.0
    judge = train_judge(windows(values, labels), ("down", "up"), np.arange(80))
    assert judge.knows and judge.accuracy > 0.9 and judge.check.sentence.startswith("the judge knows its subject")
    log_p = judge.log_p(windows(values[:6]))
    assert log_p.shape == (3, 6, 2)
    np.testing.assert_allclose(np.exp(log_p).sum(-1), 1.0)
    margins = margin(log_p, labels[:6], 1 - labels[:6])
    assert (margins[0] > 0).all() and not np.allclose(margins[0], margins[1])
    np.testing.assert_allclose(
        margins, margin(log_p, labels[:6], np.full(6, -1))
    )  # of two classes, the rest is the rival
    blind = train_judge(windows(values, np.random.default_rng(0).permutation(labels)), ("down", "up"), np.arange(80))
    assert not blind.knows and blind.check.sentence.startswith("the judge knows no better than chance")


def test_copies_are_flagged_and_new_windows_are_not() -> None:
    train, new, held = windows(waves(60, 5)), waves(3, 6), windows(waves(80, 7))
    copies = train.values[[4, 9]] + 1e-4
    found = neighbours(windows(np.concatenate([copies, new[:1]])), train, held)
    assert found.index[:2, 0].tolist() == [4, 9] and found.flagged.tolist() == [True, True, False]
    assert found.name == "held-out" and "2 of 3 windows lie nearer" in found.sentence
    assert not neighbours(windows(new), train, held).flagged.any()
    alone = neighbours(windows(copies), train, None)  # against training windows, each without itself
    assert alone.name.startswith("training") and alone.flagged.all()
    few = neighbours(windows(new), windows(waves(20, 8)), None)
    assert "too few to flag" in few.sentence and not few.flagged.any()


def test_windows_that_share_a_step_are_not_compared_with_each_other() -> None:
    recording = np.cumsum(np.random.default_rng(0).normal(size=(80, 1)), axis=0)
    sliding = np.stack([recording[start : start + 8] for start in range(73)])
    found = replace(windows(sliding), sequence=np.zeros(73, np.int64), start=np.arange(73))
    scale = np.array([recording.std()])
    distances, index = nearest(found, found, scale, 1, apart=True)
    assert (np.abs(index[:, 0] - np.arange(73)) >= 8).all() and (distances > 0).all()
    assert (nearest(found, found, scale, 1)[0] == 0).all()


def test_a_value_on_one_side_only_differs_by_one() -> None:
    one, other = waves(1, 9), waves(1, 9)
    one[0, 3, 0] = np.nan
    distance, _ = nearest(windows(one), windows(other), np.ones(2), 1)
    assert distance[0, 0] == pytest.approx(np.sqrt(1 / 48))


def test_trajectories_end_at_the_samples_and_settle() -> None:
    denoiser, told = ExactDenoiser(), scene(4)
    recipe = Recipe("heun", 12)
    found = draw(denoiser, told, recipe, 3, torch.device("cpu"))  # type: ignore[arg-type]
    assert (
        found.x0.shape == (23, 4, STEPS, 4) and found.starts.tolist()[:5] == [0, 0, 1, 1, 2] and found.starts[-1] == 11
    )
    np.testing.assert_array_equal(found.x[-1][..., 2:], told.x0[..., 2:])
    when = settling(found, told, LAYOUT, SEGMENTS)
    assert when.pieces.shape == (4, len(SEGMENTS)) and (when.pieces >= 0).all() and when.rms[-1].max() < 1e-5
    cells = found.x[-1][..., :CHANNELS]
    first = np.sqrt(np.square(found.x0[0][..., :CHANNELS] - cells).mean((1, 2)))
    np.testing.assert_allclose(when.rms[0], first, rtol=1e-5)


def test_the_class_is_decided_where_the_model_stops_listening() -> None:
    """Told the rival from the start a window is of the rival; told it never, of its class."""
    denoiser, told = ExactDenoiser(), scene(6)
    other = told.named(LAYOUT, 1 - np.asarray(told.labels))
    recipe = Recipe("euler", 10)

    def drawn(rows: np.ndarray, since: np.ndarray) -> np.ndarray:
        parts = (denoiser, told.select(rows), recipe, 0, torch.device("cpu"))
        return draw(*parts, changed=other.select(rows), since=since).x[-1]  # type: ignore[arg-type]

    def margins(x: np.ndarray, rows: np.ndarray) -> np.ndarray:
        sign = np.where(np.asarray(told.labels)[rows] == 0, 1.0, -1.0)
        return np.asarray(sign * x[:, 4:8, 1].mean(1))

    whole = draw(denoiser, told, recipe, 0, torch.device("cpu"))  # type: ignore[arg-type]
    found = commitment(drawn, margins, whole.x0, 6, 10)
    assert (found.margins[0] < 0).all() and (found.margins[10] > 0).all() and found.right.all()
    np.testing.assert_allclose(found.margins[10], margins(whole.x[-1], np.arange(6)))
    assert (found.committed >= 1).all() and found.quartiles is not None
    assert (found.read == 0).all()  # told its class, even the first guess shows it


def tiny(groups: int = 1) -> tuple[SeriesDenoiser, Layout]:
    parts = (PARTS[0], replace(PARTS[1], group=groups - 1), Part("kind", "label", 2, 4))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = SeriesNetwork(SeriesModelConfig(width=16, blocks=2, heads=2), STEPS, parts)  # type: ignore[arg-type]
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.3)  # a fresh network's gates are closed
    return SeriesDenoiser(network, parts, noise_mean=-1.0, noise_std=1.4).eval(), LAYOUT  # type: ignore[arg-type]


def explicit(block: torch.nn.Module, h: torch.Tensor, level: torch.Tensor, seen: torch.Tensor | None) -> np.ndarray:
    """softmax(q k' / sqrt(d)) of a block in float64 and plain numpy, from its weights."""
    adapt = block.adapt(level).double().numpy()[:, None]
    shift = np.split(adapt, 6, axis=-1)
    x = h.double().numpy()
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    x = x * (1 + shift[0]) + shift[1]
    qkv = x @ block.qkv.weight.double().numpy().T + block.qkv.bias.double().numpy()
    q, k, _ = np.split(qkv, 3, axis=-1)
    found = []
    for head in np.split(np.arange(q.shape[-1]), block.heads):
        scores = q[..., head] @ k[..., head].swapaxes(1, 2) / np.sqrt(len(head))
        if seen is not None:
            scores = np.where(seen.numpy()[:, None], scores, -np.inf)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        found.append(weights / weights.sum(-1, keepdims=True))
    return np.stack(found, axis=1)


@pytest.mark.parametrize("short", [False, True])
@torch.no_grad()
def test_attention_equals_an_explicit_softmax_and_changes_nothing(short: bool) -> None:
    denoiser, layout = tiny()
    network, one = denoiser.network, scene(3)
    if short:
        one.valid[1, 7:] = False
        one.x0[1, 7:] = 0.0
    probe = Probe(denoiser, layout)
    before = probe.errors(one, 1.0, 0)
    weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    seen: dict[int, torch.Tensor] = {}
    entered: dict[int, tuple[torch.Tensor, ...]] = {}
    hooks = [
        block.register_forward_pre_hook(lambda module, given, number=number: entered.__setitem__(number, given))
        for number, block in enumerate(network.blocks)
    ]
    with watched(network, seen.__setitem__):
        during = probe.errors(one, 1.0, 0)
    for hook in hooks:
        hook.remove()
    np.testing.assert_array_equal(before, during)
    assert all(torch.equal(weights[name], tensor) for name, tensor in network.state_dict().items())
    for number, block in enumerate(network.blocks):
        exact = explicit(block, *entered[number])
        assert np.abs(seen[number].numpy() - exact).max() < 1e-5
        assert not short or (seen[number][1, :, :, 7:] == 0).all()


def test_hooks_are_removed_on_an_error() -> None:
    denoiser, layout = tiny()

    def fail(block: int, weights: torch.Tensor) -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"), watched(denoiser.network, fail):
        Probe(denoiser, layout).errors(scene(2), 1.0, 0)
    assert not any(module._forward_hooks for module in denoiser.network.modules())


def test_the_attention_map_is_the_weight_that_steps_get() -> None:
    denoiser, layout = tiny()
    one = scene(3)
    one.valid[2, 9:] = False
    found, raw = attention(Probe(denoiser, layout), one, draws=2)
    assert found.values.shape == (3, STEPS, CHANNELS) and raw.maps.shape == (3, 3, 2, STEPS, STEPS)
    np.testing.assert_allclose(raw.maps.sum(-1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(found.values[:2, :, 0].mean(1), 1.0, rtol=1e-5)  # an even share on average
    assert (found.values[2, 9:] == 0).all() and found.values[2, :9, 0].mean() == pytest.approx(1.0, rel=1e-5)
    np.testing.assert_allclose(found.values, found.halves.mean(0), rtol=1e-6)  # type: ignore[union-attr]
    assert "not why" in found.question and ((raw.entropy > 0) & (raw.entropy <= 1)).all()
    received = raw.maps[0].astype(np.float64).mean((0, 1)).mean(0) * STEPS
    np.testing.assert_allclose(found.values[0, :, 0], received, rtol=1e-5)


def test_attention_of_groups_is_their_mean() -> None:
    denoiser, layout = tiny(groups=2)
    tokens = denoiser.network.tokens
    found, raw = attention(Probe(denoiser, layout), scene(3), draws=2)
    assert denoiser.network.patch == 2
    assert found.values.shape == (3, STEPS, CHANNELS) and raw.maps.shape == (3, 3, 2, tokens, tokens)
    np.testing.assert_allclose(raw.maps.sum(-1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(found.values[..., 0].mean(1), 1.0, rtol=1e-5)
