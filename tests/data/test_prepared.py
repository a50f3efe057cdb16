from __future__ import annotations

import json
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthgen.data import load_images, loading, prepare, preparing
from synthgen.errors import StoppedError, SynthgenError, UsageError


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """40 images of 12 x 10 in four classes, training and test."""
    root = tmp_path / "many"
    generator = np.random.default_rng(0)
    for number in range(40):
        split = "test" if number % 4 == 3 else "train"
        path = root / split / f"class{number % 3}" / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (12, 10, 3), dtype=np.uint8)).save(path)
    return root


def stop_after(count: int):
    """A `ShouldStop` that says so after being asked `count` times."""
    asked = iter(range(10**9))
    return lambda: next(asked) >= count


@pytest.fixture
def small_chunks(monkeypatch):
    """Files are decoded 16 at a time, and the state is saved after every chunk."""
    monkeypatch.setattr("synthgen.data.filesets._CHUNK_BYTES", 1)
    monkeypatch.setattr(preparing, "_SAVE_EVERY_BYTES", 1)


def test_a_prepared_folder_loads_to_the_same_data(many, tmp_path):
    made = prepare(many, tmp_path / "out")
    assert (made.shape, made.splits) == ((12, 10, 3), {"train": 30, "test": 10})
    for split in ("train", "test", "all"):
        plain, mapped = load_images(many, split=split), load_images(tmp_path / "out", split=split)
        assert isinstance(mapped.images, np.memmap)
        np.testing.assert_array_equal(mapped.images, plain.images)
        np.testing.assert_array_equal(mapped.labels, plain.labels)
        assert (mapped.fingerprint, mapped.class_names) == (plain.fingerprint, plain.class_names)
        assert (mapped.split, mapped.name) == (plain.split, plain.name)
    assert made.fingerprint == load_images(many, split="all").fingerprint


def test_anybody_can_read_the_files(many, tmp_path):
    prepare(many, tmp_path / "out", image_size=8, channels=1)
    images = np.load(tmp_path / "out" / "images.npy", allow_pickle=False)
    assert (images.shape, images.dtype) == ((40, 8, 8, 1), np.uint8)
    assert np.load(tmp_path / "out" / "labels.npy", allow_pickle=False).shape == (40,)
    assert not list(tmp_path.glob(".out*"))


def test_a_set_without_splits_or_labels(tmp_path, picture):
    for name in "abc":
        picture(tmp_path / "flat" / f"{name}.png")
    made = prepare(tmp_path / "flat", tmp_path / "out")
    assert (made.splits, made.class_names) == ({"all": 3}, ())
    data = load_images(tmp_path / "out")
    assert (data.labels, data.split) == (None, "all")
    with pytest.raises(UsageError, match="no test split"):
        load_images(tmp_path / "out", split="test")


def test_arrays_can_be_prepared_too(tmp_path):
    np.savez(tmp_path / "x.npz", images=np.arange(300, dtype=np.uint8).reshape(3, 10, 10), labels=[0, 1, 0])
    prepare(tmp_path / "x.npz", tmp_path / "out")
    plain, mapped = load_images(tmp_path / "x.npz"), load_images(tmp_path / "out")
    assert plain.fingerprint == mapped.fingerprint


def test_the_prepared_size_is_the_size_whatever_it_is(tmp_path, picture, recorder):
    picture(tmp_path / "in" / "a.png", 200, 150)
    prepare(tmp_path / "in", tmp_path / "out", image_size=(100, 90))
    assert load_images(tmp_path / "out", reporter=recorder).shape == (100, 90, 3)
    assert recorder.infos == []
    assert load_images(tmp_path / "out", image_size=16, channels=1).shape == (16, 16, 1)


def test_writing_to_the_mapped_images_does_not_reach_the_file(many, tmp_path):
    prepare(many, tmp_path / "out")
    before = (tmp_path / "out" / "images.npy").read_bytes()
    data = load_images(tmp_path / "out")
    data.images[:] = 0
    assert (tmp_path / "out" / "images.npy").read_bytes() == before


def test_classes_and_limit_of_a_prepared_set(many, tmp_path):
    prepare(many, tmp_path / "out")
    for choice in ({"classes": ["class2"]}, {"limit": 7}, {"classes": ["class0", "class1"], "limit": 5}):
        plain, mapped = load_images(many, **choice), load_images(tmp_path / "out", **choice)
        assert plain.fingerprint == mapped.fingerprint
        assert plain.class_names == mapped.class_names


@pytest.mark.parametrize("asked", [1, 2, 3])
def test_interrupted_and_taken_up_it_is_the_same(many, tmp_path, small_chunks, recorder, asked):
    prepare(many, tmp_path / "straight")
    with pytest.raises(StoppedError) as caught:
        prepare(many, tmp_path / "out", should_stop=stop_after(asked))
    assert not (tmp_path / "out").exists()
    assert "goes on" in caught.value.hint
    state = json.loads((tmp_path / ".out.partial" / "state.json").read_text())
    done = sum(state["done"].values())
    assert done == {1: 0, 2: 16, 3: 30}[asked]  # before the first chunk, inside a split, between two
    # What was written after the last saved state is cut off again.
    with (tmp_path / ".out.partial" / "images.npy").open("ab") as file:
        file.write(b"half an image")
    prepare(many, tmp_path / "out", reporter=recorder)
    assert recorder.infos == [f"Going on with {tmp_path / 'out'} after {done} images."]
    for name in ("images.npy", "labels.npy", "meta.json"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "straight" / name).read_bytes()


@pytest.mark.parametrize("change", ["file", "size", "state", "short"])
def test_what_was_begun_from_something_else_is_not_taken_up(many, tmp_path, small_chunks, recorder, change):
    with pytest.raises(StoppedError):
        prepare(many, tmp_path / "out", should_stop=stop_after(2))
    partial, size = tmp_path / ".out.partial", None
    if change == "file":
        Image.new("RGB", (10, 12)).save(many / "train" / "class0" / "000.png")
    elif change == "size":
        size = 8
    elif change == "state":
        (partial / "state.json").write_text("{}")
    else:
        os.truncate(partial / "images.npy", 500)
    prepare(many, tmp_path / "out", image_size=size, reporter=recorder)
    assert not any("Going on" in info for info in recorder.infos)
    assert load_images(tmp_path / "out").fingerprint == load_images(many, image_size=size).fingerprint


def test_bad_files_are_named_counted_and_remembered(many, tmp_path, small_chunks, recorder):
    bad = many / "train" / "class1"
    names = sorted(path.name for path in bad.iterdir())
    (bad / names[0]).write_text("no header")
    (bad / names[2]).write_bytes((bad / names[2]).read_bytes()[:80])  # a header, and no pixels
    (many / "test" / "class0" / "003.png").write_text("no header")
    with pytest.raises(UsageError, match=names[0]):
        prepare(many, tmp_path / "out")
    with pytest.raises(UsageError, match=r"\(2 allowed\)"):
        prepare(many, tmp_path / "out", max_bad=2)
    assert not (tmp_path / "out").exists()
    made = prepare(many, tmp_path / "out", max_bad=3, reporter=recorder)
    assert (made.splits, len(made.skipped)) == ({"train": 28, "test": 9}, 3)
    assert "3 unreadable" in recorder.warnings[0]
    plain = load_images(many, max_bad=2)
    mapped = load_images(tmp_path / "out")  # they were allowed for when it was prepared
    assert mapped.fingerprint == plain.fingerprint
    assert sorted(mapped.skipped) == sorted(plain.skipped)


def test_interrupted_among_bad_files(many, tmp_path, small_chunks):
    for path in sorted((many / "train").rglob("*.png"))[5:25:4]:
        path.write_bytes(path.read_bytes()[:80])
    with pytest.raises(StoppedError):
        prepare(many, tmp_path / "out", max_bad=9, should_stop=stop_after(2))
    prepare(many, tmp_path / "out", max_bad=9)
    plain, mapped = load_images(many, max_bad=9), load_images(tmp_path / "out", max_bad=9)
    assert (mapped.fingerprint, mapped.skipped) == (plain.fingerprint, plain.skipped)
    np.testing.assert_array_equal(mapped.labels, plain.labels)


def test_an_existing_result_is_kept_unless_forced(many, tmp_path):
    prepare(many, tmp_path / "out")
    with pytest.raises(UsageError, match="exists already"):
        prepare(many, tmp_path / "out")
    (many / "train" / "class0" / "000.png").write_text("broken")
    with pytest.raises(UsageError, match="cannot be read"):
        prepare(many, tmp_path / "out", force=True)
    assert len(load_images(tmp_path / "out")) == 30  # the old one is there until the new one is whole
    prepare(many, tmp_path / "out", force=True, max_bad=1)
    assert len(load_images(tmp_path / "out")) == 29


def test_a_folder_of_somebody_else_is_not_deleted(many, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="not made by synthgen"):
        prepare(many, tmp_path / "out", force=True)
    assert (tmp_path / "out" / "thesis.txt").exists()


def test_a_full_disk_is_said_before_any_work(many, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    with pytest.raises(SynthgenError, match=r"needs 0\.0 GB, its disk has 0\.0 GB free"):
        prepare(many, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: os.truncate(folder / "images.npy", 1000), r"images\.npy is damaged: 1,000 bytes"),
        (lambda folder: (folder / "meta.json").write_text("{"), "its meta.json is damaged"),
        (lambda folder: (folder / "meta.json").write_text('{"format": "x"}'), "is not a prepared folder"),
        (lambda folder: (folder / "labels.npy").unlink(), "is damaged"),
        (lambda folder: os.truncate(folder / "labels.npy", 140), "is damaged"),
    ],
    ids=range(5),
)
def test_damage_is_named(many, tmp_path, damage, message):
    prepare(many, tmp_path / "out")
    damage(tmp_path / "out")
    with pytest.raises(UsageError, match=message):
        load_images(tmp_path / "out")


def test_a_later_version_is_refused(many, tmp_path):
    prepare(many, tmp_path / "out")
    meta = json.loads((tmp_path / "out" / "meta.json").read_text())
    (tmp_path / "out" / "meta.json").write_text(json.dumps({**meta, "version": 2}))
    with pytest.raises(UsageError, match="later version"):
        load_images(tmp_path / "out")


def test_what_does_not_fit_in_memory_goes_through_the_cache(many, nowhere, monkeypatch, recorder):
    plain = load_images(many)
    monkeypatch.setattr(loading, "MEMORY_BYTES", 1000)
    mapped = load_images(many, reporter=recorder)
    assert isinstance(mapped.images, np.memmap)
    assert (mapped.fingerprint, mapped.name, mapped.split) == (plain.fingerprint, plain.name, plain.split)
    np.testing.assert_array_equal(mapped.labels, plain.labels)
    assert "preparing it once in" in recorder.infos[-1]
    monkeypatch.setattr("synthgen.data.filesets.decode", None)  # the second time nothing is decoded,
    monkeypatch.setattr("synthgen.data.filesets.probe", None)  # and not even the headers are read
    assert load_images(many).fingerprint == plain.fingerprint


def test_the_cache_notices_a_changed_file_and_a_damaged_cache(many, nowhere, monkeypatch, recorder):
    monkeypatch.setattr(loading, "MEMORY_BYTES", 1000)
    first = load_images(many)
    Image.new("RGB", (10, 12)).save(many / "train" / "class0" / "000.png")
    second = load_images(many)
    assert second.fingerprint != first.fingerprint
    for folder in (nowhere / "prepared").iterdir():
        os.truncate(folder / "images.npy", 1000)
    third = load_images(many, reporter=recorder)
    assert third.fingerprint == second.fingerprint
    assert "preparing it again" in recorder.warnings[0]


def test_the_cache_remembers_bad_files(many, nowhere, monkeypatch):
    (many / "train" / "class0" / "000.png").write_text("broken")
    monkeypatch.setattr(loading, "MEMORY_BYTES", 1000)
    assert len(load_images(many, max_bad=1)) == 29
    assert load_images(many, max_bad=1).skipped == ("train/class0/000.png: not an image in a format that is read here",)
    with pytest.raises(UsageError, match=r"train/class0/000\.png"):
        load_images(many)


def test_part_of_a_prepared_set_that_does_not_fit_in_memory(many, tmp_path, nowhere, monkeypatch):
    prepare(many, tmp_path / "out")
    plain = load_images(tmp_path / "out", classes=["class1"])
    monkeypatch.setattr(loading, "MEMORY_BYTES", 1000)
    mapped = load_images(tmp_path / "out", classes=["class1"])
    assert isinstance(mapped.images, np.memmap)
    assert mapped.fingerprint == plain.fingerprint


def test_a_prepared_set_at_another_size_that_does_not_fit_in_memory(many, tmp_path, nowhere, monkeypatch):
    prepare(many, tmp_path / "out")
    plain = load_images(tmp_path / "out", image_size=9)
    monkeypatch.setattr(loading, "MEMORY_BYTES", 1000)
    mapped = load_images(tmp_path / "out", image_size=9)
    assert isinstance(mapped.images, np.memmap)
    assert mapped.fingerprint == plain.fingerprint
    assert isinstance(load_images(tmp_path / "out").images, np.memmap)
    assert len(list((nowhere / "prepared").iterdir())) == 1  # the set itself is not copied


def test_stopping_a_load(many):
    with pytest.raises(StoppedError):
        load_images(many, should_stop=stop_after(0))
    with pytest.raises(StoppedError):
        load_images(many, image_size=8, channels=3, should_stop=stop_after(0))


def test_memory_does_not_grow_with_the_count(tmp_path, nowhere, monkeypatch):
    """Peak of what Python and numpy allocate, for 150 and for 600 images of 64 x 64 (1.8 and 7.4 MB decoded)."""
    monkeypatch.setattr("synthgen.data.filesets._CHUNK_BYTES", 2**18)
    for number in range(600):
        path = tmp_path / ("small" if number < 150 else "rest") / f"{number:04d}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("L", (64, 64), number % 256).save(path, compress_level=1)
    (tmp_path / "large").mkdir()
    for path in (*(tmp_path / "small").iterdir(), *(tmp_path / "rest").iterdir()):
        os.link(path, tmp_path / "large" / path.name)
    peaks = []
    for name in ("small", "large"):
        tracemalloc.start()
        prepare(tmp_path / name, tmp_path / f"{name}-out", image_size=64, channels=3)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 1_000_000  # the list of files, and none of the 5.5 MB of pixels
