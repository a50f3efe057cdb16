"""The alarm for memorised images: what it must find, and how rarely it may be wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from synthgen.data import load_images
from synthgen.data.dataset import ImageData
from synthgen.data.subset import stratified_subset
from synthgen.downstream.leaks import Provenance
from synthgen.evaluation.extractors import Extractor
from synthgen.evaluation.images import evaluate_images
from synthgen.evaluation.memorisation import FALSE_ALARMS, calibrate, cross_checked, excess
from synthgen.evaluation.neighbours import PixelIndex
from synthgen.evaluation.planting import plant
from synthgen.evaluation.result import Evaluation
from tests.evaluation.conftest import blobs

pytestmark = pytest.mark.usefixtures("one_thread")

PLANTED_KINDS = ("exact", "shifted by a pixel", "brightness changed")


def with_copies(real: ImageData, fake: ImageData, count: int) -> tuple[ImageData, np.ndarray]:
    """`fake` with altered copies of `count` images of `real`, a third of each kind; and where they stand."""
    random = np.random.default_rng(1)
    where, sources = random.permutation(len(fake))[:count], random.permutation(len(real))[:count]
    images = fake.images.copy()
    for number, kind in enumerate(PLANTED_KINDS):
        images[where[number::3]] = plant(real.images[sources[number::3]], kind, seed=number)
    return replace(fake, images=images, fingerprint=""), where


def test_the_threshold_leaves_one_percent_of_new_images_below_it() -> None:
    random = np.random.default_rng(0)
    rates = [calibrate(random.random(999)).rings(random.random(20_000)).mean() for _ in range(200)]
    assert np.mean(rates) == pytest.approx(FALSE_ALARMS, abs=0.0008)
    assert cross_checked(random.random(5000)).mean() == pytest.approx(FALSE_ALARMS, abs=0.006)


def test_few_held_out_images_ring_only_for_what_is_nearer_than_all_of_them() -> None:
    alarm = calibrate(np.array([0.5, 0.3, 0.9], np.float32))
    np.testing.assert_array_equal(alarm.rings(np.array([0.29, 0.3, 0.31], np.float32)), [True, False, False])
    assert alarm.expected == 0.25  # of four exchangeable images each is the smallest as often


def test_held_out_images_that_are_copies_count_as_expected() -> None:
    ratios = np.concatenate([np.zeros(50, np.float32), np.linspace(0.5, 1.0, 950, dtype=np.float32)])
    alarm = calibrate(ratios)
    assert (alarm.threshold, alarm.expected) == (0.0, 0.05)
    assert alarm.memorised(ratios).value == 0.0
    assert alarm.memorised(np.zeros(100, np.float32)).value == 1.0


def test_the_excess_is_the_share_of_copies() -> None:
    rings = np.arange(10_000) < 10_000 * (0.02 + 0.98 * 0.01)
    found = excess(rings, 0.01, 10_000)
    assert found.value == pytest.approx(0.02)
    assert found.interval is not None and 0.015 < found.interval[0] < 0.02 < found.interval[1] < 0.035
    none = excess(np.zeros(1000, bool), 0.01, 10_000)
    assert none.value == 0.0 and none.interval is not None and none.interval[0] == 0.0 < none.interval[1] < 0.005


def test_planted_copies_are_found_and_shown_first(real: ImageData, extractor: Extractor) -> None:
    fake, where = with_copies(real, blobs(300, seed=5), 30)
    found = evaluate_images(real, fake, features=extractor, metrics=["memorised"], held_out=blobs(400, seed=8))
    metric, details = found.metrics["memorised"], found.details["memorised"]
    assert metric.value == pytest.approx(0.1, abs=0.03)
    assert metric.floor is not None and metric.floor < 0.02
    assert metric.interval is not None and metric.interval[0] > 0.03
    assert details["false_alarm_share"] <= 0.02
    assert any("copies of training images" in text for text in found.warnings)
    closest = [pair for pair in details["pairs"] if not pair["at_random"]]
    assert {pair["sample"] for pair in closest} <= set(where.tolist())
    assert closest[0]["verdict"] == "exact copy"
    assert all(pair["verdict"] == "ok" for pair in details["pairs"] if pair["sample"] not in where)


def test_what_the_cache_kept_says_the_same(
    real: ImageData, extractor: Extractor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNTHGEN_CACHE_DIR", str(tmp_path))
    first, again = (
        evaluate_images(real, blobs(100, seed=5), features=extractor, metrics=["memorised", "duplicates"]).to_dict()
        for _ in range(2)
    )
    assert first == again


def test_images_of_the_same_kind_are_not_memorised(real: ImageData, extractor: Extractor) -> None:
    found = evaluate_images(real, blobs(600, seed=5), features=extractor, metrics=["memorised"])
    metric = found.metrics["memorised"]
    assert metric.value < 0.02 and metric.interval is not None and metric.interval[0] == 0.0
    assert found.metrics["nearer"].value == pytest.approx(0.5, abs=0.1)
    assert "each compared with the others" in found.details["memorised"]["training_set"]


def test_a_set_against_itself_is_memorised(real: ImageData, extractor: Extractor) -> None:
    found = evaluate_images(real, real, features=extractor, metrics=["memorised", "duplicates"])
    assert found.metrics["memorised"].value == 1.0
    assert found.details["memorised"]["alarm_share"] == 1.0
    assert any("100.0 % of the fake images are copies" in text for text in found.warnings)
    assert found.metrics["duplicates"].value == 0.0


def part_of(real: ImageData, count: int) -> tuple[np.ndarray, Provenance]:
    index = stratified_subset(real.labels, len(real), count)
    return index, Provenance("blobs", "train", count, real.select(index).fingerprint)


def evaluated(real: ImageData, fake: ImageData, extractor: Extractor, generator: Provenance) -> Evaluation:
    return evaluate_images(real, fake, features=extractor, metrics=["memorised"], generator=generator)


def test_a_generator_that_had_a_part_is_held_against_that_part(extractor: Extractor) -> None:
    real = blobs(2400)
    index, generator = part_of(real, 300)
    rest = np.setdiff1d(np.arange(2400), index)
    seen, _ = with_copies(real.select(index), blobs(300, seed=5), 30)
    unseen, _ = with_copies(real.select(rest), blobs(300, seed=5), 30)
    caught, spared = (evaluated(real, fake, extractor, generator) for fake in (seen, unseen))
    assert "trained on 300 of the 2,400 real images; 2,100 of the others" in caught.details["memorised"]["training_set"]
    assert caught.metrics["memorised"].value > 0.06
    assert spared.metrics["memorised"].value < 0.02
    assert {pair["real"] for pair in caught.details["memorised"]["pairs"]} <= set(index.tolist())


def test_a_generator_of_other_images_is_said_to_be_one(real: ImageData, extractor: Extractor) -> None:
    stranger = Provenance("cats", "train", 500, "f" * 64)
    found = evaluated(real, blobs(100, seed=5), extractor, stranger)
    assert "500 others, named cats" in found.details["memorised"]["training_set"]


def test_repeated_samples_are_duplicates(real: ImageData, extractor: Extractor) -> None:
    fake = blobs(300, seed=5)
    images = fake.images.copy()
    images[100:160] = images[:60]
    images[160:190] = plant(images[60:90], "shifted by a pixel")
    found = evaluate_images(
        real, replace(fake, images=images, fingerprint=""), features=extractor, metrics=["duplicates"]
    )
    metric = found.metrics["duplicates"]
    assert metric.value == pytest.approx(0.6, abs=0.03)
    assert metric.floor is not None and metric.floor < 0.02
    assert found.details["duplicates"]["exact_repeats"] == 60
    assert any("60 of the 300 fake images are exact repeats" in text for text in found.warnings)
    assert found.details["duplicates"]["pairs"][0]["likeness"] == pytest.approx(1.0, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_one_percent_of_copies_among_ten_thousand_samples(
    name: str, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held-out images play the samples: 100 of 10,000 are copies; the false alarms are counted on the others."""
    monkeypatch.setenv("SYNTHGEN_DATA_DIR", str(data_dir))
    real, test = load_images(name), load_images(name, split="test")
    half = np.random.default_rng(0).permutation(len(test))
    index = PixelIndex(real.images)
    samples, where = with_copies(real, test, 100)
    ratios = index.search(samples.images).ratio
    held_out, others = np.setdiff1d(half[:5000], where), np.setdiff1d(half[5000:], where)
    alarm = calibrate(ratios[held_out])
    assert alarm.expected <= FALSE_ALARMS
    assert alarm.rings(ratios[where]).mean() >= 0.95
    # Of 4,950 others 1 % are 50 +- 7, and the threshold itself has as large an error.
    assert alarm.rings(ratios[others]).mean() <= FALSE_ALARMS + 0.003
    assert cross_checked(ratios[np.concatenate([held_out, others])]).mean() <= FALSE_ALARMS + 0.002
