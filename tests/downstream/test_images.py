"""The experiment must say helps, hurts or nothing where the answer is known beforehand."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from synthgen.data.dataset import ImageData
from synthgen.data.subset import stratified_subset
from synthgen.downstream.copies import count_copies
from synthgen.downstream.images import choose_real, run_augmentation
from synthgen.downstream.leaks import Provenance
from synthgen.downstream.page import render_report
from synthgen.errors import StoppedError, UsageError
from tests.downstream.conftest import blank, corners, mislabelled, quick

pytestmark = pytest.mark.usefixtures("one_thread")

TEST = corners(300, seed=9, name="digits", split="test")
FEW = choose_real(corners(200), TEST, None)


def _noisy_real(count: int = 40) -> ImageData:
    """Real images from which little can be learned: three labels of ten are wrong."""
    data = corners(count, seed=3)
    assert data.labels is not None
    wrong = np.random.default_rng(0).random(count) < 0.45
    return replace(data, labels=np.where(wrong, 1 - data.labels, data.labels), fingerprint="")


def test_good_images_help_where_real_ones_are_poor() -> None:
    sides = choose_real(_noisy_real(), TEST, None)
    result = run_augmentation(sides, corners(600, seed=7), design=quick(0, 1, 2), device="cpu")
    assert result.verdict == "helps"
    assert "helps" in result.sentence
    assert result.variants["both"].mean > result.variants["real"].mean
    assert result.variants["synthetic"].mean > 0.97
    assert [one.images for one in result.variants.values()] == [40, 40, 600, 640, 640]


def test_wrong_images_hurt() -> None:
    made = mislabelled(corners(600, seed=7))
    result = run_augmentation(FEW, made, design=quick(0, 1, 2), device="cpu")
    assert result.verdict == "hurts"
    assert result.variants["synthetic"].mean < 0.05
    assert result.variants["synthetic"].recalls == pytest.approx((0.0, 0.0), abs=0.05)
    assert {one.difference.verdict for one in result.comparisons if one.name == "synthetic"} == {"hurts"}


def test_equally_good_images_make_no_difference() -> None:
    result = run_augmentation(FEW, corners(200, seed=7), design=quick(0, 1), device="cpu")
    assert result.verdict == "no difference"
    assert "no difference that could be shown" in result.sentence
    assert result.variants["real"].mean > 0.97


def test_noise_alone_teaches_nothing() -> None:
    result = run_augmentation(FEW, blank(100), design=quick(0), device="cpu")
    assert result.variants["synthetic"].mean < 0.7
    assert any("one seed" in text for text in result.warnings)
    assert result.variants["real"].deviation is None


def test_a_generator_that_saw_the_test_images_voids_the_result() -> None:
    generator = Provenance("digits", "test", 300, TEST.fingerprint)
    result = run_augmentation(
        FEW, corners(100, seed=7), generator=generator, design=quick(0, allow_leak=True), device="cpu"
    )
    assert result.leak.status == "test"
    assert result.sentence.startswith("Void:")
    assert any("tested on" in text for text in result.warnings)


def test_copies_of_test_images_among_the_synthetic_ones_are_counted() -> None:
    made = corners(100, seed=7)
    made.images[:4] = TEST.images[:4]
    assert count_copies(made.images, TEST.images) == 4
    result = run_augmentation(FEW, replace(made, fingerprint=""), design=quick(0), device="cpu")
    assert any("4 of the synthetic images are exact copies of test images" in text for text in result.warnings)


def test_the_result_is_json_and_a_page() -> None:
    made = replace(corners(100, seed=7), class_names=("top", "bottom"))
    result = run_augmentation(FEW, made, design=quick(4, 5), device="cpu")
    document = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert list(document["variants"]) == ["real", "real_classical", "synthetic", "both", "both_classical"]
    assert document["seeds"] == [4, 5] and document["recipe"]["steps"] == 60
    assert document["leak"]["status"] == "unknown"
    assert len(document["variants"]["real"]["accuracies"]) == 2
    assert set(document["variants"]["real"]["recalls"]) == {"top", "bottom"}
    pairs = [(one["variant"], one["against"]) for one in document["comparisons"]]
    assert pairs == [
        *(("real_classical", "real"), ("synthetic", "real"), ("both", "real"), ("both_classical", "real")),
        *(("synthetic", "real_classical"), ("both", "real_classical"), ("both_classical", "real_classical")),
    ]
    page = render_report(result, command_line="synthgen augment-classifier")
    assert "http" not in page.replace("http-equiv", "")
    assert "Leak check" in page and f"{100 * result.variants['both'].mean:.2f} %" in page


def test_real_images_are_cut_before_anything_else_and_never_shared() -> None:
    real = corners(200)
    sides = choose_real(real, None, None)
    assert sides.cut and len(sides.test) == 40 and len(sides.train) == 160
    assert count_copies(sides.train.images, sides.test.images) == 0
    assert sides.test.labels is not None and sides.test.labels.mean() == 0.5
    small, large = choose_real(real, None, 20), choose_real(real, None, 100)
    assert small.test.fingerprint == large.test.fingerprint == sides.test.fingerprint
    assert count_copies(small.train.images, large.train.images) == 20
    limited = real.select(stratified_subset(real.labels, 200, 20))
    assert small.train.fingerprint == limited.fingerprint


def test_curves_and_filters_are_told_in_words() -> None:
    design = quick(0, 1, ratios=(0.5, None), filters=("confidence",))
    result = run_augmentation(FEW, corners(300, seed=7), design=design, device="cpu")
    assert list(result.variants) == [
        *("real", "real_classical", "synthetic", "synthetic_filtered"),
        *("both_ratio_0.5", "both_ratio_all", "both_ratio_0.5_filtered", "both_ratio_all_filtered"),
        *("both_classical_ratio_0.5", "both_classical_ratio_all"),
        *("both_classical_ratio_0.5_filtered", "both_classical_ratio_all_filtered"),
    ]
    assert result.headline.name == "both_ratio_all_filtered"
    assert result.headline_classical is not None
    assert result.headline_classical.name == "both_classical_ratio_all_filtered"
    assert result.sentence.startswith("Adding the synthetic images (filtered) ")
    said = {(one.name, one.against): one.sentence for one in result.comparisons}
    assert said["both_ratio_0.5", "real"].startswith("Adding the synthetic images (0.5 : 1) ")
    assert ("both_ratio_0.5_filtered", "both_ratio_0.5") in said
    assert result.best is not None and result.best.tried == 10
    page = render_report(result)
    assert "synthetic images per real image" in page and "without filter" in page


def test_the_best_is_measured_at_a_level_widened_for_the_choice() -> None:
    """Three variants were tried."""
    sides = choose_real(_noisy_real(), TEST, None)
    result = run_augmentation(sides, corners(300, seed=7), design=quick(0, 1, 2), device="cpu")
    best = result.best
    assert best is not None and best.tried == 3 and best.against == "real_classical"
    plain = next(one for one in result.comparisons if (one.name, one.against) == (best.name, "real_classical"))
    assert best.difference.value == plain.difference.value
    assert best.difference.low < plain.difference.low and best.difference.high > plain.difference.high
    assert best.real_mean == result.variants["real"].mean
    assert ("Real images alone" in best.sentence) == (best.real_mean > best.against_mean)
    assert best.mean == max(result.variants[name].mean for name in ("synthetic", "both", "both_classical"))


def test_sets_that_do_not_fit_are_refused() -> None:
    real = corners(200)
    without = ImageData(real.images, None, (), "bare")
    with pytest.raises(UsageError, match="bare has no labels"):
        choose_real(without, None, None)
    with pytest.raises(UsageError, match="bare has no labels"):
        run_augmentation(FEW, without, design=quick(0))
    with pytest.raises(UsageError, match="160 images to train on, and 161 were asked for"):
        choose_real(real, None, 161)
    with pytest.raises(UsageError, match="all of one class"):
        choose_real(replace(real, labels=real.labels * 0, fingerprint=""), TEST, None)  # type: ignore[operator]
    with pytest.raises(UsageError, match="differ in shape: real 8 x 8 x 1, synthetic 8 x 8 x 3"):
        rgb = ImageData(np.repeat(real.images, 3, axis=-1), real.labels, real.class_names, "rgb")
        run_augmentation(FEW, rgb, design=quick(0))
    with pytest.raises(UsageError, match="class 'side' that the other images have not"):
        run_augmentation(FEW, replace(real, class_names=("top", "side")), design=quick(0))


def test_labels_are_matched_by_name() -> None:
    made = corners(300, seed=7)
    assert made.labels is not None
    turned = replace(made, labels=1 - made.labels, class_names=("bottom", "top"), fingerprint="")
    result = run_augmentation(FEW, turned, design=quick(0), device="cpu")
    assert result.variants["synthetic"].mean > 0.97


def test_a_stop_is_heeded() -> None:
    with pytest.raises(StoppedError):
        run_augmentation(FEW, corners(100, seed=7), design=quick(0), device="cpu", should_stop=lambda: True)
