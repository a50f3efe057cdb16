"""Static covariates that are asked for: `site=north`, `age=30..40`, `site=north|south`, `age=` for missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.special import ndtr, ndtri

from synthgen.data.series.levels import from_codes
from synthgen.data.tables.conditions import Wanted, resolve
from synthgen.data.tables.hashing import uniforms
from synthgen.errors import UsageError, nearest
from synthgen.generation.tables.requests import Where, conditions_of

if TYPE_CHECKING:
    from synthgen.data.series.codec import Part, SeriesCodec
    from synthgen.data.series.coding import Coding


@dataclass(frozen=True)
class Covariate:
    """One covariate with what it may be. z: float64 (n, width), encoded values, of which each sequence gets one.

    between: (low, high) of scores instead: a value in between, drawn as a normal law has it. missing: it is missing.
    """

    part: Part
    coding: Coding
    z: np.ndarray
    between: tuple[float, float] | None = None
    missing: bool = False

    def lay(self, given: torch.Tensor, known: torch.Tensor, keys: np.ndarray, seed: int) -> None:
        """Write it into (B, T, D) for the sequences `keys`."""
        cells = slice(self.part.start, self.part.stop)
        given[..., cells] = torch.from_numpy(self._encoded(keys, seed).astype(np.float32))[:, None]
        known[..., cells] = True
        if self.part.missing is not None:
            given[..., self.part.missing] = 1.0 if self.missing else -1.0
            known[..., self.part.missing] = True

    def _encoded(self, keys: np.ndarray, seed: int) -> np.ndarray:
        chance = uniforms(seed, keys, f"covariate {self.part.name}")
        if self.between is None:
            found: np.ndarray = self.z[np.minimum((chance * len(self.z)).astype(np.int64), len(self.z) - 1)]
            return found
        low, high = (float(ndtr(end)) for end in self.between)
        drawn = np.clip(ndtri(low + (high - low) * chance), *self.between)
        # Rounded as the data are, when that leaves the range as it is.
        assert self.coding.scaler is not None
        rounded = self.coding.scaler.encode(self.coding.scaler.decode(drawn))
        inside = (rounded >= self.between[0]) & (rounded <= self.between[1])
        return np.where(inside, rounded, drawn)[:, None]


def read_covariates(codec: SeriesCodec, where: Where) -> list[Covariate]:
    """Conditions, understood. Raises UsageError for what is no covariate, or no value that it can have."""
    found: dict[str, Covariate] = {}
    for name, condition in conditions_of(where):
        if name in found:
            raise UsageError(f"the covariate '{name}' is asked for twice", "leave out one of them")
        part = _part(codec, name)
        coding = codec.codings[name]
        wanted = resolve(condition, coding.column, coding.levels)
        found[name] = _covariate(part, coding, wanted, f"{name}{condition}")
    return list(found.values())


def _part(codec: SeriesCodec, name: str) -> Part:
    schema = codec.schema
    if name in schema.static:
        part = next((part for part in codec.parts if part.role == "static" and part.name == name), None)
        if part is None:
            raise UsageError(f"the covariate '{name}' cannot be asked for: it is constant")
        return part
    if name == schema.label:
        raise UsageError(f"'{name}' is the class of the sequences", "ask for it with --class NAME")
    if name in schema.channels:
        raise UsageError(
            f"'{name}' is a channel, and conditions are about what holds for a whole sequence",
            "to fix steps of a channel, write them into a file and give it to --complete",
        )
    names = list(schema.static)
    known = f"its covariates: {', '.join(names[:20])}" if names else "it has no static covariates"
    raise UsageError(f"the model knows no covariate '{name}'{nearest(name, names)}", known)


def _covariate(part: Part, coding: Coding, wanted: Wanted, text: str) -> Covariate:
    if coding.scaler is None:
        return _of_texts(part, coding, wanted, text)
    ranges = [(low, high) for low, high in wanted.ranges if high >= coding.scaler.low and low <= coding.scaler.high]
    if not ranges and wanted.missing:
        return _missing(part, coding, text)
    if not ranges:
        low, high = coding.scaler.low, coding.scaler.high
        raise UsageError(f"no value of the training data satisfies {text}", f"they lie between {low:g} and {high:g}")
    if all(low == high for low, high in ranges):
        z = coding.scaler.encode(np.array([low for low, _ in ranges]))[:, None]
        return Covariate(part, coding, z)
    if len(ranges) > 1:
        raise UsageError(f"{text}: a covariate takes one range, or single values", "ask for each range on its own")
    ends = np.clip(np.array(ranges[0]), coding.scaler.low, coding.scaler.high)
    low, high = coding.scaler.encode(ends).tolist()
    return Covariate(part, coding, np.empty((0, 1)), (low, high))


def _of_texts(part: Part, coding: Coding, wanted: Wanted, text: str) -> Covariate:
    codes = [place for place, level in enumerate(coding.levels) if level in wanted.texts]
    if not codes and wanted.missing:
        return _missing(part, coding, text)
    if not codes:
        raise UsageError(f"no value of the training data satisfies {text}", f"it has {', '.join(coding.levels[:20])}")
    values = from_codes(np.array(codes, np.int64), coding.column, coding.levels)
    return Covariate(part, coding, coding.encode(values))


def _missing(part: Part, coding: Coding, text: str) -> Covariate:
    if part.missing is None:
        raise UsageError(f"{text}: the covariate '{part.name}' is never missing in the training data")
    return Covariate(part, coding, np.zeros((1, coding.width)), missing=True)
