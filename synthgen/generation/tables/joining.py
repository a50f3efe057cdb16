"""One file of several: of pieces that were made one by one, of shards that are files of their own."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from synthgen.generation.contents import Opened
from synthgen.outputs import sync_folder

if TYPE_CHECKING:
    import pandas as pd

_COPY_BYTES = 4 * 2**20
_LINE_END = re.compile(rb"\r\n|\n|\r")


def join_pieces(pieces: Iterable[Path], target: Path, format_: str) -> tuple[str, int]:
    """One file of pieces, in their order, flushed to disk. Returns its sha256 and size. Memory: one piece."""
    target.unlink(missing_ok=True)
    if format_ == "parquet":
        _join_parquet(pieces, target)
    else:
        with target.open("xb") as out:
            for piece in pieces:
                with piece.open("rb") as file:
                    _copy(file, out)
    return settle(target)


def settle(target: Path) -> tuple[str, int]:
    """Flush a file to disk. Returns its sha256 and size."""
    with target.open("rb+") as file:
        os.fsync(file.fileno())
        digest, size = hashlib.sha256(), 0
        while data := file.read(_COPY_BYTES):
            digest.update(data)
            size += len(data)
    sync_folder(target.parent)
    return digest.hexdigest(), size


def _join_parquet(pieces: Iterable[Path], target: Path) -> None:
    import pyarrow.parquet as pq

    writer = None
    try:
        for piece in pieces:
            table = pq.read_table(piece)
            writer = writer or pq.ParquetWriter(target, table.schema)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


def _copy(source: IO[bytes], out: IO[bytes]) -> None:
    while data := source.read(_COPY_BYTES):
        out.write(data)


def join_frames(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """One frame with the rows of several."""
    import pandas as pd

    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)


def merge_files(files: Sequence[Opened], target: Path, format_: str, *, packed: bool) -> None:
    """One file of files with rows, as one process would have written it; for Parquet, the same rows."""
    if format_ == "parquet":
        _merge_parquet(files, target)
        return
    with target.open("wb") as plain:
        for number, opened in enumerate(files):
            with opened() as file:
                _copy_rows(file, plain, packed=packed, names=number == 0)


def _copy_rows(file: IO[bytes], out: IO[bytes], *, packed: bool, names: bool) -> None:
    """The rows of a shard's file, with or without its first line, the names of the columns."""
    if packed:
        with gzip.GzipFile(fileobj=file) as inner:
            text = inner.read()
        out.write(gzip.compress(text if names else below(text), 6, mtime=0))
        return
    rest = file.read() if names else below(file.read())
    out.write(rest)


def below(text: bytes) -> bytes:
    """What follows the first record: a name may hold line ends inside its quotes."""
    quotes = place = 0
    for match in _LINE_END.finditer(text):
        quotes += text.count(b'"', place, match.end())
        place = match.end()
        if quotes % 2 == 0:
            return text[place:]
    return b""


def _merge_parquet(files: Sequence[Opened], target: Path) -> None:
    import pyarrow.parquet as pq

    writer = None
    try:
        for opened in files:
            with opened() as file:
                parts = pq.ParquetFile(file)
                for index in range(parts.num_row_groups):
                    group = parts.read_row_group(index)
                    writer = writer or pq.ParquetWriter(target, group.schema)
                    writer.write_table(group)
    finally:
        if writer is not None:
            writer.close()
