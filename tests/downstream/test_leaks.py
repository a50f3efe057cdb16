"""Whether the generator saw more than the classifier: every case by a set that is that case."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from synthgen.data.dataset import ImageData
from synthgen.data.subset import stratified_subset
from synthgen.downstream.images import choose_real
from synthgen.downstream.leaks import LeakCheck, Provenance, check_leak, provenance, provenance_of_samples
from synthgen.downstream.variants import Imbalance
from synthgen.errors import UsageError
from tests.downstream.conftest import corners


def _of(data: ImageData) -> Provenance:
    return Provenance(data.name, data.split, len(data), data.fingerprint)


def _limited(data: ImageData, limit: int) -> ImageData:
    """What `data.limit` trains a generator on."""
    return data.select(stratified_subset(data.labels, len(data), limit))


def _check(generator: ImageData | None, real: ImageData, test: ImageData | None, size: int | None) -> LeakCheck:
    sides = choose_real(real, test, size)
    origin = None if generator is None else _of(generator)
    return check_leak(origin, sides.whole, sides.train, sides.test, test_from_real=sides.cut)


REAL = corners(200, name="digits", split="train")
TEST = corners(100, seed=9, name="digits", split="test")


@pytest.mark.parametrize(
    ("generator", "size", "status"),
    [
        (REAL, None, "clean"),
        (REAL, 50, "more"),
        (_limited(REAL, 50), 50, "clean"),
        (_limited(REAL, 30), 50, "clean"),
        (_limited(REAL, 80), 50, "more"),
        (TEST, None, "test"),
        (corners(300, name="digits", split="all"), None, "test"),
        (corners(200, seed=4, name="others"), None, "other"),
        (None, None, "unknown"),
    ],
)
def test_with_test_images_of_their_own(generator: ImageData | None, size: int | None, status: str) -> None:
    found = _check(generator, REAL, TEST, size)
    assert found.status == status
    assert found.clean == (status == "clean")


@pytest.mark.parametrize(
    ("generator", "size", "status"),
    [
        (REAL, None, "test"),  # it saw the fifth that was cut off
        (_limited(REAL, 170), None, "test"),
        (_limited(REAL, 160), None, "clean"),  # exactly what was left
        (_limited(REAL, 160), 50, "more"),
        (_limited(REAL, 50), 50, "clean"),
    ],
)
def test_with_test_images_cut_from_the_real_ones(generator: ImageData, size: int | None, status: str) -> None:
    assert _check(generator, REAL, None, size).status == status


def test_what_is_known_to_have_seen_more_is_refused_and_the_unknown_is_not() -> None:
    for generator, size, refused in (
        (REAL, None, False),
        (None, None, False),
        (REAL, 50, True),
        (TEST, None, True),
        (corners(200, seed=4, name="others"), None, True),
    ):
        found = _check(generator, REAL, TEST, size)
        assert found.refused == refused
        found.require(allow_leak=True)
        if refused:
            with pytest.raises(UsageError, match="leak: the generator was trained on") as caught:
                found.require(allow_leak=False)
            assert "--allow-leak" in (caught.value.hint or "")
        else:
            found.require(allow_leak=False)


def test_a_smaller_part_is_no_part_of_classes_that_were_cut_down() -> None:
    """Fifty balanced images hold more of the rare class than a hundred images of which it was cut."""
    sides = choose_real(REAL, TEST, 100, Imbalance(shares=(("top", 0.1),)))
    for data, status in ((_limited(REAL, 50), "more"), (sides.train, "clean")):
        found = check_leak(_of(data), sides.whole, sides.train, sides.test, test_from_real=False, thinned=True)
        assert found.status == status


def test_the_message_names_both_numbers() -> None:
    message = _check(REAL, REAL, TEST, 50).message
    assert "200 real images" in message and "has 50" in message


def test_a_manifest_tells_where_samples_come_from(tmp_path: Path) -> None:
    data = {"name": "mnist", "split": "train", "count": 60000, "fingerprint": "ab", "licence": "x"}
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"kind": "synthgen-samples", "model": {"data": data}}))
    expected = Provenance("mnist", "train", 60000, "ab")
    assert provenance_of_samples(tmp_path) == expected
    assert provenance_of_samples(tmp_path / "samples.npz") == expected  # a file beside it
    for content in ("{", "[1]", json.dumps({"kind": "other", "model": {"data": data}}), '{"kind": "synthgen-samples"}'):
        manifest.write_text(content)
        assert provenance_of_samples(tmp_path) is None
    manifest.unlink()
    assert provenance_of_samples(tmp_path) is None


def test_half_a_provenance_is_none() -> None:
    assert provenance(None) is None
    assert provenance({"name": "mnist", "split": "train"}) is None
    assert provenance({"name": "mnist", "split": "train", "count": "many", "fingerprint": "x"}) is None
