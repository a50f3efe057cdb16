"""Features of random kernels against the definition, step by step; inputs; classical augmentation."""

from __future__ import annotations

import numpy as np
import pytest

from synthgen.data.series.reading import series_from_array
from synthgen.data.series.windows import WindowSet, windows_of
from synthgen.downstream.series.classifiers import (
    SeriesRecipe,
    fit_series_classifier,
    parse_classifiers,
    train_series_classifier,
)
from synthgen.downstream.series.inputs import Inputs, Preparation
from synthgen.downstream.series.rocket import Kernels, Rocket
from synthgen.downstream.series.transforms import SeriesTransforms, parse_series_transforms
from synthgen.errors import StoppedError, UsageError
from tests.downstream.series.conftest import waves


def sets(count: int, seed: int = 0, noise: float = 0.6) -> WindowSet:
    values, labels, lengths = waves(count, seed, noise)
    return windows_of(series_from_array(values, labels=labels, lengths=lengths), None)


def naive(kernels: Kernels, data: Inputs, row: int, kernel: int) -> tuple[float, float]:
    """Share above the bias and largest output minus bias, by sums over single steps of one series."""
    length, size = int(data.lengths[row]), kernels.weights.shape[2]
    reach = kernels.dilation * (size // 2)
    outputs = []
    inner = bool(kernels.inner[kernel]) and length > 2 * reach
    for middle in range(length):
        if inner and (middle - reach < 0 or middle + reach >= length):
            continue
        total = 0.0
        for place in range(size):
            step = middle + (place - size // 2) * kernels.dilation
            if 0 <= step < length:
                total += float(kernels.weights[kernel, :, place] @ data.x[row, step])
        outputs.append(total - float(kernels.bias[kernel]))
    return float(np.mean(np.array(outputs) > 0)), max(outputs)


def test_features_are_those_of_the_definition() -> None:
    random = np.random.default_rng(0)
    lengths = np.array([30, 17, 40, 5])
    x = random.normal(size=(4, 40, 3)).astype(np.float32)
    x[np.arange(40) >= lengths[:, None]] = 0
    data = Inputs(x, lengths, np.zeros(4, np.int64), np.ones(3, bool))
    rocket = Rocket(data, kernels=40, seed=3)
    assert sum(len(group.bias) for group in rocket.groups) == 40
    assert len({group.dilation for group in rocket.groups}) > 1
    found, column = rocket.transform(data), 0
    for group in rocket.groups:
        for kernel in range(len(group.bias)):
            for row in range(len(data)):
                share, largest = naive(group, data, row, kernel)
                assert found[row, column + kernel] == pytest.approx(share, abs=1e-6)
                assert found[row, column + len(group.bias) + kernel] == pytest.approx(largest, abs=1e-4)
        column += 2 * len(group.bias)
    assert column == found.shape[1] == 80


def test_kernels_have_no_mean_and_follow_the_seed() -> None:
    windows = sets(8)
    data = Preparation(windows).inputs(windows)
    one, same, other = (Rocket(data, kernels=30, seed=seed) for seed in (1, 1, 2))
    for group in one.groups:
        assert np.abs(group.weights.sum(axis=2)).max() < 1e-5
        assert group.weights.any(axis=2).any(axis=1).all()
    assert np.array_equal(one.transform(data), same.transform(data))
    assert not np.array_equal(one.transform(data), other.transform(data))


def test_features_do_not_depend_on_padding_or_neighbours() -> None:
    windows = sets(10)
    prepared = Preparation(windows)
    data = prepared.inputs(windows)
    rocket = Rocket(data, kernels=20)
    wide = Inputs(np.pad(data.x, ((0, 0), (0, 9), (0, 0))), data.lengths, data.labels, data.smooth)
    assert np.allclose(rocket.transform(wide), rocket.transform(data), atol=1e-5)
    assert np.allclose(rocket.transform(data.select(np.array([4]))), rocket.transform(data)[4:5], atol=1e-5)


def test_missing_values_lie_on_the_line_and_are_told() -> None:
    values = np.array([[[0.0], [np.nan], [2.0], [np.nan]], [[4.0], [4.0], [2.0], [0.0]]])
    windows = windows_of(series_from_array(values, lengths=np.array([4, 3]), labels=["a", "b"]), 4)
    found = Preparation(windows).inputs(windows)
    known = np.array([0.0, 2.0, 4.0, 4.0, 2.0])
    assert np.allclose(found.x[0, :, 0], (np.array([0.0, 1.0, 2.0, 2.0]) - known.mean()) / known.std(), atol=1e-6)
    assert found.x[0, :, 1].tolist() == [0, 1, 0, 1]
    assert found.x[1, 3].tolist() == [0, 0]  # beyond the length
    assert found.smooth.tolist() == [True, False]


@pytest.mark.parametrize("name", ["rocket", "cnn"])
def test_classifiers_read_waves_of_two_periods(name: str) -> None:
    train, test = sets(80, 0), sets(60, 1)
    read = fit_series_classifier(train, name=name)(test)  # type: ignore[arg-type]
    assert (read == test.labels).mean() > 0.9


def test_one_class_is_read_everywhere_and_a_stop_is_heard() -> None:
    windows = sets(20)
    only = windows.select(np.flatnonzero(windows.labels == 1))
    assert fit_series_classifier(only)(windows).tolist() == [1] * 20
    with pytest.raises(StoppedError):
        train_series_classifier("cnn", windows, 2, recipe=SeriesRecipe(steps=3), should_stop=lambda: True)


def test_the_networks_answers_do_not_depend_on_padding() -> None:
    windows = sets(20)
    trained = train_series_classifier("cnn", windows, 2, recipe=SeriesRecipe(steps=5))
    longer = WindowSet(
        **{**vars(windows), "values": np.pad(windows.values, ((0, 0), (0, 7), (0, 0)), constant_values=np.nan)}
    )
    assert np.allclose(trained.scores(windows), trained.scores(longer), atol=1e-5)


def test_classical_changes_keep_lengths_ends_and_categories() -> None:
    windows = sets(30)
    data = Preparation(windows).inputs(windows)
    random = np.random.default_rng(0)
    changed = SeriesTransforms().apply(data, random)
    assert np.array_equal(changed.lengths, data.lengths)
    assert (changed.x[~data.valid] == 0).all()
    assert not np.allclose(changed.x, data.x)
    bent = SeriesTransforms(0.0, 0.0, 0.3).apply(data, random)
    last = data.lengths - 1
    rows = np.arange(len(data))
    assert np.allclose(bent.x[:, 0], data.x[:, 0])
    assert np.allclose(bent.x[rows, last], data.x[rows, last], atol=1e-4)
    plain = Inputs(data.x, data.lengths, data.labels, np.zeros(2, bool))
    assert np.array_equal(SeriesTransforms(0.5, 0.5, 0.0).apply(plain, random).x, data.x)
    noisy = SeriesTransforms(0.5, 0.0, 0.0).apply(data, random).x - data.x
    assert noisy[data.valid].std() == pytest.approx(0.5, rel=0.1)


def test_words_of_the_command_line() -> None:
    assert parse_classifiers(None) == ("rocket", "cnn")
    assert parse_classifiers("cnn") == ("cnn",)
    assert parse_series_transforms("warp=0.5") == SeriesTransforms(warp=0.5)
    with pytest.raises(UsageError, match="did you mean 'rocket'"):
        parse_classifiers("rockets")
    with pytest.raises(UsageError, match=r"no change 'shift=0\.1' of series"):
        parse_series_transforms("shift=0.1")
    with pytest.raises(UsageError, match="warp must be a number from 0 to 1"):
        parse_series_transforms("warp=3")
