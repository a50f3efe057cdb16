"""What is kept is what would be computed; damage, a full disk and a small limit cost time and nothing else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synthgen.evaluation.cache import ArrayCache, Arrays, evaluation_cache, pixel_digest
from synthgen.evaluation.domain import extractor_from_file, train_extractor
from synthgen.evaluation.extractors import Extractor
from synthgen.reporting import NullReporter
from tests.evaluation.conftest import QUICK, blobs

pytestmark = pytest.mark.usefixtures("one_thread")


class Heard(NullReporter):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


class Work:
    """Something that takes long: counts how often it is done."""

    def __init__(self, size: int = 10) -> None:
        self.done, self.size = 0, size

    def __call__(self) -> Arrays:
        self.done += 1
        return {"x": np.arange(self.size, dtype=np.float32), "n": np.array([[1, 2]], np.int64), "s": np.array(0.5)}


def test_the_second_call_gets_what_the_first_computed(tmp_path: Path) -> None:
    cache, work = ArrayCache(tmp_path), Work()
    first, second = cache.get({"a": 1}, work), cache.get({"a": 1}, work)
    assert work.done == 1
    for name, array in work().items():
        np.testing.assert_array_equal(second[name], array)
        assert first[name].dtype == second[name].dtype == array.dtype
        assert second[name].shape == array.shape
    cache.get({"a": 2}, work)
    assert work.done == 3  # one of them by this test itself


def test_without_a_folder_nothing_is_kept() -> None:
    work = Work()
    for _ in range(2):
        evaluation_cache(enabled=False).get({"a": 1}, work)
    assert work.done == 2


@pytest.mark.parametrize("harm", ["flipped", "cut", "empty", "foreign"])
def test_a_damaged_entry_is_named_and_written_anew(tmp_path: Path, harm: str) -> None:
    heard, work = Heard(), Work()
    cache = ArrayCache(tmp_path, reporter=heard)
    cache.get({"a": 1}, work)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    flipped = bytes([whole[-1] ^ 1])
    path.write_bytes({"flipped": whole[:-1] + flipped, "cut": whole[:-9], "empty": b"", "foreign": b"?" * 99}[harm])
    np.testing.assert_array_equal(cache.get({"a": 1}, work)["x"], np.arange(10))
    assert work.done == 2 and len(heard.warnings) == 1
    assert str(path) in heard.warnings[0] and "computing it again" in heard.warnings[0]
    cache.get({"a": 1}, work)
    assert work.done == 2 and len(heard.warnings) == 1


def test_an_entry_under_the_name_of_another_is_not_believed(tmp_path: Path) -> None:
    heard, work = Heard(), Work()
    cache = ArrayCache(tmp_path, reporter=heard)
    cache.get({"a": 1}, work)
    (first,) = tmp_path.iterdir()
    cache.get({"a": 2}, lambda: {"x": np.zeros(3, np.float32)})
    (second,) = set(tmp_path.iterdir()) - {first}
    first.write_bytes(second.read_bytes())
    assert len(cache.get({"a": 1}, work)["x"]) == 10
    assert "holds something else" in heard.warnings[0]


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    cache, work = ArrayCache(tmp_path, limit_bytes=10_000), Work(1000)
    for age, key in ((300, "a"), (200, "b")):
        before = set(tmp_path.iterdir())
        cache.get({"k": key}, work)
        (new,) = set(tmp_path.iterdir()) - before
        os.utime(new, (new.stat().st_atime - age, new.stat().st_mtime - age))
    cache.get({"k": "a"}, work)  # used: younger than b now
    cache.get({"k": "c"}, work)
    assert work.done == 3
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 10_000
    cache.get({"k": "a"}, work)
    assert work.done == 3
    cache.get({"k": "b"}, work)
    assert work.done == 4
    cache.get({"k": "too large"}, Work(10_000))
    assert len(list(tmp_path.iterdir())) == 2


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    old, young = tmp_path / ".x.abc.tmp", tmp_path / ".y.abc.tmp"
    old.write_bytes(b"1")
    young.write_bytes(b"1")
    os.utime(old, (0, 0))
    ArrayCache(tmp_path).get({"a": 1}, Work())
    assert young.exists() and not old.exists()


def test_a_cache_that_cannot_be_written_is_a_warning_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    heard, work = Heard(), Work()
    assert len(ArrayCache(tmp_path / "file", reporter=heard).get({"a": 1}, work)["x"]) == 10
    assert "cannot keep a result" in heard.warnings[0]


def test_the_digest_is_of_pixels_and_shape() -> None:
    images = blobs(20).images
    assert pixel_digest(images) == pixel_digest(images.copy()) != pixel_digest(images[::-1])
    assert pixel_digest(images) != pixel_digest(images.reshape(20, 6, 24, 3))
    assert pixel_digest(images) != pixel_digest(images[:19])


def test_features_are_kept_by_pixels_and_weights(
    extractor: Extractor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    extract = Extractor.extract

    def counting(self: Extractor, images: np.ndarray, **options: Any) -> Any:
        read.append(len(images))
        return extract(self, images, **options)

    monkeypatch.setattr(Extractor, "extract", counting)
    cache, images = ArrayCache(tmp_path / "cache"), blobs(40).images
    first = extractor.features_of(images, cache)
    again = extractor.features_of(images.copy(), cache)
    np.testing.assert_array_equal(first.features, again.features)
    assert first.logits is not None and again.logits is not None
    np.testing.assert_array_equal(first.logits, again.logits)
    assert read == [40]
    extractor.features_of(images[::-1], cache)
    assert read == [40, 40]
    path = tmp_path / "other.safetensors"
    train_extractor(blobs(60, seed=98), path, recipe=QUICK, device="cpu")
    other = extractor_from_file(path, name=extractor.name, device="cpu")
    assert other.digest != extractor.digest
    other.features_of(images, cache)
    assert read == [40, 40, 40]
    copy = extractor_from_file(path, name="another name", device="cpu")
    assert copy.digest == other.digest
