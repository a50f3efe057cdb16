"""The whole comparison: what it must say of sets whose answer is known."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from synthgen.data.dataset import ImageData
from synthgen.errors import StoppedError, UsageError
from synthgen.evaluation import images
from synthgen.evaluation.extractors import Extractor, Features
from synthgen.evaluation.images import evaluate_images
from synthgen.evaluation.measure import Found, Measure, Parts, Role
from tests.evaluation.conftest import NAMES, blobs

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_set_against_itself(real: ImageData, extractor: Extractor) -> None:
    found = evaluate_images(real, real, features=extractor)
    assert found.identical and found.n == len(real) == found.exact_copies
    assert found.metrics["fid"].value < 1e-6
    for name in ("precision", "recall", "coverage", "memorised"):
        assert found.metrics[name].value == 1.0
    assert any("training" in text and "100" in text for text in found.warnings)
    assert all(metric.floor is None for metric in found.metrics.values())
    assert "same images" in found.headline


def test_images_of_the_same_kind_reach_the_floor(real: ImageData, extractor: Extractor) -> None:
    found = evaluate_images(real, blobs(600, seed=5), features=extractor)
    fid = found.metrics["fid"]
    assert fid.floor is not None and fid.interval is not None
    assert fid.interval[0] <= fid.floor < fid.interval[1] < 0.5
    assert abs(found.metrics["precision"].value - found.metrics["precision"].floor) < 0.1
    assert found.metrics["agreement"].value > 0.98
    assert found.n == 300 and not found.identical and found.exact_copies == 0


def test_noise_is_far_above_the_floor_and_told_in_every_class(real: ImageData, extractor: Extractor) -> None:
    noisy = blobs(300, seed=5, noise=200)
    found = evaluate_images(real, noisy, features=extractor)
    fid = found.metrics["fid"]
    assert fid.floor is not None and fid.interval is not None
    assert fid.interval[0] > 10 * fid.floor
    assert [one.name for one in found.classes] == list(NAMES)
    for one in found.classes:
        assert one.fid is not None and one.fid_floor is not None
        assert one.fid > 3 * one.fid_floor
        assert one.n == 100


def test_wrong_labels_are_seen_by_the_judge(real: ImageData, extractor: Extractor) -> None:
    fake = blobs(300, seed=5)
    assert fake.labels is not None
    shifted = replace(fake, labels=(fake.labels + 1) % 3, fingerprint="")
    found = evaluate_images(real, shifted, features=extractor, metrics=["agreement", "classes"])
    assert found.metrics["agreement"].value < 0.05
    assert found.metrics["agreement"].floor is not None and found.metrics["agreement"].floor > 0.98
    assert all(one.agreement is not None and one.agreement < 0.05 for one in found.classes)


def test_classes_are_matched_by_name_and_not_by_number(real: ImageData, extractor: Extractor) -> None:
    fake = blobs(300, seed=5)
    assert fake.labels is not None
    renamed = replace(fake, labels=2 - fake.labels, class_names=NAMES[::-1], fingerprint="")
    first = evaluate_images(real, fake, features=extractor, metrics=["agreement", "classes"])
    second = evaluate_images(real, renamed, features=extractor, metrics=["agreement", "classes"])
    assert first.metrics["agreement"].value == second.metrics["agreement"].value > 0.98
    assert [one.name for one in second.classes] == list(NAMES)


def test_a_part_of_a_set_sorted_by_class_holds_every_class(real: ImageData, extractor: Extractor) -> None:
    fake = blobs(300, seed=5)
    assert fake.labels is not None
    by_class = fake.select(np.argsort(fake.labels, kind="stable"))
    found = evaluate_images(real, by_class, features=extractor, metrics=["classes"], count=60)
    assert found.n == 60
    assert [one.n for one in found.classes] == [20, 20, 20]
    assert any("n = 60" in text for text in found.warnings)


def test_held_out_images_make_the_floor_and_all_real_ones_the_reference(real: ImageData, extractor: Extractor) -> None:
    test = replace(blobs(150, seed=8), split="test")
    found = evaluate_images(real, blobs(500, seed=5), features=extractor, held_out=test, metrics=["fid"])
    assert found.n == 150
    assert found.real.used == len(real)
    assert "blobs-8 (test)" in found.reference


def test_exact_copies_are_counted_and_named(real: ImageData, extractor: Extractor) -> None:
    fake = blobs(100, seed=5)
    fake.images[:7] = real.images[:7]
    found = evaluate_images(real, replace(fake, fingerprint=""), features=extractor, metrics=["fid"])
    assert found.exact_copies == 7
    assert any("7 of the 100 fake images are exact copies" in text for text in found.warnings)


def test_a_class_of_one_image_is_left_without_a_distance(real: ImageData, extractor: Extractor) -> None:
    fake = blobs(90, seed=5)
    assert fake.labels is not None
    rare = fake.select(np.flatnonzero((fake.labels != 2) | (np.arange(90) == 2)))
    found = evaluate_images(real, rare, features=extractor)
    last = found.classes[-1]
    assert (last.name, last.n, last.fid) == ("blue", 1, None)
    assert last.agreement == 1.0
    assert all(one.fid is not None for one in found.classes[:2])


def test_missing_classes_are_named(real: ImageData, extractor: Extractor) -> None:
    fake = blobs(90, seed=5)
    assert fake.labels is not None
    part = fake.select(np.flatnonzero(fake.labels < 2))
    part = replace(part, class_names=NAMES[:2], fingerprint="")
    found = evaluate_images(real, part, features=extractor, metrics=["fid"])
    assert any("lack 1 of the 3 real classes (blue)" in text for text in found.warnings)


def test_images_without_labels_get_what_needs_none(real: ImageData, extractor: Extractor) -> None:
    fake = replace(blobs(100, seed=5), labels=None, class_names=(), fingerprint="")
    found = evaluate_images(real, fake, features=extractor)
    assert {"fid", "kid", "is", "precision", "recall", "memorised", "vendi"} <= set(found.metrics)
    assert "agreement" not in found.metrics
    assert found.classes == ()
    assert {"agreement", "classes"} <= {note.partition(":")[0] for note in found.notes}
    with pytest.raises(UsageError, match="agreement: the fake images have no labels"):
        evaluate_images(real, fake, features=extractor, metrics=["agreement"])


def test_sets_that_cannot_be_compared_are_refused(real: ImageData, extractor: Extractor) -> None:
    grey = ImageData(real.images[..., :1].copy(), real.labels, NAMES, "grey")
    with pytest.raises(UsageError, match=r"grey has images of 12 x 12 pixels and 1 channel, blobs-0 of .* 3 channels"):
        evaluate_images(real, grey, features=extractor)
    with pytest.raises(UsageError, match="1 images a side are too few"):
        evaluate_images(real, blobs(1, seed=5), features=extractor)
    with pytest.raises(UsageError, match=r"unknown metric 'fdi' \(did you mean 'fid'\?\)"):
        evaluate_images(real, blobs(100, seed=5), features=extractor, metrics=["fdi"])
    with pytest.raises(UsageError, match="no features 'inceptoin'"):
        evaluate_images(real, blobs(100, seed=5), features="inceptoin")


def test_grey_features_do_not_read_colour(real: ImageData, extractor: Extractor) -> None:
    with pytest.raises(UsageError, match="made for images of 1 channel, not 3"):
        replace(extractor, channels=1).extract(real.images[:10])


def test_every_figure_names_its_extractor_and_n_and_the_result_is_json(real: ImageData, extractor: Extractor) -> None:
    document = evaluate_images(real, blobs(100, seed=5), features=extractor).to_dict()
    document = json.loads(json.dumps(document, allow_nan=False))
    assert set(document["metrics"]) >= {"fid", "kid", "is", "precision", "recall", "agreement", "memorised", "vendi"}
    for metric in document["metrics"].values():
        assert metric["extractor"] == "blob-features"
        assert metric["n"] == 100
        assert metric["floor"] is not None and metric["sentence"]
    assert document["metrics"]["fid"]["better"] == "lower"
    assert document["metrics"]["recall"]["better"] == "higher"


def test_the_same_seed_gives_the_same_figures(real: ImageData, extractor: Extractor) -> None:
    fake = blobs(100, seed=5)
    first = evaluate_images(real, fake, features=extractor, seed=3).to_dict()
    assert evaluate_images(real, fake, features=extractor, seed=3).to_dict() == first
    assert evaluate_images(real, fake, features=extractor, seed=4).to_dict() != first


def test_a_stop_is_heeded(real: ImageData, extractor: Extractor) -> None:
    calls = iter([False, False, True])
    with pytest.raises(StoppedError):
        evaluate_images(real, blobs(100, seed=5), features=extractor, should_stop=lambda: next(calls, True))


def test_every_image_is_read_once_whatever_part_it_plays(
    real: ImageData, extractor: Extractor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A measure that asks for all images, those compared and the others, gets each at its place."""
    read: list[int] = []
    extract = Extractor.extract

    def counting(self: Extractor, images: np.ndarray, **options: Any) -> Features:
        read.append(len(images))
        return extract(self, images, **options)

    def look(parts: Parts) -> Found:
        for whole, data in ((parts.real, real), (parts.samples, fake)):
            assert whole.data is data
            np.testing.assert_allclose(whole.features, extract(extractor, data.images).features, atol=1e-4)
        return Found(details={"seen": [1, 2]}, warnings=("look here",))

    fake = blobs(200, seed=5)
    monkeypatch.setattr(Extractor, "extract", counting)
    everything: tuple[Role, ...] = ("reference", "fake", "other", "real", "samples")
    monkeypatch.setattr(images, "MEASURES", (Measure("fid", ("fid",), look, needs=everything),))
    found = evaluate_images(real, fake, features=extractor, metrics=["fid"], count=50, cache=False)
    assert sum(read) == len(real) + len(fake)
    assert found.details == {"fid": {"seen": [1, 2]}} and "look here" in found.warnings


def test_a_floor_of_images_that_the_features_were_trained_on_is_named(real: ImageData, extractor: Extractor) -> None:
    card = {"data": {"name": real.name, "split": real.split, "fingerprint": real.fingerprint}}
    familiar = replace(extractor, card=card)
    said = [
        " ".join(evaluate_images(real, blobs(200, seed=9), features=by, held_out=new, metrics=["fid"]).warnings)
        for by, new in ((familiar, None), (familiar, blobs(300, seed=7)), (extractor, None))
    ]
    assert ["were trained on these real images" in text for text in said] == [True, False, False]
