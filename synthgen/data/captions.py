"""Captions as a network with cross-attention reads them: words, the numbers of words, and tables of those.

A sample is told a row of tokens, whole numbers from 0 on. 0 says nothing: it fills what a caption leaves free, and a
row of it alone is the null caption. Every row ends with at least one, because attention over a single token has no
choice (its softmax is 1). A class is one token of its own.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from synthgen.errors import UsageError, nearest

MOST_WORDS = 10_000
"""Words that a vocabulary holds; of more, the commonest."""
MOST_TOKENS = 64
"""Tokens of a sample, at most; what a longer caption says after 63 words is not learned."""
MOST_CAPTIONS = 1000
"""Captions that a model remembers as a whole, the commonest: what it draws unless told, in turn."""

LONGEST_WORD = 100
"""Letters of a word; longer runs are none."""

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_SHOWN = 20


@dataclass(frozen=True, eq=False)
class TokenTable:
    """What each label says. tokens: how many there are, 0 among them. rows: int64 (labels + 1, length), the last null.

    length: 2 or more.
    """

    tokens: int
    rows: np.ndarray

    @property
    def length(self) -> int:
        return int(self.rows.shape[1])


def class_table(classes: int) -> TokenTable:
    """One token for each class."""
    rows = np.zeros((classes + 1, 2), np.int64)
    rows[:classes, 0] = np.arange(1, classes + 1)
    return TokenTable(classes + 1, rows)


def words_of(text: str) -> tuple[str, ...]:
    """The words of a caption in small letters: runs of letters and digits, with apostrophes inside."""
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return tuple(word.replace("\u2019", "'") for word in _WORD.findall(plain))


def is_word(text: str) -> bool:
    """Whether a text is one word as `words_of` gives it, and not too long."""
    return len(text) <= LONGEST_WORD and words_of(text) == (text,)


def plain_caption(text: str) -> str:
    """A caption as it is told apart from others: its words with one space between them."""
    return " ".join(words_of(text))


@dataclass(frozen=True)
class Vocabulary:
    """The words that a model knows, the commonest first, and how many tokens it reads; word i is token i + 1."""

    words: tuple[str, ...]
    length: int

    def table(self, captions: Sequence[str], *, lenient: bool = False) -> TokenTable:
        """The tokens of captions. Raises UsageError naming what is not understood; lenient: that is left out."""
        numbers = {word: index for index, word in enumerate(self.words, start=1)}
        rows = np.zeros((len(captions) + 1, self.length), np.int64)
        for row, caption in zip(rows, captions, strict=False):
            words = words_of(caption)
            if lenient:
                words = tuple(word for word in words if word in numbers)[: self.length - 1]
            else:
                self._check(caption, words, numbers)
            row[: len(words)] = [numbers[word] for word in words]
        return TokenTable(len(self.words) + 1, rows)

    def _check(self, caption: str, words: tuple[str, ...], numbers: dict[str, int]) -> None:
        if not words:
            raise UsageError(f"the prompt '{caption:.60}' has no words", f"this model knows: {self.shown}")
        for word in words:
            if word not in numbers:
                raise UsageError(
                    f"the model does not know the word '{word:.40}'{nearest(word, self.words)}",
                    f"it knows the {len(self.words):,} words of the captions that it learned from: {self.shown}",
                )
        if len(words) >= self.length:
            raise UsageError(
                f"the prompt '{caption:.60}' has {len(words)} words, and this model reads {self.length - 1}",
                "that is the length of the longest caption that it learned from",
            )

    @property
    def shown(self) -> str:
        """The commonest words, for a message."""
        return ", ".join(self.words[:_SHOWN]) + (", ..." if len(self.words) > _SHOWN else "")


def vocabulary_of(captions: Sequence[str], counts: Iterable[int]) -> Vocabulary:
    """The vocabulary of captions that occur so often: its words by how common they are, then by letter."""
    found: Counter[str] = Counter()
    longest = 1
    for caption, count in zip(captions, counts, strict=True):
        words = words_of(caption)
        if count:
            longest = max(longest, len(words))
            for word in words:
                found[word] += int(count)
    common = sorted(filter(is_word, found), key=lambda word: (-found[word], word))[:MOST_WORDS]
    return Vocabulary(tuple(common), min(longest + 1, MOST_TOKENS))


@dataclass(frozen=True)
class CaptionFacts:
    """What captions are made of. distinct: different ones, by their words. longest: in words. common: words.

    problem: why they cannot be learned from; then all else is nothing.
    """

    distinct: int = 0
    words: int = 0
    longest: int = 0
    common: tuple[str, ...] = ()
    problem: str = ""


def facts_of(captions: Sequence[str], labels: np.ndarray) -> CaptionFacts:
    """Facts of the captions with which images are labelled."""
    counts = np.bincount(labels, minlength=len(captions)).tolist()
    known = vocabulary_of(captions, counts)
    longest = max(len(words_of(caption)) for caption in captions)
    return CaptionFacts(len(captions), len(known.words), longest, known.words[:_SHOWN])


def by_frequency(labels: np.ndarray, class_names: tuple[str, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels and names counted anew where there are more than `MOST_CAPTIONS`: the commonest first."""
    if len(class_names) <= MOST_CAPTIONS:
        return labels, class_names
    order = np.argsort(-np.bincount(labels, minlength=len(class_names)), kind="stable")
    position = np.empty_like(order)
    position[order] = np.arange(len(order))
    return position[labels], tuple(class_names[index] for index in order)
