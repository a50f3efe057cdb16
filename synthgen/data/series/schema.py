"""What is known of series: the columns and their parts, and the steps of all sequences."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from synthgen.data.tables.schema import TableSchema
from synthgen.errors import SynthgenError

if TYPE_CHECKING:
    import pandas as pd

FORMS = ("wide", "long", "array", "folder")
"""wide: one recording, a row for each step. long: many sequences, told apart by an id. array: npz with X of (N, L, C).
folder: one file for each sequence."""


@dataclass(frozen=True)
class SeriesSchema:
    """The columns of the input in their order, and what each is for.

    table: every column with kind and format, as for tables (synthetic rows are written back by the same code).
    channels: what changes from step to step, in order; constants too. static: one value for each sequence. label: the
    class of each sequence. time, id: the columns of times and of sequences' names. Each column has one part only.
    form: of `FORMS`. step: how times go on (JSON values; the room data/series says what), {} without times.
    """

    table: TableSchema
    channels: tuple[str, ...]
    static: tuple[str, ...] = ()
    label: str | None = None
    time: str | None = None
    id: str | None = None
    form: str = "wide"
    step: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {part.name: getattr(self, part.name) for part in fields(self)} | {"table": self.table.to_dict()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> SeriesSchema:
        """Raises SynthgenError for anything that `to_dict` does not write."""
        try:
            table = TableSchema.from_dict(values["table"])
            found = cls(
                table,
                tuple(map(str, values["channels"])),
                tuple(map(str, values["static"])),
                **{name: None if values[name] is None else str(values[name]) for name in ("label", "time", "id")},
                form=str(values["form"]),
                step=dict(values["step"]),
            )
            used = [*found.channels, *found.static, *filter(None, (found.label, found.time, found.id))]
            if found.form not in FORMS or len(set(used)) != len(used) or not set(used) <= set(table.names):
                raise ValueError("parts that do not fit the columns")
            return found
        except (KeyError, TypeError, ValueError) as error:
            raise SynthgenError(f"the description of the series cannot be read ({error})") from error


@dataclass(frozen=True)
class SeriesData:
    """Sequences in memory.

    frame: the steps of all sequences, one sequence after the other, each in the order of time; a default index and the
    schema's columns in the normal forms of `synthgen.data.tables.schema.ColumnSchema`. offsets: int64 (S + 1,), where
    each sequence begins and the last one ends. recording: int64 (S,), sequences with the same number are pieces of one
    recording, in the order of time (a gap or a split lies between them). name: the file; split: `train`, `validation`,
    `test` or `all`. fingerprint: sha256 (hex) of names, kinds, values and offsets. held_out: of a training part, the
    validation part beside it, if one is asked for.
    """

    frame: pd.DataFrame
    offsets: np.ndarray
    schema: SeriesSchema
    name: str
    split: str = "all"
    licence: str = ""
    fingerprint: str = ""
    skipped: tuple[str, ...] = ()
    held_out: SeriesData | None = None
    recording: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))

    def __post_init__(self) -> None:
        if not len(self.recording):
            object.__setattr__(self, "recording", np.arange(len(self)))
        if not self.fingerprint:
            from synthgen.data.tables.hashing import fingerprint

            whole = f"{fingerprint(self.frame, self.schema.table)}:{self.offsets.tolist()}"
            import hashlib

            object.__setattr__(self, "fingerprint", hashlib.sha256(whole.encode()).hexdigest())

    def __len__(self) -> int:
        """How many sequences."""
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Steps of each sequence, int64 (S,)."""
        found: np.ndarray = np.diff(self.offsets)
        return found

    @property
    def steps(self) -> int:
        """Steps of all sequences."""
        return int(self.offsets[-1])

    def select(self, index: np.ndarray) -> SeriesData:
        """The sequences in `index` (positions), with a fingerprint of their own."""
        rows = [np.arange(self.offsets[i], self.offsets[i + 1]) for i in index]
        lengths = self.lengths[index]
        return replace(
            self,
            frame=self.frame.iloc[np.concatenate(rows) if rows else []].reset_index(drop=True),
            offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            recording=self.recording[index],
            fingerprint="",
        )
