"""The report: it holds what was measured, stands alone, escapes names, and draws no conclusion that it cannot."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from synthgen.data.dataset import ImageData
from synthgen.errors import SynthgenError
from synthgen.evaluation.extractors import Extractor
from synthgen.evaluation.images import evaluate_images
from synthgen.evaluation.page import render_report, write_report
from synthgen.evaluation.page_comparison import render_comparison, write_comparison
from synthgen.evaluation.page_pieces import THUMBNAIL, common_classes, short_names, thumbnails
from synthgen.evaluation.page_verdict import unknowns, verdict
from synthgen.evaluation.result import Evaluation
from tests.evaluation.conftest import NAMES, blobs

pytestmark = pytest.mark.usefixtures("one_thread")


class Page(HTMLParser):
    """Every start tag with its attributes, the text, and whether tags are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.pictures = 0
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        self.pictures += tag == "img"
        if tag not in ("img", "meta", "br", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        return None

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


@pytest.fixture(scope="module")
def copying(real: ImageData) -> ImageData:
    """Samples of which a tenth are copies; one class bears a hostile name."""
    fake = blobs(300, seed=5)
    images = fake.images.copy()
    images[::10] = real.images[:30]
    return replace(fake, images=images, name="out/<b>fake</b>/samples.npz", fingerprint="")


@pytest.fixture(scope="module")
def found(real: ImageData, copying: ImageData, extractor: Extractor) -> Evaluation:
    return evaluate_images(real, copying, features=extractor)


def test_the_page_stands_alone_and_shows_what_was_measured(
    real: ImageData, copying: ImageData, found: Evaluation
) -> None:
    text = render_report(found, real, copying, command_line="synthgen evaluate --real a --fake b")
    page = Page(text)
    assert all(link.startswith(("data:", "#")) for link in page.links)
    assert "http" not in text.replace("http-equiv", "")
    assert "<b>fake" not in text and "<b>fake</b>" in page.text
    for metric in found.metrics.values():
        assert metric.title in page.text
    for words in ("Verdict", "What this cannot tell", "exact copy", "self-test", "torch", "--real a --fake b"):
        assert words.casefold() in page.text.casefold()
    assert page.pictures >= 2 + 24 + 12
    assert len(text) < 5e6


def test_the_closest_pairs_are_the_copies_themselves(real: ImageData, copying: ImageData, found: Evaluation) -> None:
    closest = [pair for pair in found.details["memorised"]["pairs"] if not pair["at_random"]]
    assert len(closest) == 24
    for pair in closest:
        assert pair["verdict"] == "exact copy"
        np.testing.assert_array_equal(copying.images[pair["sample"]], real.images[pair["real"]])


def test_the_verdict_names_copies_and_what_it_cannot_tell(found: Evaluation, real: ImageData) -> None:
    tones = {one.topic: one.tone for one in verdict(found)}
    assert tones["Copies"] == "bad" and tones["Labels"] == "good"
    assert any("Which images the generator learned from" in text for text in unknowns(found))
    assert any("n = 300" in text for text in unknowns(found))


def test_the_verdict_of_good_bad_and_equal_sets(real: ImageData, extractor: Extractor) -> None:
    def tones(fake: ImageData) -> dict[str, str]:
        return {one.topic: one.tone for one in verdict(evaluate_images(real, fake, features=extractor))}

    good, noisy = tones(blobs(600, seed=5)), tones(blobs(300, seed=5, noise=200))
    assert good["Quality"] == "good" and good["Labels"] == "good" and good["Copies"] != "bad"
    assert noisy["Quality"] in ("bad", "warn")
    assert tones(real) == {"Copies": "bad"}


def test_labels_and_figures_that_are_missing_leave_no_holes(real: ImageData, extractor: Extractor) -> None:
    bare = replace(blobs(100, seed=5), labels=None, class_names=(), fingerprint="")
    for metrics in (None, ["kid"], ["memorised"], ["duplicates"]):
        result = evaluate_images(real, bare, features=extractor, metrics=metrics)
        text = Page(render_report(result, real, bare)).text
        assert "nan" not in text and "None" not in text
        assert any("whether the images show what their labels say" in one.casefold() for one in unknowns(result))


def test_reports_are_written_and_not_overwritten(
    tmp_path: Path, real: ImageData, copying: ImageData, found: Evaluation
) -> None:
    path = write_report(tmp_path / "one", found, real, copying)
    assert path.is_file()
    assert json.loads((tmp_path / "one" / "evaluation.json").read_text())["metrics"]["memorised"]["value"] > 0
    with pytest.raises(SynthgenError):
        write_report(tmp_path / "one", found, real, copying)


def test_a_comparison_shows_every_set(
    tmp_path: Path, real: ImageData, copying: ImageData, found: Evaluation, extractor: Extractor
) -> None:
    other = replace(blobs(300, seed=6), name="other/<i>fake</i>/samples.npz", fingerprint="")
    second = evaluate_images(real, other, features=extractor)
    path = write_comparison(tmp_path / "two", [found, second], real, [copying, other], command_line="synthgen x")
    page = Page(path.read_text(encoding="utf-8"))
    assert all(link.startswith(("data:", "#")) for link in page.links)
    assert "2 synthetic sets against blobs-0" in page.text
    for words in (*NAMES, "held-out real", "Verdict", "<i>fake</i>", "<b>fake</b>", "synthgen x"):
        assert words in page.text
    assert "cannot be told apart" in page.text or "is nearest" in page.text
    document = json.loads((tmp_path / "two" / "evaluation.json").read_text(encoding="utf-8"))
    assert [one["kind"] for one in document["evaluations"]] == ["synthgen-evaluation"] * 2


def test_a_comparison_of_sets_without_common_figures(real: ImageData, extractor: Extractor) -> None:
    bare = replace(blobs(100, seed=6), labels=None, class_names=(), fingerprint="")
    sets = [blobs(100, seed=5), bare]
    text = Page(render_comparison([evaluate_images(real, one, features=extractor) for one in sets], real, sets)).text
    assert "not available" in text and "nan" not in text


def test_short_names_tell_sets_apart() -> None:
    assert short_names(["a/b/samples.npz", "a/c/samples.npz"]) == ["b", "c"]
    assert short_names(["a/x.npz", "b/x.npz", "b/y.npz"]) == ["a/x.npz", "b/x.npz", "b/y.npz"]
    assert short_names(["x/one.npz", "y/two.npz"]) == ["one.npz", "two.npz"]
    assert short_names(["same", "same"]) == ["same (1)", "same (2)"]


def test_large_images_are_shown_small() -> None:
    large = np.random.default_rng(0).integers(0, 256, (3, 200, 100, 1), dtype=np.uint8)
    assert thumbnails(large).shape == (3, THUMBNAIL, THUMBNAIL // 2, 1)
    assert thumbnails(large[:, :20, :20]).shape == (3, 20, 20, 1)


def test_classes_are_those_that_have_images(real: ImageData) -> None:
    fake = blobs(30, seed=5)
    assert fake.labels is not None
    part = fake.select(np.flatnonzero(fake.labels != 1))
    assert common_classes(real, part) == ["red", "blue"]
