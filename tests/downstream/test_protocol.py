"""The protocol: what a request may ask, leaks refused before any work, generators trained and taken up again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from synthgen.downstream.page import document_of, render_report
from synthgen.downstream.protocol import Request, run_protocol
from synthgen.downstream.variants import Imbalance
from synthgen.errors import UsageError
from synthgen.reporting import NullReporter
from tests.conftest import TINY, two_corners
from tests.downstream.conftest import quick

pytestmark = pytest.mark.usefixtures("one_thread")


class _Listener(NullReporter):
    def __init__(self) -> None:
        self.said: list[str] = []

    def info(self, message: str) -> None:
        self.said.append(message)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Images of the same kind as `corners_npz`, from nowhere known."""
    images, labels = two_corners(200, seed=8)
    path = tmp_path_factory.mktemp("made") / "made.npz"
    np.savez(path, images=images, labels=labels, class_names=np.array(["top", "bottom"]))
    return str(path)


def test_requests_that_cannot_work_are_refused(corners_npz: Path, made: str, tiny_run: Path, tmp_path: Path) -> None:
    real = str(corners_npz)
    good = Request(real, (made,), design=quick(0))
    for request, said in (
        (replace(good, synthetic=()), "nothing to augment with"),
        (replace(good, train_generator="images"), "either --synthetic or --train-generator"),
        (replace(good, synthetic=(), train_generator="images"), "--train-generator needs --out"),
        (replace(good, budget="1m"), "are those of --train-generator"),
        (replace(good, synthetic=(made, made), real_sizes=(20, 30, 40)), "2 --synthetic for 3 real sizes"),
        (replace(good, real=str(tiny_run)), "is a model, not images"),
        (replace(good, count=500), "--count 500"),
        (replace(good, real_sizes=(1000,)), "205 images to train on, and 1,000 were asked for"),
        (replace(good, imbalance=Imbalance(shares=(("side", 0.1),))), "has no class 'side'"),
        (replace(good, imbalance=Imbalance(share=0.1), design=quick(0, ratios=(1.0,))), "do not go together"),
        (replace(good, synthetic=(str(tiny_run),), out=tmp_path / "r"), "leak: .* tested on: the result is void"),
        (replace(good, synthetic=(str(tiny_run),), test=made, real_sizes=(60,)), "leak: .* trained on 256 real images"),
        (replace(good, synthetic=(str(tiny_run),), test=made, imbalance=Imbalance(share=0.5)), "leak: .* 256 real"),
        (replace(good, design=quick(0, classifier="nope"), out=tmp_path / "r"), "there is no 'nope'"),
        (replace(good, design=quick(0, classifier="math:hypot"), out=tmp_path / "r"), "building it .* failed"),
        (replace(good, real=made, test=real, synthetic=(str(tiny_run),)), "leak: .* tested on"),
    ):
        with pytest.raises(UsageError, match=said):
            run_protocol(request)
    assert not (tmp_path / "r").exists()


def test_a_generator_of_the_same_images_is_clean(corners_npz: Path, made: str, tiny_run: Path) -> None:
    request = Request(str(corners_npz), (str(tiny_run),), test=made, count=20, design=quick(0, kinds=("real", "both")))
    (result,) = run_protocol(request)
    assert result.leak.clean and result.synthetic_count == 20 and result.real_count == 256


@pytest.mark.slow
def test_generators_are_trained_on_the_classifiers_images_and_not_again(
    corners_npz: Path, made: str, tmp_path: Path
) -> None:
    out = tmp_path / "study"
    request = Request(
        str(corners_npz),
        train_generator="images",
        overrides=(*TINY, "training.steps=60"),
        test=made,
        real_sizes=(40, 80),
        count=50,
        design=quick(0, 1, filters=("nearest",)),
        device="cpu",
        out=out,
    )
    first = run_protocol(request)
    assert [one.real_count for one in first] == [40, 80] and all(one.leak.clean for one in first)
    assert [one.filter.total for one in first if one.filter] == [50, 50]
    kept = sorted([*out.glob("real-*/**/*.safetensors"), *out.glob("real-*/**/*.npz"), *out.glob("trainings/*")])
    assert len(kept) >= 4 + 2 + 20
    before = [path.stat().st_mtime_ns for path in kept]
    listener = _Listener()
    again = run_protocol(request, resume=True, reporter=listener)
    assert document_of(again) == document_of(first)
    assert sum("is trained already" in text for text in listener.said) == 2
    assert sum("is complete already" in text for text in listener.said) == 2
    assert [path.stat().st_mtime_ns for path in kept] == before
    page = render_report(again)
    assert "Over the number of real images" in page and "40 real images" in page and "leak-free" in page
    with pytest.raises(UsageError, match="other settings"):
        run_protocol(replace(request, overrides=(*TINY, "training.steps=60", "model.dropout=0.1")), resume=True)


@pytest.mark.slow
def test_rare_classes_are_watched_and_their_generator_has_them_as_rare(
    corners_npz: Path, made: str, tmp_path: Path
) -> None:
    request = Request(
        str(corners_npz),
        train_generator="images",
        overrides=(*TINY, "training.steps=40"),
        test=made,
        imbalance=Imbalance(shares=(("bottom", 0.05),)),
        count=100,
        design=quick(0, 1),
        device="cpu",
        out=tmp_path / "study",
    )
    (result,) = run_protocol(request)
    assert result.leak.clean and result.leak.generator is not None and result.leak.generator.count == 134
    assert result.rare == ("bottom",) and result.class_counts == (128, 6)
    counts = {name: one.images for name, one in result.variants.items()}
    assert counts == {"real": 134, "repeated": 256, "repeated_classical": 256, "filled": 184, "filled_classical": 184}
    assert any("too few synthetic images of 'bottom'" in text for text in result.warnings)
    assert all(one.rare_recall == one.recalls[1] for one in result.variants.values())
    watched = [(one.name, one.against) for one in result.comparisons if one.measure == "rare_recall"]
    assert ("filled", "real") in watched and ("filled_classical", "repeated_classical") in watched
    page = render_report(result)
    assert "rare classes alone" in page and "bottom (rare)" in page
