from __future__ import annotations

import json
import os

import numpy as np
import pytest

from synthgen.data import load_images
from synthgen.errors import UsageError


@pytest.fixture
def three(tmp_path, picture):
    """Three images, one of them deeper; returns the folder."""
    for name in ("a.png", "b.png", "sub/c.png"):
        picture(tmp_path / name)
    return tmp_path


def csv(folder, *lines):
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.mark.parametrize("column", ["label", "class", "category", "class_name"])
def test_csv(three, column):
    csv(three, f"file_name,{column},source", "sub/c.png,dog,x", '"b.png",cat,y', "./a.png,dog,z")
    data = load_images(three)
    assert data.class_names == ("cat", "dog")
    assert data.labels.tolist() == [0, 1, 1]  # b, then a and c by name


def test_jsonl(three):
    rows = [
        {"file_name": "a.png", "label": 10},
        {"file_name": "b.png", "label": 9},
        {"file_name": "sub/c.png", "label": 10},
    ]
    (three / "metadata.jsonl").write_text("\n\n".join(map(json.dumps, rows)))
    data = load_images(three)
    assert (data.class_names, data.labels.tolist()) == (("9", "10"), [0, 1, 1])


def test_a_byte_order_mark_and_backslashes_are_forgiven(three):
    (three / "metadata.csv").write_bytes(b"\xef\xbb\xbffile_name,label\r\nsub\\c.png,dog\r\n")
    assert load_images(three).class_names == ("dog",)


def test_without_a_label_column_the_images_are_unlabelled(three, recorder):
    csv(three, "file_name,text", "a.png,hello", "b.png,world")
    data = load_images(three, reporter=recorder)
    assert (len(data), data.labels) == (2, None)
    assert "1 image(s) that metadata.csv does not list were left out" in recorder.warnings[0]


def test_metadata_per_split_and_for_all_splits(tmp_path, picture):
    for split in ("train", "test"):
        for name in ("x.png", "y.png"):
            picture(tmp_path / split / name)
        csv(tmp_path / split, "file_name,label", "x.png,cat", f"y.png,{'dog' if split == 'train' else 'owl'}")
    assert load_images(tmp_path, split="test").class_names == ("cat", "dog", "owl")
    assert load_images(tmp_path, split="test").labels.tolist() == [0, 2]
    for split in ("train", "test"):
        (tmp_path / split / "metadata.csv").unlink()
    csv(tmp_path, "file_name,label", "train/x.png,a", "train/y.png,b", "test/x.png,b", "test/y.png,b")
    assert load_images(tmp_path, split="train").labels.tolist() == [0, 1]
    assert load_images(tmp_path, split="test").labels.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["filename,label", "a.png,cat"],
            r"metadata.csv:1: there is no column 'file_name' \(did you mean 'filename'\?\)",
        ),
        (["file_name,label"], "has no rows"),
        ([""], "no column 'file_name'"),
        (["file_name,label", "a.png,cat", "d.png,cat"], r"metadata.csv:3: there is no image 'd.png' \(did you mean"),
        (["file_name,label", "a.png,cat", "a.png,dog"], "metadata.csv:3: 'a.png' is listed a second time"),
        (["file_name,label", "a.png,cat", "b.png,"], "metadata.csv:3: the label is empty"),
        (["file_name,label", "a.png,cat", "b.png"], "metadata.csv:3: the label is empty"),
        (["file_name,label", ",cat"], "metadata.csv:2: no file_name"),
        (["file_name,label", "../secret.png,cat"], "metadata.csv:2: '../secret.png' lies outside"),
        (["file_name,label", "sub/../../secret.png,cat"], "lies outside"),
        (["file_name,label", "/etc/passwd,cat"], "lies outside"),
        (["file_name,label", "C:/x.png,cat"], "lies outside"),
        (["file_name,label", '"a.png,cat'], r"metadata.csv:2: unexpected end of data"),
    ],
    ids=range(13),
)
def test_csv_errors_name_the_line(three, lines, message):
    csv(three, *lines)
    with pytest.raises(UsageError, match=message):
        load_images(three)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"file_name": "a.png", "label": "x"}\n{oops', "metadata.jsonl:2: not JSON"),
        ('["a.png"]', "metadata.jsonl:1: not a JSON object"),
        ('{"file_name": "a.png", "label": ["x", "y"]}', "one class per image"),
        ('{"file_name": "a.png", "label": "x"}\n{"file_name": "b.png"}', "metadata.jsonl:2: some rows have a label"),
        ("[" * 100_000, "not JSON"),
    ],
    ids=range(5),
)
def test_jsonl_errors_name_the_line(three, text, message):
    (three / "metadata.jsonl").write_text(text)
    with pytest.raises(UsageError, match=message):
        load_images(three)


def test_a_link_that_leads_out_of_the_folder_is_refused(three, tmp_path_factory, picture):
    outside = tmp_path_factory.mktemp("outside") / "secret.png"
    picture(outside)
    os.symlink(outside, three / "link.png")
    csv(three, "file_name,label", "link.png,cat")
    with pytest.raises(UsageError, match=r"'link\.png' lies outside"):
        load_images(three)


def test_two_tables_ask_which(three):
    csv(three, "file_name,label", "a.png,cat")
    (three / "metadata.jsonl").write_text('{"file_name": "a.png"}')
    with pytest.raises(UsageError, match=r"both metadata\.csv and metadata\.jsonl"):
        load_images(three)


def test_not_utf8(three):
    (three / "metadata.csv").write_bytes(b"file_name,label\na.png,\xff\xfe\n")
    with pytest.raises(UsageError, match="not UTF-8"):
        load_images(three)


def test_pixels_follow_their_rows(tmp_path, picture):
    pixels = {name: picture(tmp_path / name) for name in ("1.png", "2.png", "3.png")}
    csv(tmp_path, "file_name,label", "3.png,a", "1.png,b", "2.png,a")
    np.testing.assert_array_equal(load_images(tmp_path).images, np.stack([pixels[f"{n}.png"] for n in (2, 3, 1)]))
