from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from synthgen.data.dataset import Fingerprint, ImageCodec, ImageData, fingerprint
from synthgen.errors import UsageError


def some(count: int = 5000) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (count, 2, 3, 1), dtype=np.uint8), generator.integers(0, 2, count)


def test_fingerprint_is_sha256_of_pixels_labels_and_description():
    images, labels = some()
    expected = hashlib.sha256(
        images.tobytes() + labels.astype("<i8").tobytes() + b"((5000, 2, 3, 1), True, ('a', 'b'))"
    ).hexdigest()
    assert fingerprint(images, labels, ("a", "b")) == expected


def test_fingerprint_does_not_depend_on_how_it_is_fed():
    images, labels = some()
    pieces = Fingerprint()
    for start in range(0, len(images), 7):
        pieces.add(images[start : start + 7])
    pieces.add(images[:0])
    assert pieces.finish(images.shape, labels, ("a", "b")) == fingerprint(images, labels, ("a", "b"))


def test_fingerprint_tells_pixels_labels_names_and_shape_apart():
    images, labels = some(4)
    altered = images.copy()
    altered[3, 1, 2, 0] ^= 1
    marks = {
        fingerprint(images, labels, ("a", "b")),
        fingerprint(altered, labels, ("a", "b")),
        fingerprint(images, 1 - labels, ("a", "b")),
        fingerprint(images, labels, ("a", "c")),
        fingerprint(images, None, ()),
        fingerprint(images.reshape(4, 3, 2, 1), labels, ("a", "b")),
    }
    assert len(marks) == 6


def test_select_takes_rows_and_gives_them_their_own_fingerprint():
    data = ImageData(*some(10), class_names=("a", "b"), name="x")
    part = data.select(np.array([7, 2]))
    np.testing.assert_array_equal(part.images, data.images[[7, 2]])
    np.testing.assert_array_equal(part.labels, data.labels[[7, 2]])
    assert part.fingerprint not in ("", data.fingerprint)
    assert (len(part), part.shape) == (2, (2, 3, 1))


def test_align_matches_labels_by_name():
    images, _ = some(3)
    data = ImageData(images, np.array([0, 1, 0]), ("cat", "dog"), "pets")
    aligned = data.align(("ant", "dog", "cat"))
    assert [aligned.class_names[label] for label in aligned.labels] == ["cat", "dog", "cat"]
    assert data.align(("cat", "dog")) is data


def test_align_refuses_a_class_that_the_other_lacks():
    images, _ = some(2)
    data = ImageData(images, np.array([0, 1]), ("cat", "dog"), "pets")
    with pytest.raises(UsageError, match=r"class 'dog'.*did you mean 'dogs'"):
        data.align(("cat", "dogs"))
    with pytest.raises(UsageError, match="no labels"):
        ImageData(images, None, (), "pets").align(("cat",))


def test_codec_round_trip_is_exact_for_every_grey_level():
    pixels = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1)
    codec = ImageCodec(16, 16, 1)
    encoded = codec.encode(pixels)
    assert encoded.shape == (1, 1, 16, 16)
    assert (float(encoded.min()), float(encoded.max())) == (-1.0, 1.0)
    assert torch.equal(codec.decode(encoded), pixels)
    assert torch.equal(
        codec.decode(torch.tensor([[[[-3.0, 3.0]]]])).flatten(), torch.tensor([0, 255], dtype=torch.uint8)
    )


def test_held_out_images_are_apart_and_cut_every_class_alike() -> None:
    labels = np.repeat([0, 1, 2], [400, 100, 20])
    images = np.arange(520, dtype=np.uint16).view(np.uint8).reshape(520, 1, 2, 1)
    data = ImageData(images, labels, ("a", "b", "c"), "numbered")
    rest, held = data.hold_out(0.1)
    assert held is not None
    numbers = [part.images.reshape(-1, 2).copy().view(np.uint16).ravel() for part in (rest, held)]
    assert sorted(np.concatenate(numbers)) == list(range(520))
    assert np.bincount(held.labels).tolist() == [40, 10, 2]  # type: ignore[arg-type]
    assert np.array_equal(data.hold_out(0.1)[1].images, held.images)  # type: ignore[union-attr]
    assert data.hold_out(0.0) == (data, None)
