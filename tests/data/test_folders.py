from __future__ import annotations

import json
import os
import zipfile

import numpy as np
import pytest
from PIL import Image

from synthgen.data import load_images
from synthgen.errors import UsageError


def test_sub_folders_are_classes_in_the_order_of_numbers(classes_folder):
    root, pixels = classes_folder
    data = load_images(root)
    assert data.class_names == ("2", "10")
    assert data.labels.tolist() == [0, 0, 0, 1, 1, 1]
    expected = np.stack([pixels[f"{label}/{stem}.png"] for label in ("2", "10") for stem in "abc"])
    np.testing.assert_array_equal(data.images, expected)
    assert (data.name, data.split, data.skipped) == (str(root), "all", ())


def test_names_that_are_not_all_numbers_are_sorted_as_text(tmp_path, picture):
    for name in ("b", "10", "2", "A"):
        picture(tmp_path / name / "x.png")
    assert load_images(tmp_path).class_names == ("10", "2", "A", "b")


def test_images_below_a_class_folder_belong_to_it(tmp_path, picture):
    picture(tmp_path / "cat" / "one" / "deep" / "x.png")
    picture(tmp_path / "cat" / "y.png")
    picture(tmp_path / "dog" / "z.png")
    assert load_images(tmp_path).labels.tolist() == [0, 0, 1]


def test_a_flat_folder_is_unlabelled_and_other_files_do_not_matter(tmp_path, picture):
    pixels = [picture(tmp_path / name) for name in ("a.png", "b.PNG", "c.bmp")]
    (tmp_path / "readme.txt").write_text("hello")
    (tmp_path / ".hidden.png").write_bytes(b"no image")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "x.png").write_bytes(b"no image")
    data = load_images(tmp_path)
    assert (data.labels, data.class_names) == (None, ())
    np.testing.assert_array_equal(data.images, np.stack(pixels))


def test_one_class_is_allowed(tmp_path, picture):
    picture(tmp_path / "cat" / "x.png")
    data = load_images(tmp_path)
    assert (data.class_names, data.labels.tolist()) == (("cat",), [0])


def test_one_folder_beside_many_images_is_no_class(tmp_path, picture, recorder):
    picture(tmp_path / "a.png")
    picture(tmp_path / "thumbnails" / "a.png")
    data = load_images(tmp_path, reporter=recorder)
    assert (len(data), data.labels) == (1, None)
    assert "thumbnails/ were left out" in recorder.warnings[0]


def test_images_beside_class_folders_are_left_out_aloud(classes_folder, picture, recorder):
    root, _ = classes_folder
    picture(root / "stray.png")
    assert len(load_images(root, reporter=recorder)) == 6
    assert "1 image(s) beside the class folders were left out" in recorder.warnings[0]


@pytest.mark.parametrize("second", ["test", "val", "validation", "Test"])
def test_splits(tmp_path, picture, second):
    for name in ("train/a/1.png", "train/a/2.png", "train/b/3.png", f"{second}/b/4.png", f"{second}/c/5.png"):
        picture(tmp_path / name)
    train, test, both = (load_images(tmp_path, split=split) for split in ("train", "test", "all"))
    assert train.class_names == test.class_names == both.class_names == ("a", "b", "c")
    assert (train.labels.tolist(), test.labels.tolist()) == ([0, 0, 1], [1, 2])
    assert both.labels.tolist() == [0, 0, 1, 1, 2]  # training first
    assert (train.split, test.split, both.split) == ("train", "test", "all")


def test_test_goes_before_val(tmp_path, picture):
    for split, count in (("train", 3), ("val", 2), ("test", 1)):
        for number in range(count):
            picture(tmp_path / split / f"{number}.png")
    assert [len(load_images(tmp_path, split=split)) for split in ("train", "test")] == [3, 1]


def test_a_class_that_is_called_train_is_a_class(tmp_path, picture):
    picture(tmp_path / "train" / "1.png")
    picture(tmp_path / "car" / "1.png")
    assert load_images(tmp_path).class_names == ("car", "train")


def test_a_test_split_takes_the_shape_of_its_training_split(tmp_path, picture):
    picture(tmp_path / "train" / "1.png", 40, 60)
    picture(tmp_path / "train" / "2.png", 41, 60)
    picture(tmp_path / "test" / "1.png", 20, 20, "L")
    assert load_images(tmp_path).shape == load_images(tmp_path, split="test").shape == (40, 40, 3)


def test_a_test_is_not_made_up(classes_folder):
    root, _ = classes_folder
    with pytest.raises(UsageError, match="has no test split") as caught:
        load_images(root, split="test")
    assert "train/ and test/" in caught.value.hint
    with pytest.raises(UsageError, match="'validation' is no split"):
        load_images(root, split="validation")


def test_labels_in_one_split_only(tmp_path, picture):
    picture(tmp_path / "train" / "a" / "1.png")
    picture(tmp_path / "test" / "1.png")
    assert load_images(tmp_path).class_names == ("a",)
    assert load_images(tmp_path, split="test").labels is None
    with pytest.raises(UsageError, match=r"1 image.*without a class among 2"):
        load_images(tmp_path, split="all")


def test_mixed_sizes_and_modes_become_one_shape(tmp_path, picture, recorder):
    for number, (height, width, mode) in enumerate([(100, 70, "RGB"), (66, 90, "L"), (80, 80, "RGB")]):
        picture(tmp_path / f"{number}.png", height, width, mode)
    data = load_images(tmp_path, reporter=recorder)
    assert data.shape == (64, 64, 3)
    assert recorder.infos == [
        "The images measure 66 x 90 to 100 x 70 pixels: each is resized to 64 x 64, cropped at the centre "
        "(give an image size to choose another)."
    ]
    assert load_images(tmp_path, image_size=16, channels=1).shape == (16, 16, 1)


def test_grey_images_have_one_channel(tmp_path, picture):
    pixels = picture(tmp_path / "a" / "1.png", mode="L")
    data = load_images(tmp_path)
    np.testing.assert_array_equal(data.images[0, ..., 0], pixels)


def test_the_order_is_that_of_the_names_not_of_the_disk(tmp_path, picture):
    pixels = {name: picture(tmp_path / f"{name}.png") for name in ("9", "b", "10", "a")}
    np.testing.assert_array_equal(load_images(tmp_path).images, np.stack([pixels[n] for n in ("10", "9", "a", "b")]))


def test_empty_folders_say_what_is_there(tmp_path):
    with pytest.raises(UsageError, match="is empty"):
        load_images(tmp_path)
    (tmp_path / "sub").mkdir()
    for name in ("sub/a.txt", "sub/b.txt", "c.csv"):
        (tmp_path / name).write_text("x")
    with pytest.raises(UsageError, match=r"no images, only 3 other file\(s\) \(\.txt, \.csv\)"):
        load_images(tmp_path)


def test_one_bad_file_is_named_and_skipped_only_on_request(classes_folder, recorder):
    root, pixels = classes_folder
    (root / "2" / "b.png").write_bytes((root / "2" / "b.png").read_bytes()[:60])
    (root / "10" / "broken.jpg").write_text("not an image")
    with pytest.raises(UsageError) as caught:
        load_images(root)
    # The header of b.png is whole: only decoding finds it, after the files without a header.
    assert "10/broken.jpg: not an image" in caught.value.message
    assert "--max-bad" in caught.value.hint
    with pytest.raises(UsageError, match=r"2 files that cannot be read \(1 allowed\)[^$]*2/b\.png"):
        load_images(root, max_bad=1)
    data = load_images(root, max_bad=2, reporter=recorder)
    expected = [pixels[f"{name}.png"] for name in ("2/a", "2/c", "10/a", "10/b", "10/c")]
    np.testing.assert_array_equal(data.images, np.stack(expected))
    assert data.labels.tolist() == [0, 0, 1, 1, 1]
    assert [entry.split(":")[0] for entry in data.skipped] == ["10/broken.jpg", "2/b.png"]
    assert "Left out 2 unreadable file(s)" in recorder.warnings[0]


def test_nothing_but_bad_files_is_an_error_whatever_is_allowed(tmp_path):
    (tmp_path / "a.png").write_text("x")
    for size in (None, 8):
        with pytest.raises(UsageError, match=r"no readable image: a\.png"):
            load_images(tmp_path, max_bad=9, image_size=size, channels=1)


def test_a_link_to_nowhere_and_a_loop_do_no_harm(classes_folder):
    root, _ = classes_folder
    os.symlink(root, root / "2" / "again")
    os.symlink(root / "gone.png", root / "2" / "link.png")
    assert len(load_images(root)) == 6


def test_linked_class_folders_are_followed(classes_folder, tmp_path):
    root, _ = classes_folder
    subset = tmp_path / "subset"
    subset.mkdir()
    os.symlink(root / "10", subset / "ten")
    assert (len(load_images(subset)), load_images(subset).class_names) == (3, ("ten",))


def test_a_zip_is_read_like_the_folder_in_it(classes_folder, tmp_path):
    root, _ = classes_folder
    path = tmp_path / "numbers.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(root.rglob("*.png")):
            archive.write(file, f"numbers/{file.relative_to(root)}")
        archive.writestr("__MACOSX/numbers/2/._a.png", b"x")
    zipped, plain = load_images(path), load_images(root)
    assert zipped.fingerprint == plain.fingerprint
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UsageError, match="not a readable zip"):
        load_images(path)


def test_samples_load_again_as_they_were_labelled(tmp_path, picture):
    """The folder that `synthgen sample` writes, with class names that no folder can hold."""
    from synthgen.generation.writers import PngWriter

    names = ("T-shirt/top", "Bag", "Ankle boot")
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    labels = np.array([2, 0, 1, 2, 0, 1])
    PngWriter(tmp_path, names, 6).write(0, images, labels)
    manifest = {"kind": "synthgen-samples", "class_names": list(names)}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    Image.new("RGB", (99, 99)).save(tmp_path / "grid.png")
    data = load_images(tmp_path)
    assert data.class_names == names
    order = np.argsort(labels, kind="stable")
    np.testing.assert_array_equal(data.labels, labels[order])
    np.testing.assert_array_equal(data.images, images[order])


def test_unlabelled_samples_load_again_at_their_own_size(tmp_path, picture):
    pixels = picture(tmp_path / "images" / "000000.png", 96, 80)
    (tmp_path / "manifest.json").write_text(json.dumps({"kind": "synthgen-samples", "class_names": []}))
    picture(tmp_path / "grid.png", 99, 99)
    data = load_images(tmp_path)
    assert data.labels is None
    np.testing.assert_array_equal(data.images[0], pixels)


def test_a_manifest_of_somebody_else_is_left_alone(classes_folder):
    root, _ = classes_folder
    (root / "manifest.json").write_text("{not json")
    assert load_images(root).class_names == ("2", "10")


def test_classes_and_limit(classes_folder):
    root, pixels = classes_folder
    data = load_images(root, classes=["10"])
    assert (data.class_names, data.labels.tolist()) == (("10",), [0, 0, 0])
    np.testing.assert_array_equal(data.images[0], pixels["10/a.png"])
    two, four = load_images(root, limit=2), load_images(root, limit=4)
    assert two.labels.tolist() == [0, 1]
    assert {image.tobytes() for image in two.images} < {image.tobytes() for image in four.images}
    with pytest.raises(UsageError, match="no class '11'"):
        load_images(root, classes=["11"])


def test_a_limit_does_not_read_the_other_files(classes_folder):
    root, _ = classes_folder
    whole = load_images(root, limit=2)
    for file in root.rglob("*.png"):
        if not any((np.asarray(Image.open(file)) == image).all() for image in whole.images):
            file.write_text("broken now")
    assert load_images(root, limit=2).fingerprint == whole.fingerprint
