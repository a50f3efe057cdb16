"""The encoder behind Context-FID: its convolutions, its loss, what it knows of padding, and the distance."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from synthgen.evaluation.series.context import context_fid, feature_distance
from synthgen.evaluation.series.encoder import FEATURES, _Convolution, fit_encoder, hierarchical_loss


@pytest.mark.parametrize("dilation", [1, 2, 8])
def test_convolutions_are_torchs(dilation: int) -> None:
    ours = _Convolution(4, 5, dilation)
    x = torch.randn(3, 7, 4)
    weight = ours.weight.permute(2, 1, 0)
    expected = torch.nn.functional.conv1d(x.transpose(1, 2), weight, ours.bias, padding=dilation, dilation=dilation)
    torch.testing.assert_close(ours(x), expected.transpose(1, 2))


def test_the_loss_is_the_papers_written_out() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64)

    def contrast(a: np.ndarray, b: np.ndarray) -> float:
        total, count = 0.0, len(a)
        for one, other in ((a, b), (b, a)):
            for i in range(count):
                rivals = [np.exp(one[i] @ other[j]) for j in range(count)]
                rivals += [np.exp(one[i] @ one[j]) for j in range(count) if j != i]
                total += -np.log(np.exp(one[i] @ other[i]) / sum(rivals))
        return total / (2 * count)

    a, b = first.numpy(), second.numpy()
    total, scales = 0.0, 0
    while True:
        length = a.shape[1]
        total += 0.5 * np.mean([contrast(a[:, t], b[:, t]) for t in range(length)])
        if length > 1:
            total += 0.5 * np.mean([contrast(a[i], b[i]) for i in range(len(a))])
        scales += 1
        if length == 1:
            break
        a, b = (np.maximum(one[:, 0 : length - 1 : 2], one[:, 1::2]) for one in (a, b))
    assert hierarchical_loss(first, second).item() == pytest.approx(total / scales)


def test_features_do_not_depend_on_what_lies_beyond_the_end() -> None:
    random = np.random.default_rng(0)
    values = random.random((20, 9, 2))
    lengths = random.integers(3, 10, 20)
    fitted = fit_encoder(values, 0, lengths=lengths, iterations=3)
    whole = fitted.features(values, lengths)
    assert whole.shape == (20, FEATURES)
    for place in (0, 7):
        alone = fitted.features(values[place : place + 1, : lengths[place]])
        np.testing.assert_allclose(whole[place], alone[0], rtol=1e-4, atol=1e-5)


def test_the_same_seed_gives_the_same_weights() -> None:
    values = np.random.default_rng(0).random((12, 6, 2))
    first, again, other = (fit_encoder(values, seed, iterations=2) for seed in (1, 1, 2))
    assert first.sha256 == again.sha256 != other.sha256
    assert len(first.sha256) == 64


def test_the_distance_is_frechets() -> None:
    random = np.random.default_rng(1)
    first, second = random.standard_normal((300, 6)), random.standard_normal((200, 6)) @ np.diag(np.arange(1.0, 7)) + 1
    means = [side.mean(0) for side in (first, second)]
    covariances = [np.cov(side, rowvar=False) for side in (first, second)]
    root = sqrtm(covariances[0] @ covariances[1]).real
    expected = ((means[0] - means[1]) ** 2).sum() + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert feature_distance(first, second) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.slow
def test_context_fid_orders_what_is_near_and_what_is_far() -> None:
    random = np.random.default_rng(2)
    time = np.arange(16) / 16

    def waves(frequency: float) -> np.ndarray:
        phase = random.random((400, 1))
        return 0.5 + 0.4 * np.sin(2 * np.pi * (frequency * time + phase))[:, :, None]

    real = waves(1.0)
    alike, other = context_fid(real, waves(1.0), [0])[0], context_fid(real, waves(1.5), [0])[0]
    assert context_fid(real, real, [0])[0] == pytest.approx(0.0, abs=1e-6)
    assert alike < 0.1 * other
