"""Captions: their words, the vocabulary, tables of tokens, and folders that have them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthgen.data import load_images
from synthgen.data.captions import (
    MOST_CAPTIONS,
    MOST_TOKENS,
    MOST_WORDS,
    Vocabulary,
    by_frequency,
    class_table,
    is_word,
    plain_caption,
    vocabulary_of,
    words_of,
)
from synthgen.data.inspection import inspect_images
from synthgen.errors import UsageError


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A red  Square.", ("a", "red", "square")),
        ("Don\u2019t, T-shirt/top; 2nd_one", ("don't", "t", "shirt", "top", "2nd", "one")),
        ("\uff32ed Stra\u00dfe", ("red", "strasse")),
        ("... !?", ()),
    ],
)
def test_words(text: str, words: tuple[str, ...]) -> None:
    assert words_of(text) == words


@given(st.text(max_size=40))
def test_a_plain_caption_is_its_own_plain_form(text: str) -> None:
    plain = plain_caption(text)
    if all(map(is_word, words_of(text))):
        assert plain_caption(plain) == plain


def test_the_vocabulary_is_ordered_by_how_common_words_are() -> None:
    found = vocabulary_of(["a red square", "a blue circle", "never shown at all"], [3, 2, 0])
    assert found == Vocabulary(("a", "red", "square", "blue", "circle"), 4)


def test_a_vocabulary_has_limits() -> None:
    captions = [f"word{number}" for number in range(MOST_WORDS + 5)] + [" ".join(["long"] * 100), "x" * 101]
    found = vocabulary_of(captions, [1] * len(captions))
    assert (len(found.words), found.length) == (MOST_WORDS, MOST_TOKENS)
    assert found.words[0] == "long" and "x" * 101 not in found.words


def test_every_row_of_tokens_says_nothing_at_its_end() -> None:
    """Attention over one token has no choice: a softmax of one number is 1."""
    found = Vocabulary(("a", "red"), 3).table(["a red", "Red!"])
    assert found.rows.tolist() == [[1, 2, 0], [2, 0, 0], [0, 0, 0]] and found.tokens == 3
    assert class_table(2).rows.tolist() == [[1, 0], [2, 0], [0, 0]] and class_table(2).tokens == 3


def test_what_is_not_understood_is_named() -> None:
    known = Vocabulary(("a", "red", "square"), 3)
    with pytest.raises(UsageError, match=r"does not know the word 'sqare' \(did you mean 'square'\?\)"):
        known.table(["a sqare"])
    with pytest.raises(UsageError, match="has 3 words, and this model reads 2"):
        known.table(["a red square"])
    with pytest.raises(UsageError, match="has no words"):
        known.table(["?!"])
    assert known.table(["a crimson red square"], lenient=True).rows.tolist() == [[1, 2, 0], [0, 0, 0]]


def test_too_many_captions_are_counted_by_how_common_they_are() -> None:
    names = tuple(f"caption {number:04d}" for number in range(MOST_CAPTIONS + 1))
    labels = np.concatenate([np.arange(len(names)), [1000, 1000, 7]])
    found, order = by_frequency(labels, names)
    assert order[:3] == ("caption 1000", "caption 0007", "caption 0000")
    assert [order[label] for label in found] == [names[label] for label in labels]
    assert by_frequency(np.array([1, 0]), ("a", "b"))[1] == ("a", "b")


def test_a_captioned_folder(captioned_folder: Path) -> None:
    captions = load_images(captioned_folder, captions=True)
    assert captions.captioned and captions.class_names[:2] == (
        "a blue square on the left",
        "a green square on the left",
    )
    assert captions.labels is not None and len(captions.class_names) == 5
    plain = load_images(captioned_folder)
    assert not plain.captioned and plain.class_names == ("left", "right")
    assert plain.fingerprint != captions.fingerprint


def test_without_captions_the_classes_stay(corners_npz: Path) -> None:
    found = load_images(corners_npz, captions=True)
    assert not found.captioned and found.class_names == ("top", "bottom")


def test_captions_in_csv_and_in_splits(tmp_path: Path, picture: Callable[..., object]) -> None:
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        picture(tmp_path / split / "a.png")
        (tmp_path / split / "metadata.csv").write_text("file_name,caption\na.png,A cat\n", encoding="utf-8")
    assert load_images(tmp_path, split="test", captions=True).class_names == ("a cat",)
    (tmp_path / "test" / "metadata.csv").write_text("file_name\na.png\n", encoding="utf-8")
    with pytest.raises(UsageError, match="has captions, and none in its test split"):
        load_images(tmp_path, captions=True)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"text": "a cat"}, {"text": " ?"}], r"metadata\.jsonl:2: the text has no words"),
        ([{"text": "a cat"}, {"text": ["a", "b"]}], r"metadata\.jsonl:2: the text is \[\"a\", \"b\"\]"),
        ([{"text": "a cat"}, {}], "'b.png' has no caption, and others have"),
    ],
)
def test_a_caption_that_is_none_is_named(
    tmp_path: Path, picture: Callable[..., object], rows: list[dict[str, object]], message: str
) -> None:
    lines = []
    for name, row in zip(("a.png", "b.png"), rows, strict=True):
        picture(tmp_path / name)
        lines.append(json.dumps({"file_name": name, **row}))
    (tmp_path / "metadata.jsonl").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        load_images(tmp_path, captions=True)
    assert len(load_images(tmp_path)) == 2  # nobody asked for captions


def test_an_inspection_knows_captions(captioned_folder: Path, corners_npz: Path, tmp_path: Path) -> None:
    found = inspect_images(captioned_folder).captions
    assert found is not None
    assert (found.distinct, found.words, found.longest, found.problem) == (5, 9, 6, "")
    assert set(found.common) == {"a", "square", "on", "the", "left", "right", "red", "green", "blue"}
    assert inspect_images(corners_npz).captions is None
    copy = tmp_path / "copy"
    shutil.copytree(captioned_folder, copy)
    rows = (copy / "metadata.jsonl").read_text().splitlines()
    (copy / "metadata.jsonl").write_text("\n".join([*rows[:-1], rows[-1].replace('"text": "A', '"txt": "A')]))
    wrong = inspect_images(copy)
    assert wrong.captions is not None and "has no caption, and others have" in wrong.captions.problem
    assert wrong.class_names == ("left", "right")


def test_captions_are_classes_for_a_classifier_where_they_have_images_enough(captioned_folder: Path) -> None:
    found = load_images(captioned_folder, captions=True)
    assert found.has_classes
    assert not found.select(np.arange(0, 250, 10)).has_classes  # five images each
    assert load_images(captioned_folder).select(np.arange(0, 250, 10)).has_classes
