"""Series and windows of numbers, both ways: fitted once on the steps to learn from, and part of every checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from synthgen.config.series import SeriesDataConfig, window_for
from synthgen.data.series.calendar import TURNS, TURNS_LEAKY, calendar_of, calendar_values
from synthgen.data.series.coding import Coding, fill_in, fit_coding, mark_copies
from synthgen.data.series.decoding import decode_arrays, decode_frame, decoded_table
from synthgen.data.series.encoded import EncodedSeries
from synthgen.data.series.framing import Frameworks, draw
from synthgen.data.series.laws import Beginnings
from synthgen.data.series.levels import levels_of, to_codes
from synthgen.data.series.parts import Part, layout
from synthgen.data.series.scaling import Scaler, fit_scaler
from synthgen.data.series.schema import SeriesData, SeriesSchema
from synthgen.data.series.times import advance, as_numbers
from synthgen.data.series.windows import window_starts
from synthgen.data.tables.schema import TableSchema
from synthgen.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd
    import torch

__all__ = ["EncodedSeries", "Frameworks", "Part", "SeriesCodec"]


@dataclass(frozen=True)
class SeriesCodec:
    """The windows of series as arrays (L, D) that a network learns.

    schema: the columns. window: steps L. parts: the meaning of the dimensions; constants and copies have none.
    dimensions: D. classes: names of the classes, () without. codings: of channels and covariates, by name. gap: the
    scaler of the logarithm of the time between steps, of irregular times. beginnings: see
    `synthgen.data.series.laws`.
    """

    schema: SeriesSchema
    window: int
    parts: tuple[Part, ...]
    classes: tuple[str, ...]
    codings: dict[str, Coding]
    beginnings: Beginnings
    gap: Scaler | None = None

    @property
    def dimensions(self) -> int:
        return max((max(p.stop, -1 if p.missing is None else p.missing + 1) for p in self.parts), default=0)

    @classmethod
    def fit(cls, data: SeriesData, config: SeriesDataConfig) -> SeriesCodec:
        """The codec for windows of `config.window` steps, scaled by the steps of `data` alone. Raises UsageError."""
        schema, frame = data.schema, data.frame
        window = window_for(config.window, int(data.lengths.max(initial=1)), len(data))
        names = (*schema.channels, *schema.static)
        codings = {name: fit_coding(schema.table[name], frame[name], config.scaling) for name in names}
        codings = mark_copies(codings, frame, schema.channels)
        gap = None
        calendar: tuple[str, ...] = ()
        if schema.time is not None:
            times = as_numbers(frame[schema.time].to_numpy())
            if schema.step["unit"] == "irregular":
                gaps = _log_gaps(times, data.offsets)
                gaps = gaps[~np.isnan(gaps)]
                gap = fit_scaler(gaps if len(gaps) else np.zeros(1), "standard", whole=False)
            elif config.calendar:
                turns = TURNS_LEAKY if config.protocol == "leaky" else TURNS
                calendar = calendar_of(schema.step, int(times.max() - times.min()) if len(times) else 0, turns)
        classes = () if schema.label is None else levels_of(schema.table[schema.label])
        parts = layout(data, codings, gap is not None, len(classes), calendar)
        begins, lengths, _ = window_starts(data.offsets, data.recording, window, config.stride)
        beginnings = Beginnings.of(_classes(data, classes)[begins], lengths, times_of(data)[begins])
        return cls(schema, window, parts, classes, codings, beginnings, gap)

    def encode(self, data: SeriesData, stride: int | None = None) -> EncodedSeries:
        """Every step of `data` once, and its windows, one every `stride` steps (None: see `stride_for`)."""
        values, _ = self._values(data)
        begins, lengths, sequence = window_starts(data.offsets, data.recording, self.window, stride)
        return EncodedSeries.of(values, begins, lengths, sequence, self.window)

    def _values(self, data: SeriesData) -> tuple[np.ndarray, np.ndarray]:
        """(float32 (T, D), bool (T, D) where the cell is in the data)."""
        values = np.zeros((data.steps, self.dimensions), np.float32)
        there = np.ones((data.steps, self.dimensions), bool)
        for part in self.parts:
            if part.role == "calendar":
                values[:, part.start : part.stop] = calendar_values(part.name, times_of(data))
                continue
            z = self._part_values(part, data)
            gone = np.isnan(z[:, 0])
            there[:, part.start : part.stop] = ~gone[:, None]
            if part.missing is not None:
                first = part.missing not in [p.missing for p in self.parts[: self.parts.index(part)]]
                bit = np.where(gone, 1.0, -1.0)
                values[:, part.missing] = bit if first else np.minimum(values[:, part.missing], bit)
                there[:, part.missing] = ~gone if first else there[:, part.missing] | ~gone
            hold = part.role == "label" or (part.name in self.codings and self.codings[part.name].scaler is None)
            values[:, part.start : part.stop] = fill_in(z, data.offsets, hold=hold)
        return values, there

    def _part_values(self, part: Part, data: SeriesData) -> np.ndarray:
        """float64 (T, width) of one part, NaN where the data have none."""
        if part.role == "gap":
            assert self.gap is not None
            return self.gap.encode(_log_gaps(times_of(data), data.offsets))[:, None]
        names = [part.name, *(name for name, one in self.codings.items() if one.copy_of == part.name)]
        names = [name for name in names if name in data.frame]
        if not names:
            return np.full((data.steps, part.stop - part.start), np.nan)
        if part.role == "label":
            codes = to_codes(data.frame[part.name], self.classes)
            hot = np.where(codes[:, None] == np.arange(len(self.classes)), 1.0, -1.0)
            hot[codes < 0] = np.nan
            return hot
        z = self.codings[names[0]].encode(data.frame[names[0]])
        for name in names[1:]:  # of a partial file, a copy tells what its original lacks
            z = np.where(np.isnan(z), self.codings[name].encode(data.frame[name]), z)
        return z

    def encode_partial(
        self, data: SeriesData, *, allow_missing: bool
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(given float32 (S, M, D), known bool (S, M, D), valid bool (S, M)) of whole sequences, M the longest.

        Cells that are missing in `data` are unknown. allow_missing: whether they may come out as missing; if not, they
        are known to have a value.
        """
        import torch

        values, there = self._values(data)
        bits = sorted({part.missing for part in self.parts if part.missing is not None})
        if not allow_missing:
            values[:, bits], there[:, bits] = -1.0, True
        longest = int(data.lengths.max(initial=0))
        valid = np.arange(longest) < data.lengths[:, None]
        given = np.zeros((len(data), longest, self.dimensions), np.float32)
        known = np.zeros((len(data), longest, self.dimensions), bool)
        given[valid], known[valid] = np.where(there, values, 0.0), there
        return torch.from_numpy(given), torch.from_numpy(known), torch.from_numpy(valid)

    def draw(
        self,
        keys: np.ndarray,
        seed: int,
        *,
        labels: np.ndarray | Sequence[int] | int | None = None,
        start: object | None = None,
        length: np.ndarray | int | None = None,
    ) -> Frameworks:
        """What is known of made windows before any noise is taken away: class, length, times; see `framing.draw`."""
        return draw(self, np.asarray(keys), seed, labels, start, length)

    def calendar(self, starts: np.ndarray, steps: int) -> dict[Part, np.ndarray]:
        """For each calendar part, float32 (B, steps, 2): what the dates from `starts` (B,) on say."""
        parts = [part for part in self.parts if part.role == "calendar"]
        if not parts:
            return {}
        times = advance(self.schema.step, np.asarray(starts)[:, None], np.arange(steps))
        return {part: calendar_values(part.name, times) for part in parts}

    def starts_of(self, data: SeriesData) -> np.ndarray:
        """(S,) the time of the first step of each sequence, as `draw` gives them; 0 without times."""
        found: np.ndarray = times_of(data)[data.offsets[:-1]]
        return found

    def arrays(self, x: torch.Tensor, lengths: np.ndarray, *, clip: bool = True) -> np.ndarray:
        """float64 (B, L, C) of x (B, L, D): channels in the input's units, NaN where missing and beyond the length.

        Categories and booleans are codes. clip: keep numbers within what was seen in training.
        """
        return decode_arrays(self, x, np.asarray(lengths), clip=clip)

    def table(self, *, numbered: bool = False) -> TableSchema:
        """The columns that `decode` gives. numbered: with a column that tells sequences apart if the input has none."""
        return decoded_table(self.schema, numbered=numbered)

    def decode(
        self,
        x: torch.Tensor,
        lengths: np.ndarray,
        keys: np.ndarray,
        seed: int,
        starts: np.ndarray,
        *,
        numbered: bool = False,
        clip: bool = True,
    ) -> pd.DataFrame:
        """Sequences x (B, L, D) of any L as rows of `table(numbered=...)`, in normal forms, one after the other.

        lengths: (B,). keys: int64 (B,), which sequences of the sample they are; ids are made from them and the seed.
        starts: (B,) the times of their first steps, as `draw` gives them. numbered: put the number of the sequence,
        from 1, before series that have no ids. clip: as for `arrays`.
        """
        keys, starts = np.asarray(keys), np.asarray(starts)
        return decode_frame(self, x, np.asarray(lengths), keys, seed, starts, numbered=numbered, clip=clip)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the tensors, as JSON values; see `from_parts`."""
        from synthgen.data.series.storing import codec_to_dict

        return codec_to_dict(self)

    def tensors(self) -> dict[str, torch.Tensor]:
        """The arrays of the codec by name; see `from_parts`."""
        from synthgen.data.series.storing import codec_tensors

        return codec_tensors(self)

    @classmethod
    def from_parts(cls, values: dict[str, Any], tensors: Mapping[str, torch.Tensor]) -> SeriesCodec:
        """The codec that `to_dict` and `tensors` were made from. Raises SynthgenError for anything else."""
        from synthgen.data.series.storing import codec_from_parts

        return codec_from_parts(values, tensors)


def _classes(data: SeriesData, classes: Sequence[str]) -> np.ndarray:
    """int64 (T,): the class of every step, 0 without classes. Raises UsageError for a missing one."""
    if data.schema.label is None:
        return np.zeros(data.steps, np.int64)
    codes = to_codes(data.frame[data.schema.label], classes)
    if (codes < 0).any():
        raise UsageError(
            f"{data.name}: step {int(np.argmax(codes < 0)):,} has no class in the column '{data.schema.label}'"
        )
    return codes


def times_of(data: SeriesData) -> np.ndarray:
    """(T,) the times of all steps as `as_numbers` has them; 0 without times."""
    if data.schema.time is None or data.schema.time not in data.frame:
        return np.zeros(data.steps, np.int64)
    return as_numbers(data.frame[data.schema.time].to_numpy())


def _log_gaps(times: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """float64 (T,): logarithm of the time since the step before; NaN for the first step of a sequence."""
    gaps = np.full(len(times), np.nan)
    gaps[1:] = np.log(np.maximum(np.diff(times), 1e-300))
    gaps[offsets[:-1][offsets[:-1] < len(times)]] = np.nan
    return gaps
