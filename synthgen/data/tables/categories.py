"""Categories as tokens: the common ones for themselves, the rare ones together, told apart by the fraction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MOST_TOKENS = 2000
MOST_RARE = 100_000
_BELOW_ONE = 1 - 2.0**-24


@dataclass(frozen=True)
class CategoryTokens:
    """The tokens of one column: `texts` [:common], one for all the others if there are any, one for missing.

    texts: object (T,). counts: int64 (T + missing,), training rows of each, those of missing last. The rare texts
    share one token: the fraction, cut in proportion to their rows, says which of them it is.
    """

    texts: np.ndarray
    counts: np.ndarray
    common: int
    missing: bool

    @property
    def size(self) -> int:
        return self.common + self.rare + self.missing

    @property
    def rare(self) -> bool:
        """Whether there is a token for rare texts."""
        return self.common < len(self.texts)

    @property
    def spread(self) -> np.ndarray:
        """bool (size,): the token of the rare texts."""
        found = np.zeros(self.size, bool)
        found[self.common : self.common + self.rare] = True
        return found

    @property
    def rare_ends(self) -> np.ndarray:
        """float64: where among the fractions the share of each rare text ends; the last is 1."""
        counts = self.counts[self.common : len(self.texts)]
        return np.asarray(np.cumsum(counts) / counts.sum())

    def places(self, values: np.ndarray) -> np.ndarray:
        """int64 (N,): place in `texts` of each object, -1 for None, -2 for a text that is not known."""
        import pandas as pd

        codes, distinct = pd.factorize(values)
        known = {text: place for place, text in enumerate(self.texts.tolist())}
        found = np.array([*(known.get(text, -2) for text in distinct), -1], np.int64)
        return np.asarray(found[codes])

    def encode(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(tokens int64 (N,), fractions float32 (N,)) of objects, None where missing.

        Texts that are not known go to the token of the rare ones, or without one to the least frequent text; missing
        values of a column that had none in training to the most frequent.
        """
        places = self.places(values)
        count = len(self.texts)
        fractions = np.full(len(values), 0.5)
        if not count:
            return np.zeros(len(values), np.int64), fractions.astype(np.float32)
        tokens = np.minimum(places, self.common)
        if self.rare:
            ends = self.rare_ends
            middles = ends - np.diff(ends, prepend=0) / 2
            hidden = places >= self.common
            fractions[hidden] = middles[places[hidden] - self.common]
        tokens[places == -2] = self.common if self.rare else int(np.argmin(self.counts[:count]))
        tokens[places == -1] = self.size - 1 if self.missing else int(np.argmax(self.counts[: self.common or 1]))
        return tokens, np.clip(fractions, 0, _BELOW_ONE).astype(np.float32)

    def decode(self, tokens: np.ndarray, fractions: np.ndarray) -> np.ndarray:
        """object (N,): texts, None where missing."""
        places = tokens.astype(np.int64, copy=True)
        if self.rare:
            hidden = tokens == self.common
            chosen = np.searchsorted(self.rare_ends, fractions[hidden].astype(np.float64), "right")
            places[hidden] = self.common + np.minimum(chosen, len(self.texts) - self.common - 1)
        gone = tokens >= self.common + self.rare
        held = np.append(self.texts, [None])
        places[gone] = len(self.texts)
        found: np.ndarray = held[places]
        return found

    def allowed(self, wanted: np.ndarray, missing: bool) -> tuple[np.ndarray, np.ndarray]:
        """(bool (size,), float32 (size, 2)): tokens and fractions that decode to the texts `wanted`, for certain.

        wanted: bool (T,). Of rare texts that are wanted, those are drawn that stand together: the longest run.
        """
        intervals = np.tile(np.array([0.0, _BELOW_ONE], np.float32), (self.size, 1))
        tokens = np.append(wanted[: self.common], np.zeros(self.size - self.common, bool))
        if self.missing:
            tokens[-1] = missing
        hidden = wanted[self.common :]
        if self.rare and hidden.any():
            tokens[self.common] = True
            ends = self.rare_ends
            edges = np.flatnonzero(np.diff(np.concatenate([[0], hidden.astype(np.int8), [0]])))
            starts, stops = edges[::2], edges[1::2]
            before = np.append(0.0, ends)
            best = int(np.argmax(before[stops] - before[starts]))
            margin = 2.0**-23  # of float32, in which fractions are drawn
            low, high = before[starts[best]], before[stops[best]]
            margin = min(margin, (high - low) / 4)
            intervals[self.common] = low + margin * (low > 0), min(high - margin, _BELOW_ONE)
        return tokens, intervals


def fit_categories(values: np.ndarray, rare: int) -> CategoryTokens:
    """Tokens of objects (N,), None where missing. Texts with fewer than `rare` rows share a token.

    So do those beyond the 2,000 most frequent; of more than 100,000 rare texts the most frequent are kept.
    """
    import pandas as pd

    codes, distinct = pd.factorize(values)
    counts = np.bincount(codes[codes >= 0], minlength=len(distinct))
    missing = int((codes < 0).sum())
    order = sorted(range(len(distinct)), key=lambda place: (-int(counts[place]), str(distinct[place])))
    common = [place for place in order[:MOST_TOKENS] if counts[place] >= rare]
    others = order[len(common) :][:MOST_RARE]
    if len(others) == 1:  # nothing to merge it with
        common, others = order, []
    common.sort(key=lambda place: str(distinct[place]))
    kept = [*common, *others]
    texts = np.empty(len(kept), object)
    texts[:] = [distinct[place] for place in kept]
    rows = [int(counts[place]) for place in kept] + ([missing] if missing else [])
    return CategoryTokens(texts, np.array(rows, np.int64), len(common), missing > 0)
